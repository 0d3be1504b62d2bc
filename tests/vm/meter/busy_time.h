/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPU time of threads, by the CPU that they had it on: what the scheduler charges them, and what
 * getrusage(2) tells them.  Found by a probe of its own on sched_switch.
 *
 * Interrupts on idle CPUs are not in it: under emulation they take a hundred times as long as on a
 * real machine and would be most of an idle machine's power.  The time that a thread's CPU needs to
 * hear of its waking is, because the scheduler charges it.
 */
#pragma once

#include <linux/types.h>

int busy_time_start(void);
void busy_time_stop(void);

/* Since the start. */
u64 busy_time_ns(int cpu);
