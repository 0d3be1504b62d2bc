/* SPDX-License-Identifier: MIT */
/*
 * From what this daemon has counted to totals that outlive it: the state of before (state.h) and
 * what is counted since then, and how to go on from the counters that a daemon before has left.
 */
#pragma once

#include "sampler.h"
#include "state.h"

/* What this daemon has counted by one moment. */
struct totals_live {
        const char *source;
        bool estimated;
        size_t ndomains;
        const struct domain *domains; /* of the meter */
        uint64_t boottime_ns;         /* the moment, CLOCK_BOOTTIME */
        uint64_t counted_ns;          /* since the daemon's first reading */
        uint64_t energy_uj[SOURCE_MAX_DOMAINS];
        uint64_t static_uj[SOURCE_MAX_DOMAINS];       /* 0 where nothing is attributed */
        uint64_t unattributed_uj[SOURCE_MAX_DOMAINS]; /* the same */
        uint64_t base_uw[SOURCE_MAX_DOMAINS];
        struct meter_counter counters[SOURCE_MAX_DOMAINS];
        uint64_t busy_ns, nobody_ns, idle_ns, irq_ns, stolen_ns, lost_ns, wall_ns;
        bool idle_known, irq_known;
};

/* [in the sampler] exact: as of the last tick; else as of the last mark, for everybody. */
void totals_take(struct totals_live *live, struct sampler *s, bool exact);

/* Add what has been counted to the state of before; its counters are then those of this daemon. */
void totals_add(struct state *state, const struct totals_live *live);

/*
 * Book what the counters counted while no daemon ran.  `live` is of the beginning: what it has
 * counted is no part of that time.  Returns whether all of that energy is known; `said` (512 bytes)
 * tells how much it was, or why it is not known, and is "" on the machine's first start.
 */
bool totals_resume(struct state *before, const struct totals_live *live, const char *boot_id,
                   char *said, size_t size);
