/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <math.h>

__extension__ typedef unsigned __int128 uint128_t;

uint64_t model_static_uj(struct model_static *s, uint64_t base_uw, uint64_t covered_ns,
                         uint64_t energy_uj)
{
        uint128_t owed_fj = (uint128_t)base_uw * covered_ns + s->owed_fj;
        uint128_t owed_uj = owed_fj / MODEL_FJ_PER_UJ;
        uint64_t static_uj = owed_uj < energy_uj ? (uint64_t)owed_uj : energy_uj;
        uint64_t carry_fj = base_uw * MODEL_CARRY_NS;

        owed_fj -= (uint128_t)static_uj * MODEL_FJ_PER_UJ;
        /* A fraction of a microjoule is always carried: it is rounding, not a deficit. */
        if (owed_fj >= MODEL_FJ_PER_UJ && owed_fj > carry_fj) {
                s->dropped_fj += owed_fj - carry_fj;
                owed_fj = carry_fj;
        }
        s->owed_fj = (uint64_t)owed_fj;
        return static_uj;
}

/* The k-th largest of values[0..n-1], k from 1; reorders them (Hoare's selection). */
static uint64_t kth_largest(uint64_t *values, size_t n, size_t k)
{
        size_t low = 0, high = n - 1, want = k - 1;

        while (low < high) {
                uint64_t pivot = values[low + (high - low) / 2];
                size_t i = low, j = high;

                for (;;) {
                        while (values[i] > pivot)
                                i++;
                        while (values[j] < pivot)
                                j--;
                        if (i >= j)
                                break;
                        uint64_t t = values[i];

                        values[i++] = values[j];
                        values[j--] = t;
                }
                /* values[low..j] >= pivot >= values[j+1..high] */
                if (want <= j)
                        high = j;
                else
                        low = j + 1;
        }
        return values[want];
}

uint64_t model_split_uj(uint64_t total_uj, const uint64_t *weights, size_t n, uint64_t weight_total,
                        uint64_t *shares_uj, uint64_t *scratch)
{
        uint64_t given = 0, listed = 0, rest_uj, threshold, left, above = 0;

        if (weight_total == 0) {
                for (size_t i = 0; i < n; i++)
                        shares_uj[i] = 0;
                return total_uj;
        }
        for (size_t i = 0; i < n; i++) {
                uint128_t product = (uint128_t)total_uj * weights[i];

                shares_uj[i] = (uint64_t)(product / weight_total);
                scratch[i] = (uint64_t)(product % weight_total);
                given += shares_uj[i];
                listed += weights[i];
        }
        {
                uint128_t product = (uint128_t)total_uj * (weight_total - listed);

                rest_uj = (uint64_t)(product / weight_total);
                scratch[n] = (uint64_t)(product % weight_total);
        }
        left = total_uj - given - rest_uj; /* at most n: one for each remainder */
        if (left == 0)
                return rest_uj;
        threshold = kth_largest(scratch, n + 1, left);
        /* Those above the threshold get one each, then those at it, in order. */
        for (size_t i = 0; i < n + 1; i++)
                above += scratch[i] > threshold;
        left -= above;
        for (size_t i = 0; i < n; i++) {
                uint64_t remainder = (uint64_t)((uint128_t)total_uj * weights[i] % weight_total);

                if (remainder > threshold) {
                        shares_uj[i]++;
                } else if (remainder == threshold && left) {
                        shares_uj[i]++;
                        left--;
                }
        }
        given = 0;
        for (size_t i = 0; i < n; i++)
                given += shares_uj[i];
        return total_uj - given;
}

double model_attributed(double dynamic, double credit, double exponent)
{
        if (!(credit > 0))
                return 0;
        if (credit >= 1)
                return dynamic;
        return dynamic * pow(credit, exponent);
}
