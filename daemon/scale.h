/* SPDX-License-Identifier: MIT */
/*
 * Counts of a counter, and the energy that they stand for, without rounding on the way.
 *
 * A scale is a fraction: microjoules per count.  A total of counts is turned into microjoules as a
 * whole, rounded down once; differences of such totals never drift from the truth, however long
 * they are summed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef unsigned __int128 count_t;

/* Microjoules per count = num / den. */
struct scale {
        uint64_t num; /* above 0, below 2^63 */
        count_t den;  /* above 0, below 2^127 */
};

/*
 * Read joules per count, as a decimal ("2.3283064365386962890625e-10") or a hexadecimal number
 * ("0x1p-32"), exactly.  -EBADMSG: no such number, or not above 0; -ERANGE: the fraction does not
 * fit in the limits above.
 */
int scale_parse(struct scale *scale, const char *joules);

/* Microjoules of so many counts, rounded down.  false: more than UINT64_MAX. */
bool scale_to_uj(const struct scale *scale, count_t counts, uint64_t *uj);

/*
 * The total of a counter of 64 bits, over all its wraps.  The kernel's energy counters of perf
 * count 2^-32 J: 64 bits of them last 50 days at 1 kW.
 */
struct tally {
        count_t total;
        uint64_t last; /* the counter's value at the last look */
};

/*
 * Take in the counter's present value.  A difference of 2^63 and more is a step back (it would be
 * more than 2 GJ forwards), which the total makes too, down to 0 at most.
 */
void tally_follow(struct tally *tally, uint64_t value);
