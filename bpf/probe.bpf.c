// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * CPU time of every process by topology slot, counted where it is spent: at sched_switch.
 *
 * The clock is the scheduler's own.  When a thread is switched out, the scheduler has just brought
 * its sum_exec_runtime up to date; the difference to what was charged before was spent on this CPU
 * since the thread came here, for a thread changes CPU only while it is off it.  So the probe reads
 * no clock and looks up only the thread that leaves, and its sums are those of getrusage(2) and
 * schedstat by construction: interrupt and stolen time are out where the kernel takes them out.
 *
 * See probe.h for the argument why nothing is lost or counted twice.  The rows are probe_rows.h;
 * this is when they are charged.
 */
#include "probe.h"
#include "kernel_types.h"
#include "probe_ahead.h"
#include "probe_rows.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

extern const struct rq runqueues __ksym; /* only tick_all: not on kernels without KALLSYMS_ALL */

static __always_inline unsigned int task_state(struct task_struct *task)
{
        if (bpf_core_field_exists(task->__state))
                return task->__state;
        return (unsigned int)BPF_CORE_READ((struct task_struct___old_state *)task, state);
}

/*
 * Birth of a thread or a process.  task_newtask is the one place that all of them pass (fork,
 * clone, vfork, kernel threads, io_uring workers), in the parent's context, before the child can
 * run.
 */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task, unsigned long clone_flags)
{
        struct thread born = {}, *t, *p;
        __u32 above;

        if (!task->pid) /* the idle thread of a CPU that is being brought up */
                return 0;
        p = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
        above = p ? p->row : ROW_NONE;
        /* A thread of a process that is not adopted yet waits for adopt() with its own time intact.
         */
        if (clone_flags & CLONE_THREAD)
                born.row = above;
        t = bpf_task_storage_get(&threads, task, &born, BPF_LOCAL_STORAGE_GET_F_CREATE);
        if (!t) {
                __sync_fetch_and_add(&counters.lost_threads, 1);
        } else if (clone_flags & CLONE_THREAD) {
                if (t->row != ROW_NONE)
                        thread_count(t);
        } else if (row_claim(t)) {
                t->row = process_row(task, above);
                thread_count(t);
                row_queue(t->row);
        }
        return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *comm)
{
        struct row_info *info;
        struct thread *t;
        struct row *row;

        if (task->pid != task->tgid)
                return 0;
        t = bpf_task_storage_get(&threads, task, NULL, 0);
        if (!t)
                return 0;
        info = bpf_map_lookup_elem(&infos, &t->row);
        row = row_at(t->row);
        if (!info || !row || info->tgid != (__u32)task->tgid) /* merged into another's row */
                return 0;
        bpf_probe_read_kernel_str(info->comm, sizeof(info->comm), comm);
        (*(volatile __u16 *)&row->renames)++;
        row_queue(t->row); /* its exchange orders the name before the news of it */
        return 0;
}

/*
 * The threads that exist when the daemon starts (their time begins now), or that could not get
 * their row when they were born.  Runs beside on_newtask and on_switch, but never beside the
 * daemon's reading: the daemon itself runs it, so a row that is queued here before its threads are
 * counted is not taken for dead.
 */
