/* SPDX-License-Identifier: MIT */
/*
 * CPU time of a process, thread by thread, from /proc: how much each has used, and on which
 * topology slot it is.
 *
 * Time comes from /proc/PID/task/TID/schedstat in nanoseconds where the kernel has it, else from
 * the stat files in clock ticks.  Formats: proc(5), Documentation/scheduler/sched-stats.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "procfs.h"
#include "topology.h"

/* Threads and their time so far.  All zero: none. */
struct thread_times {
        struct thread_time {
                pid_t tid;
                uint64_t ns;
        } * all;
        size_t n, max;
};

void thread_times_deinit(struct thread_times *t);
/* -ENOMEM: `to` is as it was. */
int thread_times_copy(struct thread_times *to, const struct thread_times *from);

struct thread_reader {
        const char *root; /* /proc; not owned */
        uint64_t tick_ns; /* a clock tick of the stat files */
        bool schedstat;
        /* of the process that was read last */
        struct thread_times now;
        uint64_t ran_ns[TOPOLOGY_MAX_SLOTS + 1]; /* by the slot each thread is on */
};

/* `root` outlives the reader. */
void thread_reader_init(struct thread_reader *r, const char *root);
void thread_reader_deinit(struct thread_reader *r);

/*
 * Read the threads of `pid` into r->now, and what each used since `before` into r->ran_ns.  `stat`
 * is the process's.  *ns: its time so far; that of threads that have gone is in clock ticks only.
 * 0, -ESRCH when it has gone meanwhile, or another negative errno.
 */
int thread_reader_read(struct thread_reader *r, const struct thread_times *before,
                       const struct topology *topology, pid_t pid, const struct procfs_stat *stat,
                       uint64_t *ns);

/* The slot of a CPU; nslots when it is not known. */
static inline unsigned int slot_of_cpu(const struct topology *topology, int cpu)
{
        if (cpu < 0 || (unsigned int)cpu >= topology->ncpus || topology->cpus[cpu].slot < 0)
                return topology->nslots;
        return (unsigned int)topology->cpus[cpu].slot;
}
