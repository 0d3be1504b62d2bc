/* SPDX-License-Identifier: MIT */
/*
 * The sampler: the thread with the clock.  Every tick it reads the meter and the CPU accounting,
 * has the ledger (ledger.h) charge each process and target for the tick, and hands reports to the
 * server's thread.
 *
 * Nobody can make it wait.  Other threads reach it by letters (mailbox.h) whose deliver() runs in
 * this thread between two ticks; what such a function may call is marked [in the sampler] below.
 *
 * Windows are whole ticks.  A target counts CPU time from the moment it is followed, to the
 * nanosecond; energy is known at ticks only, so its window begins at the tick before and ends at
 * the tick after.
 *
 * Marks are the first ticks at or after whole multiples of access.interval (1 s).  What is for
 * everybody is only ever told as of a mark, and so is the machine's part in reports of a coarse
 * target: its window is rounded out to marks at both ends, so that no two windows that anybody asks
 * for differ by less than the time between two marks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "cputime.h"
#include "lateness.h"
#include "ledger.h"
#include "mailbox.h"
#include "meter.h"
#include "topology.h"

/* Of the thread, SCHED_FIFO: above every ordinary one, below the kernel's own; a tick takes some
 * ten us. */
#define SAMPLER_PRIORITY 1

struct sampler;

/* Open meter and accounting as configured.  On failure a negative errno, and `why` (2048 bytes)
 * says. */
int sampler_new(struct sampler **ret, const struct config *config, const struct topology *topology,
                const struct source_config *sources, char *why, size_t why_size);
void sampler_free(struct sampler *s);

int sampler_start(struct sampler *s); /* makes the thread */
void sampler_stop(struct sampler *s); /* waits for its end; targets get their final reports */

/*
 * What the sampler tells by itself: the state of every domain, whenever a fault begins or ends. The
 * letter is on its way from `pending` until the receiver clears it (fault_news_taken()); what
 * changes meanwhile comes with the next one, at the next tick.
 */
struct fault_news {
        struct letter letter; /* deliver: the receiver's */
        struct mailbox *mailbox;
        void *owner;
        bool pending;
        size_t ndomains;
        struct fault faults[SOURCE_MAX_DOMAINS];
};

void fault_news_taken(struct fault_news *news);

/* Before sampler_start(); `news` lives as long as the sampler. */
void sampler_tell_faults(struct sampler *s, struct fault_news *news);

/* Have letter->deliver() called in the sampler's thread. */
void sampler_post(struct sampler *s, struct letter *letter);

/* Fixed after sampler_new(): may be asked from any thread. */
const struct meter *sampler_meter(const struct sampler *s);
const struct cputime *sampler_cputime(const struct sampler *s);
const struct accounts *sampler_accounts(const struct sampler *s);
bool sampler_realtime(const struct sampler *s); /* the thread has a real-time priority */

/*
 * [in the sampler] Follow target->pid and its descendants.  Takes the target over.  Number of
 * processes, or -ESRCH: no living process has that pid and start time, -ENOMEM; -EAGAIN: CPU time
 * was collected for another target since the last tick, `letter` is delivered once more at the
 * next one.
 */
int sampler_follow(struct sampler *s, struct target *target, struct letter *letter);
/* [in the sampler] End it at the next tick, with a final report. */
void sampler_unfollow(struct sampler *s, struct target *target);

/* [in the sampler] */
const struct processes *sampler_processes(const struct sampler *s);
const uint64_t *sampler_sums(const struct sampler *s, uint64_t *now_ns, uint64_t *started_ns);
/*
 * Energy of every domain of the meter as of the last mark, and its power over a second or more that
 * ended at a mark, because finer readings are not for everybody (access.h).
 */
struct domain_view {
        uint64_t energy_uj; /* since the start */
        double power_w;     /* NAN: not read all the time */
};
const struct domain_view *sampler_domains(const struct sampler *s);
/*
 * What lies in a domain itself, whatever it reads: that it is in no account, or that its counter
 * can go round within a tick, which cannot be told from what is read.  Writes it into `text`, and
 * returns what to do about it; NULL: all is well.
 */
const char *sampler_domain_doubt(const struct sampler *s, size_t domain, char *text, size_t size);
/* [in the sampler] Energy of every domain since the start, as of the last tick: for those who may
 * see everything. */
const uint64_t *sampler_energy_uj(const struct sampler *s);
/* [in the sampler] By account: of that energy, what is not split yet, because /proc is read more
 * slowly than the meter. */
const uint64_t *sampler_pending_uj(const struct sampler *s);
/* [in the sampler] The sums as of the last mark. */
const uint64_t *sampler_mark_sums(const struct sampler *s);
/* [in the sampler] What memory.h has found. */
void sampler_hold(struct sampler *s, const struct memory_holdings *holdings);
/* [in the sampler] Bring the shares of all processes and the unattributed energy up to this tick.
 */
void sampler_settle(struct sampler *s);

/* [in the sampler] How late ticks come, and the thread's own CPU time so far. */
const struct lateness *sampler_lateness(const struct sampler *s);
uint64_t sampler_cpu_ns(const struct sampler *s);
void sampler_set_baseline(struct sampler *s, const struct baseline *baseline);
/* Which CPUs are online, and where.  Places that were not there at the start have no account. */
void sampler_set_topology(struct sampler *s, const struct topology *topology);
unsigned int sampler_targets(const struct sampler *s);
/* [in the sampler] The first of those that are followed; then target->next. */
const struct target *sampler_first_target(const struct sampler *s);
