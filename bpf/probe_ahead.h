/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How far a thread that runs is ahead of what the scheduler has charged to it.
 *
 * Its sum_exec_runtime is as old as the last update of its run queue: a scheduler tick at most,
 * where the kernel ticks.  The time since then is its own, less what interrupts have taken; unless
 * a hypervisor had the CPU, which the run queue is told with its next update only.  Who is charged
 * for that and goes on has it taken back; who exits meanwhile does not.  So nobody is charged ahead
 *
 * - on a CPU of which more than a thousandth was stolen in this second or the one before; nor
 * - on one that was ever stolen from, when its last update is more than a scheduler tick ago: it is
 *   stolen now, or was until now.  Or the kernel does not tick there (nohz_full), and the thread is
 *   charged with the next update.
 *
 * On a machine without a hypervisor nothing is ever stolen.
 *
 * Pure: the probe's, and a test's that plays the kernel.
 */
#pragma once

#include "probe.h"

/* Some is always stolen: a virtual CPU that wakes up waits some microseconds for a real one. */
#define STEAL_PERIOD_NS 1000000000ULL
#define STEAL_MOST_NS   1000000ULL

/* What the kernel knew at the run queue's last update. */
struct rq_times {
        __u64 exec_start_ns; /* of the thread that runs: the queue's clock then */
        __u64 irq_ns;        /* in interrupts since cpu_state's clock was taken */
        __u64 stolen_ns;     /* by the hypervisor since boot */
};

/* Is so much of a CPU stolen that any time may be?  To be asked at every tick: it remembers. */
static inline __attribute__((always_inline)) int is_stolen(struct cpu_state *c, __u64 stolen_ns,
                                                           __u64 now_ns)
{
        int much = stolen_ns - c->steal_mark_ns > STEAL_MOST_NS;

        if (now_ns - c->steal_mark_at_ns < STEAL_PERIOD_NS)
                return much || c->was_stolen;
        c->was_stolen = much;
        c->steal_mark_ns = stolen_ns;
        c->steal_mark_at_ns = now_ns;
        return much;
}

/* At `now_ns` (CLOCK_MONOTONIC); 0 also on a CPU without a switch yet, whose clock is not known. */
static inline __attribute__((always_inline)) __u64 clock_ahead(struct cpu_state *c,
                                                               const struct rq_times *rq,
                                                               __u64 now_ns, __u64 sched_tick_ns)
{
        __s64 ahead = (__s64)now_ns + c->clock_offset_ns - (__s64)(rq->irq_ns + rq->exec_start_ns);

        if (!c->clock_offset_ns || ahead <= 0)
                return 0;
        if (rq->stolen_ns && (is_stolen(c, rq->stolen_ns, now_ns) ||
                              (__u64)ahead > sched_tick_ns + sched_tick_ns / 2))
                return 0;
        return (__u64)ahead;
}
