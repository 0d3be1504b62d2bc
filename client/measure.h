/* SPDX-License-Identifier: MIT */
/*
 * One run of a command, measured: counted from its first instruction to the end of its last
 * descendant.
 *
 * The child waits at a gate until the daemon follows it, and only then becomes CMD.  CMD stays in
 * energat's process group, so that the terminal's signals reach both; those that were sent to
 * energat alone are passed on.  Nothing here ever ends CMD.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "options.h"
#include "signals.h"

struct measure {
        const struct options
                *options;        /* how to reach the daemon; interval, gamma, delta, no_wait */
        char **arguments;        /* CMD, ended by NULL */
        const char *name;        /* what the report calls it */
        struct signals *signals; /* open: signals between runs must not be lost */
        /* Any second signal to end ends energat, though CMD runs on; else only Ctrl-C twice does:
         * within two seconds, or at any time when CMD does not handle it. */
        bool second_signal_quits;

        /* Each may be NULL.  Reports are valid during the call only. */
        void *data;
        void (*started)(void *data, pid_t pid);
        void (*interval)(void *data, const json_t *report); /* the last one is as long as it was */
        /* The same in steps of fine_interval_s where the daemon allows it, else as above; 0: as
         * above. */
        double fine_interval_s;
        void (*fine)(void *data, const json_t *report);
};

struct measured {
        json_t *report;  /* NULL: nothing is known, and it was said why */
        bool partial;    /* the report does not cover all of CMD, and warns of it */
        int status;      /* of CMD, as a shell has it */
        double wall_s;   /* from its first instruction to its exit, by the clock; NAN: not known */
        int interrupted; /* the last signal that asked for an end meanwhile, or 0 */
};

/* STATUS_OK: CMD has been started, and `ret` is valid.  Else the exit status for that failure,
 * which was said on stderr; of `ret` only `interrupted` counts. */
int measure_run(struct measured *ret, const struct measure *m);
void measured_deinit(struct measured *m);

/* All the signals that a run has to know of.  0 or -errno. */
int measure_open_signals(struct signals *s);

/* What a command is called that nobody gave a name: the last part of its path. */
const char *measure_base_name(const char *path);
