/* SPDX-License-Identifier: MIT */
/*
 * Busy time of every CPU of the machine: nanoseconds in which it ran a task, kernel threads
 * included, idle excluded.  Cumulative from an arbitrary start.
 *
 * Sources, best first:
 * cpuacct    the root group of cgroup v1's cpuacct controller.  Nanoseconds; a task that stays on
 *            the CPU is charged at every scheduler tick (4 ms at 250 Hz) and whenever it leaves.
 *            Where no cpuacct hierarchy is mounted (cgroup v2 only), one is mounted, opened and
 *            detached again: only the open file keeps it, so that nothing is left behind however
 *            the process ends.  That needs CAP_SYS_ADMIN.
 * schedstat  /proc/schedstat, run time per CPU.  Nanoseconds, but charged only when the task
 *            leaves the CPU: late by up to a whole time slice or more.
 * stat       time since the start minus idle and iowait of /proc/stat, in steps of 10 ms.
 */
#pragma once

#include <sched.h>
#include <stddef.h>
#include <stdint.h>

enum busy_source { BUSY_AUTO, BUSY_CPUACCT, BUSY_SCHEDSTAT, BUSY_STAT };

struct busy_time {
        enum busy_source source; /* never BUSY_AUTO once open */
        int fd;
        unsigned int ncpus;
        char *text; /* what was read */
        size_t text_size;
        uint64_t *highest_ns; /* per CPU, so that no value ever decreases */
        uint64_t opened_ns;   /* CLOCK_MONOTONIC */
        cpu_set_t allowed;    /* CPUs to settle */
};

/* Possible CPUs of the machine (highest number + 1), 0 when the kernel does not tell. */
unsigned int busy_time_possible_cpus(void);

int busy_source_by_name(const char *name, enum busy_source *ret);
const char *busy_source_name(enum busy_source source);

/* Open a source; with BUSY_AUTO the best that works.  0 or a negative errno. */
int busy_time_open(struct busy_time *b, enum busy_source wanted, unsigned int ncpus);
void busy_time_close(struct busy_time *b);

/*
 * Go over all CPUs that this process may use, at real-time priority: who runs there is switched out
 * for it, and with that charged for all that it has used.  Without, busy time that belongs to one
 * task is told in the time of another, up to a scheduler tick later.  0 or a negative errno.
 */
int busy_time_settle(struct busy_time *b);

/* Read all CPUs into busy_ns[0..ncpus-1].  0 or a negative errno. */
int busy_time_read(struct busy_time *b, uint64_t *busy_ns);
