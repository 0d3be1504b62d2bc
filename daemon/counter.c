/* SPDX-License-Identifier: MIT */
#include "counter.h"

uint64_t counter_delta_uj(uint64_t before, uint64_t after, uint64_t range_uj)
{
        if (after >= before)
                return after - before;
        /* in this order nothing exceeds range_uj, so that UINT64_MAX is a range like any other */
        return (range_uj - before) + after + 1;
}
