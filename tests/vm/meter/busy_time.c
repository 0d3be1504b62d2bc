// SPDX-License-Identifier: GPL-2.0
#include "busy_time.h"

#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/seqlock.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#define STOPPER "migration/" /* name of the threads that stop CPUs: kernel/stop_machine.c */

/* What a CPU has run.  Written on that CPU with interrupts off. */
struct cpu_time {
        seqcount_t seq;
        u64 busy_ns;                      /* of the threads before the present one */
        const struct task_struct *thread; /* the present one; NULL: idle, or not known yet */
        u64 start_sum_ns;                 /* its CPU time when it came here */
        u64 start_clock_ns;               /* the scheduler's clock then */
        bool stops_cpu;                   /* it is this CPU's stopper, which is there for good */
};

static DEFINE_PER_CPU(struct cpu_time, cpu_times);
static struct tracepoint *sched_switch;

/*
 * Tracepoints do not tell of the last switch of a CPU that goes offline.  It is one from the thread
 * that stops the CPU to idling, and how long that thread has run is known when the CPU is back.
 */
static void on_switch(void *data, bool preempt, struct task_struct *prev, struct task_struct *next,
                      unsigned int prev_state)
{
        struct cpu_time *t = this_cpu_ptr(&cpu_times);

        raw_write_seqcount_begin(&t->seq);
        if (t->thread && (t->thread == prev || t->stops_cpu))
                t->busy_ns += t->thread->se.sum_exec_runtime - t->start_sum_ns;
        t->thread = next->pid ? next : NULL;
        t->stops_cpu = next->flags & PF_KTHREAD &&
                       strncmp(next->comm, STOPPER, sizeof(STOPPER) - 1) == 0;
        t->start_sum_ns = next->se.sum_exec_runtime;
        t->start_clock_ns = next->se.exec_start;
        raw_write_seqcount_end(&t->seq);
}

u64 busy_time_ns(int cpu)
{
        const struct cpu_time *t = per_cpu_ptr(&cpu_times, cpu);
        u64 now = local_clock(), busy;
        unsigned int seq;

        do {
                seq = read_seqcount_begin(&t->seq);
                busy = t->busy_ns;
                if (t->thread && cpu_online(cpu) && now > t->start_clock_ns)
                        busy += now - t->start_clock_ns;
                else if (t->thread && !cpu_online(cpu) && t->stops_cpu)
                        busy += t->thread->se.sum_exec_runtime - t->start_sum_ns;
        } while (read_seqcount_retry(&t->seq, seq));
        return busy;
}

static void find_sched_switch(struct tracepoint *tp, void *data)
{
        if (strcmp(tp->name, "sched_switch") == 0)
                sched_switch = tp;
}

int busy_time_start(void)
{
        int cpu;

        /* cppcheck-suppress unknownMacro ; of the kernel */
        for_each_possible_cpu(cpu)
                seqcount_init(&per_cpu_ptr(&cpu_times, cpu)->seq);
        for_each_kernel_tracepoint(find_sched_switch, NULL);
        if (!sched_switch)
                return -ENOENT;
        return tracepoint_probe_register(sched_switch, on_switch, NULL);
}

void busy_time_stop(void)
{
        tracepoint_probe_unregister(sched_switch, on_switch, NULL);
        tracepoint_synchronize_unregister();
}
