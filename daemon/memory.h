/* SPDX-License-Identifier: MIT */
/*
 * Memory accounting: how much of the memory in use behind each dram domain each process holds.
 *
 *     credit = private resident bytes of the process / bytes in use, on the domain's nodes
 *
 * Private means mapped by one process alone (Private_* of /proc/PID/smaps_rollup): memory that
 * several processes share is nobody's, so it is never counted twice.  On machines with several
 * nodes /proc/PID/numa_maps tells how they are spread (memory_spread.h).  A node's memory in use is
 * what is not free (libnuma), page cache included.
 *
 * That is what processes of targets get.  It is dear to read, so it is read as often as the budget
 * allows and brought up to date in between by resident size, which is cheap; other processes have
 * their resident size alone (memory_table.h).  Reports state the age of the exact readings behind
 * them.
 *
 * Works in a thread of its own, once a second, and less often when a round costs more.  It keeps to
 * MEMORY_BUDGET of a core, half for rounds and half for exact readings, however many processes
 * there are and however large they are: a reading cannot be cut short, so one that costs more is
 * paid for by waiting before the next (memory_budget.h).
 */
#pragma once

#include "sampler.h"
#include "topology.h"

#define MEMORY_BUDGET 0.01 /* of a core */

struct memory;

/* NULL in *ret and 0: this machine has no dram domain, so there is nothing to do. */
int memory_new(struct memory **ret, struct sampler *sampler, const struct topology *topology);
/* Before sampler_stop(), which it needs to end. */
void memory_free(struct memory *m);

/* A target is new: do not wait for the second to be over, and use some of the budget in advance. */
void memory_look_now(struct memory *m);
