/* SPDX-License-Identifier: MIT */
/*
 * The commands of energat.  Each is one file with one `struct command`, and one row in the list
 * below.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "options.h"
#include "output_file.h"

/* Exit statuses; `run` has CMD's own besides. */
enum {
        STATUS_OK = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_NO_DAEMON = 3,
        STATUS_NOT_EXECUTABLE = 126, /* as for shells (POSIX, 2.8.2 Exit Status for Commands) */
        STATUS_NOT_FOUND = 127,
        STATUS_SIGNAL = 128, /* and the signal's number */
};

struct command {
        const char *name;
        bool is_verb;   /* energat NAME */
        bool is_option; /* energat --NAME */
        bool takes_pid; /* energat --NAME PID */
        bool takes_arguments;
        bool arguments_optional;  /* though it takes them */
        unsigned int takes_files; /* so many words must be given, and they name files */
        bool needs_nothing;       /* works with settings that cannot be read, too */
        uint64_t options;         /* OPTION_* that it takes */
        const char *formats; /* of --format, separated by spaces, the usual one first; NULL: text
                                json */
        const char *usage;   /* behind "energat " */
        const char *summary; /* of a few words, for the list of commands */
        const char *details; /* of --help, lines; may be NULL */
        const char *example; /* of --help: lines, each a command and what it does */
        int (*run)(const struct options *options); /* returns the exit status */
};

/* In the order of the help text. */
#define COMMANDS(row)                                                                            \
        row(run) row(top) row(record) row(report) row(export) row(pid) row(check) row(basepower) \
                row(calibrate) row(sensors) row(status) row(config) row(version)

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/*
 * Connect to the daemon, and warn when --rapl-period differs from its sampling period.  STATUS_OK,
 * or another exit status when it has said on stderr why not.
 */
int command_connect(struct connection **ret, const struct options *options);

/* Say on stderr why there is no connection; returns the exit status for it. */
int command_no_daemon(const struct options *options, int error);

/* Say on stderr what a failed call means; returns the exit status for it. */
int command_failed(const struct connection *c, const struct options *options, int error);

/* Say on stderr that a file cannot be made; returns the exit status for it. */
int command_cannot_write(const char *path, int error);

/* Print a result on stdout and flush it, as below. */
int command_print_json(const json_t *object);

/*
 * Write the result of a command that shares stdout with another one: to `output` when that is open,
 * else JSON to stdout and text, as time(1) does, to stderr.  A file that cannot be written in the
 * end must not lose what took hours to measure: it then goes there, too.  `write`: 0 or -errno.
 */
int command_print_result(const struct options *options, struct output_file *output,
                         int (*write)(void *data, FILE *out), void *data);

/* Flush stdout; says so on stderr when the result did not get through. */
int command_finish_output(void);
