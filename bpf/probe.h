/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the kernel's half of the CPU accounting (probe.bpf.c) and the daemon's half
 * (daemon/cputime_bpf.c) share.  All of it is memory both can see: the maps are mapped into the
 * daemon, which reads a tick without a system call a row.
 *
 * The unit of account is a *row*: one process, with one 64-bit cell of nanoseconds per topology
 * slot. Rows are numbered; a row number is handed out at fork in the kernel, and given back by the
 * daemon, and only by the daemon, once it has read everything of a process whose last thread is
 * gone.
 *
 * How nothing is lost and nothing counted twice
 * ---------------------------------------------
 * 1. A nanosecond is charged once.  thread.last_ns is how much of a thread's CPU time (the
 *    scheduler's own sum_exec_runtime) has been charged.  Whoever charges, the switch-out on the
 * thread's CPU or the tick on another, moves last_ns forward with one atomic exchange or
 * compare-and-exchange and adds exactly the distance moved to the row.  A switch that the probe
 * misses only makes the next distance longer.
 * 2. A charged nanosecond is read once.  Cells are added to with an atomic add and emptied by the
 *    daemon with an atomic exchange for 0.  Read-modify-writes of one location are totally ordered,
 *    so each addition is taken by exactly one exchange.
 * 3. Every row with something in it is found.  The queue holds the numbers of the dirty rows.  The
 * probe adds to a cell, then reads row.dirty, and queues the row when it was 0; the daemon clears
 *    row.dirty, then empties the cells.  Between the two steps both sides have a full barrier (an
 *    atomic read-modify-write that returns a value is one, Documentation/atomic_t.txt in the
 *    kernel; seq_cst in the daemon).  So either the probe sees dirty = 0 and queues the row again,
 * or the daemon sees the addition: the store-buffering pattern of
 * Documentation/memory-barriers.txt.
 * 4. The queue cannot overflow: a row is in it at most once, because only the one that turns dirty
 * from 0 to 1 (atomic exchange) queues it, and the queue has as many places as there are rows.
 * 5. A row is free only after its process is: live counts the threads that have not made their last
 *    switch, and the probe lets it fall to 0 after the last charge, queues the row, and then sets
 * dead.  The daemon frees a row when it has seen dead and has then read the queue to its end: the
 * probe will not touch it again.  Births come before deaths: a child is queued by its parent's own
 *    thread, hence before that parent's last switch.  The tick, too, charges nobody whose row has
 *    been freed: __schedule() makes the next thread rq->curr before it calls sched_switch, so a
 *    thread that has made its last switch is not found running afterwards; and the daemon frees no
 *    row while it runs the tick.
 * 6. A process has one row.  Its first thread may be met twice, at its birth and, even before that,
 *    by the iterator over all threads: thread.claimed goes from 0 to 1 once, by
 *    compare-and-exchange, and who made it go takes the row.
 *
 * A value read from a cell can be negative: the tick charges a running thread by an estimate that
 * can be some microseconds ahead of the scheduler's next update, and the following switch-out takes
 * that back.
 */
#pragma once

#include <linux/types.h>

#define ROW_NONE  0 /* not set */
#define ROW_LOST  1 /* time of processes for which there was neither a row nor a parent's */
#define ROW_FIRST 2 /* first that is handed out */

#define ROW_KTHREAD 1u /* row_info.flags: a kernel thread */

#define IDLE_UNKNOWN \
        (-0x7fffffffffffffffLL - 1) /* cpu_state.idle_word before the first switch or tick */

#define TICK_CHUNK 64 /* CPUs looked at by one run of tick_all */

/* Hot part of a row.  The map's value is this and (nslots + 1) cells, rounded up to 64 bytes. */
struct row {
        __u32 generation; /* counts the owners of this number; written by the daemon when it frees
                           */
        __u32 dirty;      /* in the queue */
        __u32 live;       /* threads that have not made their last switch */
        __u16 renames;    /* counts changes of row_info.comm */
        __u16 dead;       /* live has been 0; the last thing the probe writes for an owner */
        __s64 ns[]; /* CPU time not yet read, by slot; the last cell: on CPUs without a slot */
};