SEC("iter/task")
int adopt(struct bpf_iter__task *ctx)
{
        struct task_struct *task = ctx->task, *leader;
        struct thread fresh = {}, *l, *t;

        if (!task || !task->pid || task->exit_state)
                return 0;
        leader = task->group_leader;
        if (!leader)
                return 0;
        fresh.last_ns = leader->se.sum_exec_runtime;
        l = bpf_task_storage_get(&threads, leader, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
        if (!l)
                return 0;
        if (l->row == ROW_NONE) {
                struct task_struct *parent = leader->real_parent;
                __u32 above = ROW_NONE, number;

                if (!row_claim(l)) /* on_newtask is at it, on another CPU */
                        return 0;
                if (parent && !parent->exit_state) {
                        struct thread *p = bpf_task_storage_get(&threads, parent, NULL, 0);

                        if (p)
                                above = p->row;
                }
                number = process_row(leader, above);
                l->row = number;
                row_queue(number);
        }
        fresh.last_ns = task->se.sum_exec_runtime;
        fresh.row = l->row;
        t = bpf_task_storage_get(&threads, task, &fresh, BPF_LOCAL_STORAGE_GET_F_CREATE);
        if (!t)
                return 0;
        if (t->row == ROW_NONE)
                t->row = l->row;
        thread_count(t);
        /* Did it make its last switch before it was counted?  Then nobody else will uncount it. */
        if (task_state(task) & TASK_DEAD)
                thread_uncount(t);
        return 0;
}

/* ---- the clock of one CPU ---- */

/* The run queue of the CPU that `task` runs, or has just run, on. */
static __always_inline const struct rq *rq_of(struct task_struct *task)
{
        return bpf_core_field_exists(task->se.cfs_rq) ? task->se.cfs_rq->rq : NULL;
}

/* What a thread, or the idle loop, could have used by now on this CPU. */
static __always_inline __s64 task_clock(const struct cpu_state *c, const struct rq *rq)
{
        return (__s64)(rq->clock_task - (count_irq ? c->irq_ns : 0));
}

static __always_inline void clock_sync(struct cpu_state *c, const struct rq *rq, __u32 tick)
{
        __s64 offset_ns = (__s64)(rq->clock_task - bpf_ktime_get_ns());

        if (!c->clock_offset_ns) {
                /* The first switch.  Idle until now?  Then by CLOCK_MONOTONIC: see cpu_was_idle().
                 */
                __s64 word = __sync_val_compare_and_swap(&c->idle_word, IDLE_UNKNOWN, 0);

                if (word != IDLE_UNKNOWN && word & 1)
                        c->idle_word = word - (offset_ns << 1);
        }
        c->clock_offset_ns = offset_ns;
        if (!count_irq && bpf_core_field_exists(rq->prev_irq_time))
                c->irq_ns = rq->prev_irq_time;
        if (bpf_core_field_exists(rq->prev_steal_time_rq))
                c->stolen_ns = rq->prev_steal_time_rq;
        c->synced = tick;
}

/* ---- the switch ---- */

/*
 * A thread without storage (no memory at its birth; or, before 6.2, another BPF program was in its
 * storage just now, and then its next switch charges this time too), or without a row.  The daemon
 * sees the count move and runs adopt() again.
 */
static __noinline int unseen(struct thread *t, __u64 stint_ns)
{
        if (!control.started)
                return 0;
        __sync_fetch_and_add(&counters.unseen_switches, 1);
        if (!t)
                __sync_fetch_and_add(&counters.unseen_ns, stint_ns);
        return 0;
}

/* There was a switch that we did not see.  `known_ns` since the last one that we saw is accounted
 * for. */
static __always_inline void hidden(struct cpu_state *c, __s64 now, __u64 known_ns)
{
        __s64 ns = now - c->switch_ns - (__s64)known_ns - (__s64)c->ticked_ns;

        if (!c->expected_task) /* the first switch of all */
                return;
        __sync_fetch_and_add(&counters.hidden_switches, 1);
        if (ns > 0)
                c->nobody_ns += ns;
}

static __always_inline void switched(struct task_struct *prev, __u64 next, int next_pid)
{
        __u32 cpu = bpf_get_smp_processor_id(), tick = *(volatile __u32 *)&control.tick;
        struct cpu_state *c = bpf_map_lookup_elem(&cpus, &cpu);
        const struct rq *rq = rq_of(prev);
        __u64 irq = 0, stint = 0, gap = 0;
        __s64 word, now = 0;

        if (!c)
                return;
        if (rq) {
                if (c->synced != tick)
                        clock_sync(c, rq, tick);
                now = task_clock(c, rq);
                if (prev->pid && rq->clock_task > prev->se.exec_start) {
                        gap = rq->clock_task - prev->se.exec_start; /* see nobody_ns */
                        if (next_pid)
                                c->nobody_ns += gap;
                }
        }
        if (count_irq) {
                irq = c->irq_ns - c->irq_mark_ns;
                c->irq_mark_ns = c->irq_ns;
                /* No interrupt switches: one that is still open began before its end was attached.
                 */
                c->irq_depth = 0;
        }
        if (prev->pid) {
                struct thread *t = bpf_task_storage_get(&threads, prev, NULL, 0);
                __u64 sum = prev->se.sum_exec_runtime;

                if (!t || t->row == ROW_NONE) {
                        unseen(t, sum - prev->se.prev_sum_exec_runtime);
                } else {
                        stint = sum - __sync_lock_test_and_set(&t->last_ns, sum) - irq;
                        if (stint)
                                row_add(t->row, c->slot, (__s64)stint);
                        if (task_state(prev) & TASK_DEAD)
                                thread_uncount(t);
                }
                /* All since it came here, ticks included; only the fair class keeps it. */
                stint = sum - prev->se.prev_sum_exec_runtime;
        }
        word = c->idle_word;
        if (c->expected_task != (__u64)prev && rq) {
                if (word & 1) /* the end of idling was hidden: it was when prev began */
                        word = ((word >> 1) + now - (__s64)(stint + gap)) << 1;
                else
                        hidden(c, now, stint + gap);
        } else if (word & 1) {
                word = ((word >> 1) + now) << 1;
        }
        if (!next_pid && rq)
                word = ((word >> 1) - (now - (__s64)gap)) << 1 | 1;
        c->idle_word = word;
        c->switch_ns = now;
        c->ticked_ns = 0;
        c->expected_task = next;
}

/* At sched_switch the current thread is still prev: that gives raw_tp the typed pointer too. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
        switched(prev, (__u64)next, next->pid);
        return 0;
}

SEC("raw_tp/sched_switch")
int on_switch_raw(struct bpf_raw_tracepoint_args *ctx)
{
        struct task_struct *next = (struct task_struct *)ctx->args[2];

        switched(bpf_get_current_task_btf(), (__u64)next, BPF_CORE_READ(next, pid));
        return 0;
}

/* ---- the tick ---- */

/*
 * A CPU that idles and has not been seen to switch, for it has done so since before the probe: idle
 * from now on, by the only clock there is.
 */
static __always_inline void cpu_was_idle(struct cpu_state *c, __u64 now)
{
        __s64 clock = (__s64)(now - (count_irq ? c->irq_ns : 0));

        if (c->idle_word == IDLE_UNKNOWN)
                __sync_val_compare_and_swap(&c->idle_word, IDLE_UNKNOWN, -clock * 2 + 1);
}

static __always_inline __u64 thread_ahead(struct cpu_state *c, const struct rq *rq,
                                          const struct task_struct *task, __u64 now)
{
        struct rq_times times = {.exec_start_ns = task->se.exec_start};

        if (rq && !count_irq && bpf_core_field_exists(rq->prev_irq_time))
                times.irq_ns = rq->prev_irq_time - c->irq_ns;
        if (rq && bpf_core_field_exists(rq->prev_steal_time_rq))
                times.stolen_ns = rq->prev_steal_time_rq;
        return clock_ahead(c, &times, now, sched_tick_ns);
}

/*
 * Charge the thread that runs on a CPU for the time up to now: what the scheduler has, and what it
 * is ahead of that (probe_ahead.h).
 *
 * Seen from another CPU the values may not belong together, when an update goes on meanwhile; the
 * estimate is then off by that update, and the next charge corrects it, because every charge moves
 * last_ns to what the thread has had in truth.
 */
static __always_inline void charge_running(struct cpu_state *c, const struct rq *rq,
                                           struct task_struct *task, __u64 now)
{
        struct thread *t;
        __u64 last, estimate;

        if (!task->pid) {
                cpu_was_idle(c, now);
                return;
        }
        t = bpf_task_storage_get(&threads, task, NULL, 0);
        if (!t || t->row == ROW_NONE)
                return;
        last = *(volatile __u64 *)&t->last_ns;
        estimate = task->se.sum_exec_runtime + thread_ahead(c, rq, task, now);
        if (count_irq)
                estimate -= c->irq_ns - c->irq_mark_ns;
        if ((__s64)(estimate - last) <= 0)
                return;
        if (__sync_val_compare_and_swap(&t->last_ns, last, estimate) != last)
                return;
        row_add(t->row, c->slot, (__s64)(estimate - last));
        if ((__u64)task == c->expected_task)
                __sync_fetch_and_add(&c->ticked_ns, estimate - last);
}

/*
 * The two ways in.  Both are run by the daemon through BPF_PROG_TEST_RUN right before it reads.
 *
 * tick_all looks at TICK_CHUNK CPUs from args[0] on, from where the daemon is: no CPU is disturbed.
 */
SEC("raw_tp")
int tick_all(struct bpf_raw_tracepoint_args *ctx)
{
        __u32 first = (__u32)ctx->args[0];
        __u64 now = bpf_ktime_get_ns();

        for (__u32 i = 0; i < TICK_CHUNK; i++) {
                __u32 cpu = first + i;
                struct cpu_state *c;
                const struct rq *rq;

                if (cpu >= ncpus)
                        break;
                c = bpf_map_lookup_elem(&cpus, &cpu);
                rq = bpf_per_cpu_ptr(&runqueues, cpu);
                if (!c || !rq)
                        break;
                if (rq->curr)
                        charge_running(c, rq, rq->curr, now);
        }
        return 0;
}

/* tick_here is run on each CPU that is not idle, where the kernel does not let us name its run
 * queues. */
SEC("raw_tp")
int tick_here(struct bpf_raw_tracepoint_args *ctx)
{
        __u32 cpu = bpf_get_smp_processor_id();
        struct cpu_state *c = bpf_map_lookup_elem(&cpus, &cpu);
        struct task_struct *task = bpf_get_current_task_btf();

        if (!c)
                return 0;
        if (task->pid || c->idle_word == IDLE_UNKNOWN) {
                charge_running(c, rq_of(task), task, bpf_ktime_get_ns());
        } else if (!(c->idle_word & 1) && c->clock_offset_ns) {
                /* The switch to idle was hidden: idle from now on, at least. */
                __s64 now = (__s64)(bpf_ktime_get_ns() - (count_irq ? c->irq_ns : 0)) +
                            c->clock_offset_ns;

                hidden(c, now, 0);
                c->idle_word = ((c->idle_word >> 1) - now) << 1 | 1;
                c->switch_ns = now;
                c->ticked_ns = 0;
                c->expected_task = (__u64)task;
        }
        return 0;
}

/* ---- interrupts, where the kernel does not account them itself ---- */

static __always_inline int irq_enter(void)
{
        __u32 cpu = bpf_get_smp_processor_id();
        struct cpu_state *c = bpf_map_lookup_elem(&cpus, &cpu);

        if (c && c->irq_depth++ == 0)
                c->irq_start_ns = bpf_ktime_get_ns();
        return 0;
}

static __always_inline int irq_leave(void)
{
        __u32 cpu = bpf_get_smp_processor_id();
        struct cpu_state *c = bpf_map_lookup_elem(&cpus, &cpu);

        /* depth 0: the probe was attached inside this interrupt */
        if (c && c->irq_depth && --c->irq_depth == 0)
                c->irq_ns += bpf_ktime_get_ns() - c->irq_start_ns;
        return 0;
}

/* ksoftirqd is a thread like others: its time is its own (as in irqtime_account_irq()). */
static __always_inline bool in_ksoftirqd(void)
{
        struct task_struct *task = bpf_get_current_task_btf();

        return task->flags & PF_KTHREAD && task->comm[0] == 'k' && task->comm[1] == 's' &&
               task->comm[2] == 'o' && task->comm[3] == 'f' && task->comm[4] == 't';
}

SEC("tp_btf/irq_handler_entry")
int on_irq_enter(void *ctx)
{
        return irq_enter();
}

SEC("tp_btf/irq_handler_exit")
int on_irq_leave(void *ctx)
{
        return irq_leave();
}

SEC("tp_btf/local_timer_entry")
int on_timer_enter(void *ctx)
{
        return irq_enter();
}

SEC("tp_btf/local_timer_exit")
int on_timer_leave(void *ctx)
{
        return irq_leave();
}

SEC("tp_btf/softirq_entry")
int on_softirq_enter(void *ctx)
{
        return in_ksoftirqd() ? 0 : irq_enter();
}

SEC("tp_btf/softirq_exit")
int on_softirq_leave(void *ctx)
{
        return in_ksoftirqd() ? 0 : irq_leave();
}
