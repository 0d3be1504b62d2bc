/* SPDX-License-Identifier: MIT */
/*
 * The model: who is charged what.  Pure functions of numbers: no clock, no file, no allocation.
 *
 *     static     = min(E, P0 * t)
 *     dynamic    = E - static
 *     attributed = dynamic * credit^gamma         for one target; not additive over targets
 *     share      = dynamic * credit               additive: shares and the rest add up to dynamic
 *
 * credit is the target's part of the busy CPU time of a package (exponent gamma), or of the used
 * memory behind a dram domain (exponent delta).
 *
 * Source: H. He, M. Friedman, T. Rekatsinas, "EnergAt: Fine-Grained Energy Attribution for
 * Multi-Tenancy", HotCarbon '23, doi 10.1145/3604930.3605716.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Baseline power not yet met by measured energy, in femtojoules (microwatts x nanoseconds).
 *
 * A counter that is updated every millisecond and read every ten gives ticks that are short by up
 * to a tenth and make it up in the next.  Were static energy cut off at each tick for itself, every
 * short tick would leave a surplus of dynamic energy that nobody used.  So what a tick lacks is
 * carried to the next ones, but no more than MODEL_CARRY_NS worth of baseline: a baseline that is
 * too high must not eat up the energy of the program that starts next.
 */
struct model_static {
        uint64_t owed_fj;
        /* More than could be carried, cumulative: the baseline is too high.  64 bits of femtojoules
         * are 18 kJ. */
        __extension__ unsigned __int128 dropped_fj;
};

/* two updates of RAPL, which makes one about every millisecond */
#define MODEL_CARRY_NS    2000000ull
#define MODEL_FJ_PER_UJ   1000000000ull
#define MODEL_MAX_BASE_UW 10000000000ull /* 10 kW: keeps base x MODEL_CARRY_NS within 64 bits */

/* The static part of `energy_uj` measured over `covered_ns` at a baseline of `base_uw` microwatts.
 */
uint64_t model_static_uj(struct model_static *s, uint64_t base_uw, uint64_t covered_ns,
                         uint64_t energy_uj);

/*
 * Split `total_uj` by weight with the largest-remainder method: exact in integers.  `weight_total`
 * is the sum of the n weights and of those not listed (at least the former); what falls to the
 * latter is returned.  Of equal remainders the first is served first, those not listed last.  If
 * weight_total is 0 all of it is returned.  `scratch` has room for n + 1. shares[0] + ... +
 * shares[n-1] + returned = total_uj
 */
uint64_t model_split_uj(uint64_t total_uj, const uint64_t *weights, size_t n, uint64_t weight_total,
                        uint64_t *shares_uj, uint64_t *scratch);

/* dynamic * credit^exponent, credit cut to 0..1; 0 when credit is 0; never more than dynamic. */
double model_attributed(double dynamic, double credit, double exponent);
