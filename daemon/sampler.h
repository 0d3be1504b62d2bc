/* SPDX-License-Identifier: MIT */
/*
 * The sampler: the thread with the clock.  Every tick it reads the meter and the CPU accounting,
 * charges each process and target for the tick, and hands reports to the server's thread.
 *
 * Nobody can make it wait.  Other threads reach it by letters (mailbox.h) whose deliver() runs in
 * this thread between two ticks; what such a function may call is marked [in the sampler] below.
 *
 * Windows are whole ticks.  A target counts CPU time from the moment it is followed, to the
 * nanosecond; energy is known at ticks only, so its window begins at the tick before and ends at
 * the tick after.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "accounts.h"
#include "config.h"
#include "cputime.h"
#include "mailbox.h"
#include "meter.h"
#include "processes.h"
#include "target.h"
#include "topology.h"

struct sampler;

/* Open meter and accounting as configured.  On failure a negative errno, and `why` (2048 bytes)
 * says. */
int sampler_new(struct sampler **ret, const struct config *config, const struct topology *topology,
                const struct source_config *sources, char *why, size_t why_size);
void sampler_free(struct sampler *s);

int sampler_start(struct sampler *s); /* makes the thread */
void sampler_stop(struct sampler *s); /* waits for its end; targets get their final reports */

/* Have letter->deliver() called in the sampler's thread. */
void sampler_post(struct sampler *s, struct letter *letter);

/* Fixed after sampler_new(): may be asked from any thread. */
const struct meter *sampler_meter(const struct sampler *s);
const struct cputime *sampler_cputime(const struct sampler *s);
const struct accounts *sampler_accounts(const struct sampler *s);
bool sampler_realtime(const struct sampler *s); /* the thread has a real-time priority */

/*
 * [in the sampler] Follow target->pid and its descendants.  Takes the target over.  Number of
 * processes, or -ESRCH: no living process has that pid and start time, -ENOMEM.
 */
int sampler_follow(struct sampler *s, struct target *target);
/* [in the sampler] End it at the next tick, with a final report. */
void sampler_unfollow(struct sampler *s, struct target *target);

/* [in the sampler] */
const struct processes *sampler_processes(const struct sampler *s);
const uint64_t *sampler_sums(const struct sampler *s, uint64_t *now_ns, uint64_t *started_ns);
void sampler_set_baseline(struct sampler *s, const struct baseline *baseline);
/* Which CPUs are online, and where.  Places that were not there at the start have no account. */
void sampler_set_topology(struct sampler *s, const struct topology *topology);
unsigned int sampler_targets(const struct sampler *s);
