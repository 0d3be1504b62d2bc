/* SPDX-License-Identifier: MIT */
/*
 * A target: a process and all its descendants, followed for one request.
 *
 * Made and freed by the server's thread; between sampler_follow() and its final report everything
 * in it but the ring's reading end belongs to the sampler's thread.  Reports go through a ring of
 * fixed size: when the server is slow, an interval is not closed but goes on, so nothing is lost
 * and the tick never waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "accounts.h"
#include "mailbox.h"

#define TARGET_REPORTS 8

enum report_event { REPORT_INTERVAL, REPORT_FINAL };

/* One kind of energy on one socket over a window. */
struct energy_report {
        bool known;      /* the domain is there and was read at least once in the window */
        bool gap;        /* but not all the time */
        bool base_known; /* and was all the time */
        bool base_high;  /* less energy than the baseline says: it is too high */
        uint64_t below_base_ticks;
        uint64_t still_ns;   /* for which the counter stood still */
        uint64_t late_ns;    /* of the energy, from before the readings that told it */
        uint64_t unbased_ns; /* of the energy, without a baseline, though there is one now */
        uint64_t energy_uj, static_uj, share_uj, tracer_uj;
        double attributed_j;
        double credit; /* negative: not known */
};

struct socket_report {
        uint64_t cpu_ns, busy_ns;
        struct energy_report energy[ENERGY_KINDS];
};

/* What is known of memory held, as last measured: bytes in all, those by exact readings, the oldest
 * of which was at exact_ns (CLOCK_MONOTONIC). */
struct held_basis {
        uint64_t bytes, exact_bytes, exact_ns;
};

struct report {
        enum report_event event;
        uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC, at ticks */
        uint64_t machine_ns; /* what the machine's values cover: longer where marks bound them */
        uint64_t cpu_ns;
        unsigned int processes, threads; /* the most at a time */
        double held_bytes;               /* on average */
        struct held_basis held_basis;
        bool detached;
        uint64_t memory_unknown_ns; /* of the window: no energy of dram is charged for it */
        uint64_t machine[SUM_MACHINE_COLUMNS]; /* what happened in the window */
        unsigned int nsockets;
        struct socket_report *sockets;
};

/* Memory of a target behind one dram account: see memory_split.h. */
struct held {
        uint64_t bytes;      /* by its processes together */
        uint64_t settled_uj; /* of the epoch's energy, in used.share_uj so far */
        uint64_t remainder;  /* of the division that gave that */
        /* part of the memory in use, and bytes, x time: since it was followed, and before the
         * present interval */
        double credit_ns, credit_before_ns, byte_ns, byte_before_ns;
};

/* What a target has used, in all: a copy is taken at the start of each interval. */
struct usage {
        uint64_t *cpu_ns;   /* by slot, nslots + 1 */
        uint64_t *share_uj; /* by account */
};

struct target {
        /*
         * What tells the server that there are reports; and that the final one is there and the
         * sampler has let go of the target: the server may then free it.
         */
        struct letter news, farewell;
        bool news_pending;
        struct mailbox *mailbox;
        void *owner; /* of the server */

        uint64_t id;
        pid_t pid;
        uint64_t start_ticks; /* with pid: who is meant; 0: whoever has the pid */
        double gamma, delta;
        uint64_t interval_ns;
        bool intervals; /* reports of intervals are wanted */
        bool coarse;    /* the machine's values from mark to mark only (sampler.h) */

        /* the sampler's */
        struct target *next, *prev;
        bool detach;
        bool abandoned; /* nobody waits for its final report: it need not be at a mark */
        bool left;      /* its final report is filled in */
        unsigned int nprocesses, nthreads;
        unsigned int max_processes, max_threads;   /* at a time, in the present interval */
        unsigned int most_processes, most_threads; /* in all */
        struct usage used, used_before;
        double *attributed_j;       /* by account, up to the last interval's end */
        struct held *held;          /* by account */
        uint64_t held_since_ns;     /* until when it is settled */
        bool held_known;            /* its memory was there when all was last measured, */
        bool held_lately;           /* or at least once in the present interval, */
        bool held_once;             /* or at least once since it was followed */
        uint64_t memory_unknown_ns; /* in how long intervals it never was */
        struct held_basis held_basis, held_basis_next;
        uint64_t *sums_begin, *sums_before;
        uint64_t begin_ns, before_ns;
        uint64_t sums_begin_ns, sums_before_ns; /* when the sums were copied: coarse: at a mark */
        uint64_t before_mark; /* coarse: number of the mark that the present interval counts from */
        uint64_t over_ns;     /* its last process has gone; 0: not yet */

        /* the ring: written by the sampler, read by the server */
        struct report ring[TARGET_REPORTS];
        unsigned int written, read;
};

/* The server sets news.deliver and farewell.deliver. */
int target_new(struct target **ret, const struct accounts *accounts, struct mailbox *mailbox,
               void *owner);
void target_free(struct target *t);

/* For the sampler: a report to fill in, or NULL when only the place kept for the final one is left.
 */
struct report *target_report(struct target *t, bool final);
void target_send(struct target *t, bool final);

/* For the server: the oldest report, or NULL; target_next() gives its place back. */
const struct report *target_peek(const struct target *t);
void target_next(struct target *t);
/* Call when the news is delivered, before reading the reports. */
void target_news_taken(struct target *t);
