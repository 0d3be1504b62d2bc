/* SPDX-License-Identifier: MIT */
/*
 * The ledger: who has been charged what.  Owns the accounts, the processes and the list of targets,
 * and takes a tick through them: energy is booked on its account, split among the processes that
 * ran, and summed by target; targets whose interval is over, or that have ended, get their report.
 *
 * Everything here runs in the sampler's thread, between two ticks or in one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "accounts.h"
#include "cputime.h"
#include "memory_split.h"
#include "meter.h"
#include "processes.h"
#include "target.h"
#include "topology.h"

struct ledger {
        struct accounts accounts;
        struct processes processes;
        struct memory_split memory;
        const struct topology *topology; /* the sampler's */

        uint64_t now_ns, tick_ns;    /* of the last reading; the period */
        uint64_t *pending_uj;        /* by account: dynamic energy not split yet */
        uint64_t *rest_uj;           /* by account: scratch */
        uint64_t *unowned_before_ns; /* by slot */
        struct process *self;

        struct target *targets;
        unsigned int ntargets;

        uint64_t mark_period_ns;
        uint64_t mark_ns;    /* time of the last mark's tick (sampler.h) */
        uint64_t *mark_sums; /* and the accounts' sums at its end */
        bool at_mark;        /* the present tick is one */
        bool last;           /* the present tick is the last, which makes it a mark */

        /* scratch of the split, grown when more processes ran than ever before */
        uint64_t *weights, *shares, *scratch;
        size_t scratch_size;
};

/* -ENOMEM, or -ENOENT when the meter has no package domain. */
int ledger_init(struct ledger *l, const struct meter *meter, const struct topology *topology,
                uint64_t tick_ns, uint64_t mark_period_ns);
void ledger_deinit(struct ledger *l);

/* Where all differences begin: what the accounting counted until now is nobody's. */
void ledger_begin(struct ledger *l, const struct cputime *cputime, uint64_t now_ns);

/* Book the energy of a tick.  slept: the machine was suspended in it. */
void ledger_book(struct ledger *l, const struct meter_tick *tick, bool slept);
/*
 * Split what has been booked among the processes that ran, and serve the targets.  counted: whether
 * their CPU time is known; if not (no memory, no descriptor), the energy is nobody's.
 */
void ledger_split(struct ledger *l, const struct cputime *cputime, bool counted);

/* See sampler_follow(). */
int ledger_follow(struct ledger *l, struct target *t);

/* Give every process its part of what has been booked for memory, see memory_split.h. */
void ledger_settle(struct ledger *l);
/* Memory has been measured: from now on dram is split by this. */
void ledger_hold(struct ledger *l, const struct memory_holdings *holdings);

/* For the reports: the interval of `t` ends now and the next one begins; or the target ends. */
void target_close_interval(struct ledger *l, struct target *t, bool last);
void target_finish(struct ledger *l, struct target *t);
