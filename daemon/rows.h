/* SPDX-License-Identifier: MIT */
/*
 * The daemon's half of the tables it shares with the probe: reading rows, meeting births, freeing
 * the dead, and the CPUs' idle and interrupt time.  bpf/probe.h says why nothing is lost or counted
 * twice.
 *
 * Works on plain memory: who maps the tables, and who writes them (the probe, or a test that plays
 * it), is not its business.  One thread reads; the other side may write at any moment.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cputime.h"
#include "probe.h"
#include "processes.h"
#include "topology.h"

/* Size of one row with its cells, a multiple of the cache line. */
size_t rows_stride(unsigned int nslots);

/* The shared memory.  Not owned. */
struct rows_memory {
        void *rows; /* nrows x rows_stride() */
        struct row_info *infos;
        struct row_place *places;
        struct cpu_state *cpus;
        struct probe_control *control;
        struct probe_counters *counters;
};

/* A process that was met before its parent. */
struct orphan {
        uint32_t row;
        pid_t ppid;
};

/* A CPU's sums at the last collection. */
struct cpu_seen {
        int64_t idle_ns;
        uint64_t irq_ns;
        uint64_t stolen_ns;
        uint64_t nobody_ns;
        bool online;
        bool met; /* has switched: its sums are known */
};

struct rows {
        struct rows_memory shared;
        struct processes *ps;
        const char *proc_root; /* for the parents of processes older than the probe */
        unsigned int nslots, ncpus;
        uint32_t nrows; /* a power of two */
        size_t stride;

        struct process **owner; /* by row; NULL: free, or not met yet */
        uint16_t *renames;      /* by row: the last value seen */
        bool *is_dying;         /* by row */
        uint32_t *dying;        /* rows with no live thread, not freed yet */
        uint32_t ndying;
        struct orphan *orphans; /* met since they were last linked */
        uint32_t norphans;
        uint32_t queue_head;
        uint32_t free_tail; /* end of the ring of free rows */
        uint32_t again;     /* a row that could not be read for want of memory, or ROW_NONE */
        int64_t lost_debt_ns, unplaced_debt_ns; /* as process.debt_ns, of the losses */

        struct cpu_seen *seen; /* by CPU */
        unsigned int nonline;
        uint64_t collected_ns; /* of the last rows_collect_cpus() */
};

/* Makes all rows but the reserved ones free.  The memory must be zero.  -ENOMEM. */
int rows_init(struct rows *t, const struct rows_memory *shared, uint32_t nrows, unsigned int nslots,
              unsigned int ncpus, struct processes *ps, const char *proc_root);
void rows_deinit(struct rows *t);

/* Tell each CPU its slot, and which are online. */
void rows_set_topology(struct rows *t, const struct topology *topology);

/* Read what has been charged, meet who was born, free who is dead.  0 or -ENOMEM. */
int rows_collect(struct rows *t, struct cputime_totals *totals, struct cputime_losses *losses);

/*
 * Idle, interrupt and stolen time up to `now_ns` (CLOCK_MONOTONIC).  own_irq: counted by the probe.
 * Whether that is known at all, who opened the probe can tell.
 */
void rows_collect_cpus(struct rows *t, struct cputime_totals *totals, uint64_t now_ns,
                       bool own_irq);
