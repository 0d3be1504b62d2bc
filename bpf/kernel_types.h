/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The few kernel types the probe looks into, with only the fields it reads.
 *
 * preserve_access_index makes every access a CO-RE relocation: libbpf looks the field up by name in
 * the running kernel's BTF at load time, so layout and order here mean nothing, and no vmlinux.h of
 * the building machine is needed.  Names after ___ are other shapes of the same kernel type.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* kernel/sched/sched.h */
struct rq {
        struct task_struct *curr;
        __u64 clock;         /* sched_clock at the last update, ns */
        __u64 clock_task;    /* the same without interrupt and stolen time */
        __u64 prev_irq_time; /* CONFIG_IRQ_TIME_ACCOUNTING: ns in interrupts, at the last update */
        __u64 prev_steal_time_rq; /* CONFIG_PARAVIRT_TIME_ACCOUNTING: ns taken by the hypervisor */
};

/* kernel/sched/sched.h, CONFIG_FAIR_GROUP_SCHED */
struct cfs_rq {
        struct rq *rq; /* the CPU's */
};

/* include/linux/sched.h */
struct sched_entity {
        __u64 exec_start;            /* rq clock_task of the last update, ns */
        __u64 sum_exec_runtime;      /* CPU time so far, ns */
        __u64 prev_sum_exec_runtime; /* the same when it was last put on the CPU (fair class) */
        struct cfs_rq *cfs_rq;       /* CONFIG_FAIR_GROUP_SCHED; set for threads of every class */
};

struct task_struct {
        unsigned int __state;
        unsigned int flags;
        int exit_state;
        int pid;
        int tgid;
        struct sched_entity se;
        struct task_struct *group_leader;
        struct task_struct *real_parent;
        __u64 start_boottime;
        char comm[16];
};

/* before 5.14 */
struct task_struct___old_state {
        long state;
};

/* include/linux/bpf.h */
struct bpf_iter_meta {
        __u64 session_id;
};

struct bpf_iter__task {
        struct bpf_iter_meta *meta;
        struct task_struct *task;
};

#pragma clang attribute pop

/* include/linux/sched.h; the values have not changed since 4.14 */
#define TASK_DEAD  0x00000080
#define PF_KTHREAD 0x00200000
/* include/uapi/linux/sched.h */
#define CLONE_THREAD 0x00010000
