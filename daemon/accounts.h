/* SPDX-License-Identifier: MIT */
/*
 * The machine's energy accounts: one per domain that is attributed (packages and dram), with its
 * baseline, and the running sums of everything that reports are made of.
 *
 * Sums only grow.  A window (an interval of a target, the time of a run) is the difference of two
 * copies of them, so a report costs the tick nothing until it is due.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "baseline.h"
#include "cputime.h"
#include "meter.h"
#include "model.h"
#include "topology.h"

enum energy_kind { ENERGY_PACKAGE, ENERGY_DRAM, ENERGY_KINDS };

struct account {
        size_t domain; /* of the meter */
        enum energy_kind kind;
        unsigned int socket; /* index into topology.sockets */
        uint64_t slots;      /* mask of the topology slots behind it */
        bool base_known;
        uint64_t base_uw;
        struct model_static carry;
        /* sums when this baseline came into force */
        uint64_t base_ticks, base_below, base_static_uj, base_dropped_uj;
        bool gap;          /* the next reading brings along what nobody is known to have used */
        bool metered;      /* a package's counter, and no estimate: no energy at all is not 0 W */
        bool prompt;       /* it never stands still for long */
        uint64_t still_ns; /* for how long it has, up to now */
};

/* What a column holds per account. */
enum account_column {
        SUM_ENERGY_UJ,
        SUM_STATIC_UJ,
        SUM_DYNAMIC_UJ, /* used while the tick lasted that told it: what came late is not in it */
        SUM_UNATTRIBUTED_UJ,
        SUM_TRACER_UJ,
        SUM_UNKNOWN_NS, /* time for which the domain could not be read */
        SUM_STILL_NS,   /* time for which a prompt counter stood still */
        SUM_LATE_NS,    /* time before a tick, whose energy it told: nobody's */
        SUM_UNBASED_NS, /* time of energy without a baseline: all of it is dynamic */
        SUM_DROPPED_UJ, /* baseline that was not there: P0 is too high */
        SUM_BELOW_BASE, /* in how many ticks */
        SUM_COLUMNS
};

/* And once for the machine. */
enum machine_column {
        SUM_TICKS,
        SUM_MISSED_TICKS,
        SUM_LOST_NS,
        SUM_LOST_THREADS,
        SUM_MERGED,
        SUM_UNPLACED_NS,
        SUM_SUSPENDED_NS,
        SUM_CLOCK_SET, /* how often the time of day was set */
        SUM_UNCOUNTED, /* how often CPU time could not be read, or not be split by */
        SUM_WRAP_RISK, /* seconds x domains in which a counter could wrap between two ticks */
        SUM_MACHINE_COLUMNS
};

struct accounts {
        struct account *all;
        unsigned int n, nslots, nsockets;
        size_t nsums;
        uint64_t *sums;
};

/* -ENOMEM, or -ENOENT when the meter has no package domain. */
int accounts_init(struct accounts *a, const struct meter *meter, const struct topology *topology);
void accounts_deinit(struct accounts *a);

/* Base powers from calibration (NULL: forget them); those the source knows by itself come first. */
void accounts_set_baseline(struct accounts *a, const struct meter *meter, const struct baseline *b);
/* Is a domain in the accounts, or of a kind that none is? */
bool accounts_have(const struct accounts *a, const struct domain *domain, size_t number);
/* For every domain of that kind. */
bool accounts_have_baseline(const struct accounts *a, enum energy_kind kind);

static inline uint64_t *account_sum(const struct accounts *a, uint64_t *sums,
                                    enum account_column column, unsigned int account)
{
        return &sums[(size_t)column * a->n + account];
}

static inline uint64_t *machine_sum(const struct accounts *a, uint64_t *sums,
                                    enum machine_column column)
{
        return &sums[(size_t)SUM_COLUMNS * a->n + column];
}

/* Busy time by slot (nslots + 1): what a tick is split by, interrupts included. */
static inline uint64_t *busy_sum(const struct accounts *a, uint64_t *sums, unsigned int slot)
{
        return &sums[(size_t)SUM_COLUMNS * a->n + SUM_MACHINE_COLUMNS + slot];
}

/* Sum of the nanoseconds in `by_slot`, those on CPUs of no known slot included. */
uint64_t all_slots_ns(const struct accounts *a, const uint64_t *by_slot);
/* The same over the slots behind an account. */
uint64_t account_time_ns(const struct account *account, const uint64_t *by_slot,
                         unsigned int nslots);

/*
 * In how many ticks has less been used than the baseline, since it is in force, by as much that the
 * baseline must be too high; 0: it is not.  *ticks: how many there were.
 */
uint64_t account_below_base(const struct accounts *a, unsigned int account, uint64_t *sums,
                            uint64_t *ticks);
/* The same of two copies of the sums, and of energies dropped and static. */
bool account_base_is_high(uint64_t dropped_uj, uint64_t static_uj);

/* Is what was read between two copies of the sums, over window_ns, all that was used?  Not when a
 * reading failed, or the counter stood still. */
bool account_was_read(const struct accounts *a, unsigned int account, uint64_t *sums,
                      uint64_t *before, uint64_t window_ns);
/* Was nothing of it read? */
bool account_was_dark(const struct accounts *a, unsigned int account, uint64_t *sums,
                      uint64_t *before, uint64_t window_ns);

/*
 * Book one reading of an account's domain: energy, static and dynamic part.  Returns the dynamic
 * energy that belongs to the present tick; what a reading after a gap brings along from before is
 * booked as unattributed, because nobody is known to have run then and there.  gap: all of it is
 * such (the machine was suspended).
 */
uint64_t account_book(struct accounts *a, unsigned int account, const struct meter_tick *tick,
                      bool gap);
