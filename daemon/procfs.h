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

/* Its parent, or a negative errno. */
pid_t procfs_ppid(const char *root, pid_t pid);

struct procfs_status {
        pid_t tgid; /* differs from the pid asked for: that was a thread */
        uid_t uid, euid, suid;
        char state;
};

int procfs_status(struct procfs_status *status, const char *root, pid_t pid);

/*
 * The process that has `pid` in the pid namespace of process `peer`: `pid` itself when that is our
 * namespace too.  -ESRCH when there is none, -EACCES when the kernel does not let us see.
 */
pid_t procfs_pid_in_namespace_of(const char *root, pid_t peer, pid_t pid);
