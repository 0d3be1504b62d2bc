/* SPDX-License-Identifier: MIT */
/* A run of measure.h that is under way: what measure.c and running_signals.c share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "follow.h"
#include "measure.h"

struct running {
        const struct measure *measure;
        const struct options *options;
        struct signals *signals;
        struct follow follow;
        struct follow fine; /* a second stream of shorter intervals; connection NULL: none */
        struct child child;
        int interrupted;       /* the signal that asked for an end, 0: none has */
        uint64_t released_ns;  /* CMD has begun */
        uint64_t exited_ns;    /* CMD has exited */
        double exited_at_s;    /* the same in seconds since 1970, to compare with reports */
        uint64_t ended_ns;     /* the stream has ended, well or not */
        uint64_t detached_ns;  /* we asked for its end; 0: we did not */
        bool fine_taken;       /* short intervals are told, not the usual ones */
        bool noticed;          /* the user knows what is waited for */
        bool abandoned;        /* CMD still runs, and we do not wait for it */
        bool suspended;        /* SIGTSTP has come: stop when CMD does */
        bool was_stopped;      /* this process has been stopped together with CMD */
        uint64_t interrupt_ns; /* when the last SIGINT came; 0: none has */
        const char *cut_short; /* a warning: why descendants are not counted to their end */
};

const char *running_name(const struct running *r); /* of CMD */
/* Has CMD exited, or stopped?  And when. */
void running_update_child(struct running *r);
/* Ask for the final report although descendants of CMD still run.  Asked twice: do without. */
void running_cut_short(struct running *r, const char *why);

/* A signal has come to energat. */
void running_on_signal(struct running *r, const struct signalfd_siginfo *info);
/* SIGHUP, with nohup(1): this one shall stay. */
bool running_hangup_ignored(const struct running *r, const struct signalfd_siginfo *info);
/* The shell sees its job as stopped when this process is: stop when CMD has, after SIGTSTP. */
void running_stop_with_child(struct running *r);
