/* SPDX-License-Identifier: MIT */
/* How late ticks come: a histogram of fixed size, 10 us wide bins up to 20 ms. */
#pragma once

#include <stdint.h>

#define LATENESS_BIN_NS 10000u
#define LATENESS_BINS   2000u

struct lateness {
        uint64_t count, max_ns;
        uint32_t bins[LATENESS_BINS + 1]; /* the last: later than all */
};

void lateness_add(struct lateness *l, uint64_t late_ns);
/* The upper edge of the bin that `fraction` of the ticks were in or below; max_ns for the last bin.
 */
uint64_t lateness_quantile_ns(const struct lateness *l, double fraction);