/* Cold part: written once at birth, comm also at exec and prctl(PR_SET_NAME). */
struct row_info {
        __u64 start_ns; /* start_boottime of the process: with tgid, its identity */
        __u32 tgid;     /* 0: the row is free */
        __u32 parent;   /* row of the process that forked it, ROW_NONE if not known */
        __u32 parent_generation;
        __u32 flags;
        char comm[16];
};

/*
 * One place each of two rings, with as many places as there are rows.
 *
 * The ring of free rows: the daemon writes at position p the number of a row it has freed, and p
 * itself above it, in one store.  The probe reads the place of its head, and owns the row once it
 * has moved the head on by one: the place cannot have been written anew before that.  Another
 * position in the place than the head's: no row is free, or others have moved the head.
 */
struct row_place {
        __u64 free_row;  /* bits 31..0: the row; 63..32: its position in the ring */
        __u32 dirty_row; /* the queue of dirty rows; 0: not written yet */
        __u32 unused;
};

/*
 * One per possible CPU, two cache lines each; a switch touches the first.  The clock is the run
 * queue's clock_task: the scheduler's own, which leaves out interrupt and stolen time where the
 * kernel accounts them.
 */
struct cpu_state {
        __s32 slot;            /* topology slot, or < 0; written by the daemon */
        __u32 synced;          /* value of probe_control.tick when the next three were taken */
        __s64 clock_offset_ns; /* the clock minus CLOCK_MONOTONIC; 0: not taken yet */
        __u64 irq_ns;          /* interrupt time so far */
        __u64 stolen_ns;       /* time the hypervisor gave to others so far */
        /*
         * Idle time in one word, so that one load is a whole answer: bit 0 tells whether the CPU is
         * idle now, the rest is a sum of ns; when idle, the clock at its beginning has been
         * subtracted.  Of a CPU that has idled since before the probe, with no switch yet that
         * would tell its clock (clock_offset_ns is 0), the clock here is CLOCK_MONOTONIC less
         * irq_ns.
         */
        __s64 idle_word;
        __s64 switch_ns; /* the clock at the last switch seen */
        __u64 ticked_ns; /* charged by ticks since then to the thread that it put on */
        /*
         * The thread that the last switch seen put on this CPU.  When the next switch takes another
         * one off, a switch was kept from the probe (some sandboxes hide those of their own agent),
         * and what cannot be told to be somebody's in between is hidden.  It is told by its
         * address, because exec by a thread that is not the first one changes its number while it
         * runs.  0 before the first switch.
         */
        __u64 expected_task;
        __u32 irq_depth; /* from here: the probe's own interrupt accounting, for kernels without */
        __u32 unused_too;
        __u64 irq_mark_ns;  /* irq_ns at the last switch */
        __u64 irq_start_ns; /* when the present interrupt began */
        /*
         * Time that was nobody's: around switches that were hidden, idle or not; and inside the
         * scheduler, which ends a thread's time, then looks for work on other CPUs, and only then
         * begins the next one's.  Where it finds none, that belongs to idling.
         */
        __u64 nobody_ns;
        /* Of the ticks, see probe_ahead.h: stolen time at the beginning of the present second, when
         * that was, and whether much was stolen in the second before. */
        __u64 steal_mark_ns;
        __u64 steal_mark_at_ns;
        __u32 was_stolen;
        __u32 unused_either;
        __u64 unused;
};

/* Written by the daemon, read by the probe. */
struct probe_control {
        __u32 started; /* every existing thread has its row: a thread without one is a loss */
        __u32 tick;    /* counts ticks */
};

/* Written by the probe, read by the daemon.  Cumulative. */
struct probe_counters {
        __u64 lost_threads;    /* threads born without storage: no memory */
        __u64 unseen_switches; /* switches of threads without storage or row */
        __u64 unseen_ns;       /* CPU time of those without storage: at most this much is missing */
        __u64 hidden_switches; /* see cpu_state.expected_task */
        __u64 merged;     /* processes counted in their parent's row because the table was full */
        __u64 queue_tail; /* end of the queue of dirty rows */
        __u64 free_head;  /* start of the ring of free rows */
};
