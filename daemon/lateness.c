/* SPDX-License-Identifier: MIT */
#include "lateness.h"

void lateness_add(struct lateness *l, uint64_t late_ns)
{
        uint64_t bin = late_ns / LATENESS_BIN_NS;

        l->bins[bin < LATENESS_BINS ? bin : LATENESS_BINS]++;
        l->count++;
        if (late_ns > l->max_ns)
                l->max_ns = late_ns;
}

uint64_t lateness_quantile_ns(const struct lateness *l, double fraction)
{
        uint64_t want = (uint64_t)((double)l->count * fraction), seen = 0;

        for (uint64_t bin = 0; bin < LATENESS_BINS; bin++) {
                seen += l->bins[bin];
                if (seen > want) {
                        uint64_t edge = (bin + 1) * LATENESS_BIN_NS;

                        return edge < l->max_ns ? edge : l->max_ns;
                }
        }
        return l->max_ns;
}
