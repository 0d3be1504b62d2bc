/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The probe's half of the tables that it shares with the daemon: a row for each process, handed out
 * at birth and counted by its threads, what is charged to it, and the queue of those that have
 * changed.  probe.h says who writes what and why nothing is lost; daemon/rows.c is the other half.
 */
#pragma once

#include "kernel_types.h"
#include "probe.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Set before load. */
const volatile __u32 nslots = 1;
const volatile __u32 ncpus = 1;
const volatile __u32 nrows_mask = 0;   /* number of rows - 1; a power of two less one */
const volatile bool count_irq = false; /* the probe's own interrupt accounting */
const volatile __u64 sched_tick_ns = 0;

struct probe_control control;
struct probe_counters counters __attribute__((aligned(64)));

struct thread {
        __u64 last_ns; /* of sum_exec_runtime, charged so far */
        __u32 row;
        __u32 counted; /* 1: is in row.live; 2: was */
        __u32 claimed; /* of a process's first thread: somebody takes a row for it, or has */
        __u32 unused;
};

struct {
        __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, int);
        __type(value, struct thread);
} threads SEC(".maps");

/* max_entries and value_size of the following are set before load. */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __uint(key_size, 4);
        __uint(value_size, 64);
} rows SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct row_info);
} infos SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct cpu_state);
} cpus SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(map_flags, BPF_F_MMAPABLE);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct row_place);
} places SEC(".maps");

static __always_inline struct row *row_at(__u32 number)
{
        return bpf_map_lookup_elem(&rows, &number);
}

/* Queue a row for the daemon, unless it is queued already.  The exchange is the full barrier. */
static __noinline int row_queue(__u32 number)
{
        struct row *row = row_at(number);
        struct row_place *place;
        __u32 at;

        if (!row || __sync_lock_test_and_set(&row->dirty, 1))
                return 0;
        at = (__u32)__sync_fetch_and_add(&counters.queue_tail, 1) & nrows_mask;
        place = bpf_map_lookup_elem(&places, &at);
        if (place)
                *(volatile __u32 *)&place->dirty_row = number;
        return 0;
}

/*
 * Add, with a full barrier behind it.  The kernel gives that to read-modify-writes that return a
 * value, and clang only makes one of those when the value is used.
 */
static __always_inline void add_ordered(__s64 *cell, __s64 ns)
{
        __s64 before = __sync_fetch_and_add(cell, ns);

        asm volatile("" : : "r"(before));
}

static __always_inline void row_add(__u32 number, __s32 slot, __s64 ns)
{
        struct row *row = row_at(number);
        __u32 cell = slot;

        if (!row)
                return;
        if (cell >= nslots)
                cell = nslots;
        add_ordered(&row->ns[cell], ns);
        if (!*(volatile __u32 *)&row->dirty)
                row_queue(number);
}

/* ---- rows: hand out at birth ---- */

/* ROW_NONE: none is free.  See struct row_place. */
static __always_inline __u32 row_take(void)
{
        for (int i = 0; i < 32; i++) {
                __u64 head = *(volatile __u64 *)&counters.free_head, entry;
                __u32 at = (__u32)head & nrows_mask;
                struct row_place *place = bpf_map_lookup_elem(&places, &at);

                if (!place)
                        return ROW_NONE;
                entry = *(volatile __u64 *)&place->free_row;
                if (entry >> 32 != (__u32)head) {
                        if (*(volatile __u64 *)&counters.free_head == head)
                                return ROW_NONE;
                } else if (__sync_val_compare_and_swap(&counters.free_head, head, head + 1) ==
                           head) {
                        return (__u32)entry;
                }
        }
        return ROW_NONE;
}

static __always_inline void row_describe(__u32 number, struct task_struct *leader, __u32 parent)
{
        struct row_info *info = bpf_map_lookup_elem(&infos, &number);
        struct row *above;

        if (!info)
                return;
        info->start_ns = leader->start_boottime;
        info->tgid = leader->tgid;
        info->flags = leader->flags & PF_KTHREAD ? ROW_KTHREAD : 0;
        info->parent = parent;
        above = row_at(parent);
        info->parent_generation = above && parent != ROW_NONE ? above->generation : 0;
        bpf_probe_read_kernel_str(info->comm, sizeof(info->comm), leader->comm);
}

/* Count a thread into its row once. */
static __always_inline void thread_count(struct thread *t)
{
        struct row *row;

        if (__sync_val_compare_and_swap(&t->counted, 0, 1) != 0)
                return;
        row = row_at(t->row);
        if (row)
                __sync_fetch_and_add(&row->live, 1);
}

/* No thread of the row will run again. */
static __always_inline void row_died(__u32 number)
{
        struct row *row = row_at(number);

        row_queue(number);
        if (row)
                *(volatile __u16 *)&row->dead = 1;
}

static __always_inline void thread_uncount(struct thread *t)
{
        struct row *row;

        if (__sync_val_compare_and_swap(&t->counted, 1, 2) != 1)
                return;
        row = row_at(t->row);
        if (row && __sync_fetch_and_add(&row->live, -1) == 1)
                row_died(t->row);
}

/* A row for a process that has none; `parent` is the row it is born from. */
static __always_inline __u32 process_row(struct task_struct *leader, __u32 parent)
{
        __u32 number = row_take();

        if (number != ROW_NONE) {
                row_describe(number, leader, parent);
                return number;
        }
        __sync_fetch_and_add(&counters.merged, 1);
        return parent == ROW_NONE ? ROW_LOST : parent;
}

/*
 * Is it for us to take a row for the process of this thread?  A process is in the kernel's tables
 * before task_newtask tells of it, so adopt() may meet it first, or at the same time: one of the
 * two gives it a row, and the other leaves it alone.
 */
static __always_inline bool row_claim(struct thread *t)
{
        return __sync_val_compare_and_swap(&t->claimed, 0, 1) == 0;
}
