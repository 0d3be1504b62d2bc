/* SPDX-License-Identifier: MIT */
/* What /proc says of a process.  Format: proc(5).  `root` is "/proc" outside tests. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct procfs_stat {
        char comm[16];
        char state;
        pid_t ppid;
        unsigned int flags;   /* PF_* of the kernel */
        uint64_t cpu_ticks;   /* utime + stime, in clock ticks */
        uint64_t start_ticks; /* since boot, in clock ticks */
        long threads;
        int cpu; /* it ran on last */
};

#define PROCFS_PF_KTHREAD 0x00200000u /* include/linux/sched.h */

/* Parse the text of a stat file.  0 or -EBADMSG. */
int procfs_parse_stat(struct procfs_stat *stat, const char *text);

/* /proc/PID/stat.  0, -ESRCH when there is no such process, or another negative errno. */
int procfs_stat(struct procfs_stat *stat, const char *root, pid_t pid);

/* The same of one of its threads, whose own cpu_ticks, cpu and state these are. */
int procfs_thread_stat(struct procfs_stat *stat, const char *root, pid_t pid, pid_t tid);

/*
 * CPU time of a thread, in ns: the first number of its schedstat
 * (Documentation/scheduler/sched-stats.rst in the kernel).  0, -ESRCH, or another negative errno.
 */
int procfs_thread_ns(uint64_t *ns, const char *root, pid_t pid, pid_t tid);

/* Its parent, or a negative errno. */
pid_t procfs_ppid(const char *root, pid_t pid);

struct procfs_status {
        pid_t tgid; /* differs from the pid asked for: that was a thread */
        uid_t uid, euid, suid;
        char state;
};

int procfs_status(struct procfs_status *status, const char *root, pid_t pid);

struct procfs_namespace {
        dev_t dev;
        ino_t ino;
};

static inline bool procfs_namespace_equal(const struct procfs_namespace *a,
                                          const struct procfs_namespace *b)
{
        return a->dev == b->dev && a->ino == b->ino;
}

/* The pid namespace that a process is in; pid 0: ours.  0, -ESRCH, or -EACCES when the kernel does
 * not let us see. */
int procfs_pid_namespace(struct procfs_namespace *namespace, const char *root, pid_t pid);
/* A process's pid in the namespace that it is in, or -ESRCH. */
pid_t procfs_innermost_pid(const char *root, pid_t pid);
