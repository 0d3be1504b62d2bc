/* SPDX-License-Identifier: MIT */
/*
 * The model against its equations: golden cases worked out in exact fractions by model_cases.py,
 * and what must hold for any numbers whatever.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "random.h"

#define ROUNDS       20000
#define MAX_WEIGHTS  64
#define MAX_TOTAL_UJ UINT64_C(1000000000000)
#define MS_NS        UINT64_C(1000000)
#define TICK_NS      (10 * MS_NS)
#define UW_PER_W     UINT64_C(1000000)
#define EXACTNESS    1e-9

__extension__ typedef unsigned __int128 uint128_t;

/* ---- golden cases ---- */

struct static_case {
        const char *sequence;
        unsigned int step; /* 0: the first of its sequence */
        uint64_t base_uw, covered_ns, energy_uj, static_uj, owed_fj, dropped_fj;
};

struct split_case {
        uint64_t total_uj;
        size_t n;
        uint64_t weights[10], weight_total, shares_uj[10], rest_uj;
};

struct power_case {
        uint64_t dynamic_uj, own_ns, busy_ns;
        double exponent, attributed_j;
};

struct second_case {
        uint64_t energy_uj, base_uw;
        size_t n;
        uint64_t own_ns[3], busy_ns, static_uj, shares_uj[3], rest_uj;
        double attributed_j[3];
};

#include "model_cases.inc"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_exact(double value, double expected)
{
        if (fabs(value - expected) > EXACTNESS * fabs(expected))
                fail_msg("%.17g, expected %.17g", value, expected);
}

static void golden_static_energy(void **state)
{
        struct model_static s = {0};

        for (size_t i = 0; i < COUNT(static_cases); i++) {
                const struct static_case *c = &static_cases[i];
                uint64_t got;

                if (c->step == 0)
                        s = (struct model_static){0};
                got = model_static_uj(&s, c->base_uw, c->covered_ns, c->energy_uj);
                if (got != c->static_uj || s.owed_fj != c->owed_fj || s.dropped_fj != c->dropped_fj)
                        fail_msg("%s, step %u: static %" PRIu64 " uJ, owed %" PRIu64
                                 " fJ, dropped %" PRIu64 " fJ; expected %" PRIu64 ", %" PRIu64
                                 ", %" PRIu64,
                                 c->sequence, c->step, got, s.owed_fj, (uint64_t)s.dropped_fj,
                                 c->static_uj, c->owed_fj, c->dropped_fj);
        }
}

static void golden_splits(void **state)
{
        uint64_t shares[MAX_WEIGHTS], scratch[MAX_WEIGHTS + 1];

        for (size_t i = 0; i < COUNT(split_cases); i++) {
                const struct split_case *c = &split_cases[i];

                memset(shares, 0xff, sizeof(shares));
                assert_int_equal(model_split_uj(c->total_uj, c->weights, c->n, c->weight_total,
                                                shares, scratch),
                                 c->rest_uj);
                assert_memory_equal(shares, c->shares_uj, c->n * sizeof(shares[0]));
                assert_int_equal(shares[c->n], UINT64_MAX); /* not one more */
        }
}

static void golden_attributed_energy(void **state)
{
        for (size_t i = 0; i < COUNT(power_cases); i++) {
                const struct power_case *c = &power_cases[i];

                assert_exact(model_attributed((double)c->dynamic_uj / 1e6,
                                              (double)c->own_ns / (double)c->busy_ns, c->exponent),
                             c->attributed_j);
        }
}

/* A package over a second: from its counter to what each target is told. */
static void golden_seconds(void **state)
{
        for (size_t i = 0; i < COUNT(second_cases); i++) {
                const struct second_case *c = &second_cases[i];
                uint64_t shares[3], scratch[4], dynamic_uj;
                struct model_static s = {0};

                assert_int_equal(
                        model_static_uj(&s, c->base_uw, UINT64_C(1000000000), c->energy_uj),
                        c->static_uj);
                dynamic_uj = c->energy_uj - c->static_uj;
                assert_int_equal(
                        model_split_uj(dynamic_uj, c->own_ns, c->n, c->busy_ns, shares, scratch),
                        c->rest_uj);
                assert_memory_equal(shares, c->shares_uj, c->n * sizeof(shares[0]));
                for (size_t k = 0; k < c->n; k++)
                        assert_exact(model_attributed((double)dynamic_uj / 1e6,
                                                      (double)c->own_ns[k] / (double)c->busy_ns,
                                                      0.3),
                                     c->attributed_j[k]);
        }
}

/* ---- static energy ---- */

static void static_never_exceeds_energy(void **state)
{
        uint64_t seed = RANDOM_SEED;

        for (int round = 0; round < ROUNDS; round++) {
                struct model_static s = {0};
                uint64_t base_uw = random_below(&seed, 500 * UW_PER_W);
                uint128_t given_fj = 0, baseline_fj = 0;

                for (int tick = 0; tick < 20; tick++) {
                        uint64_t covered_ns = random_below(&seed, 3 * TICK_NS);
                        uint64_t energy_uj = random_below(&seed, 2 * base_uw / 100 + 2);
                        uint64_t static_uj = model_static_uj(&s, base_uw, covered_ns, energy_uj);

                        assert_true(static_uj <= energy_uj);
                        given_fj += (uint128_t)static_uj * MODEL_FJ_PER_UJ;
                        baseline_fj += (uint128_t)base_uw * covered_ns;
                        /* and none of the baseline is forgotten: it is given, owed or dropped */
                        assert_true(given_fj + s.owed_fj + s.dropped_fj == baseline_fj);
                }
        }
}

/* An idle machine of 20 W, read every 10 ms; its counter is up to 1 ms old. */
static void a_jittery_counter_leaves_no_dynamic_energy(void **state)
{
        uint64_t seed = RANDOM_SEED, counted_uj = 0, dynamic_uj = 0;
        struct model_static s = {0};

        for (uint64_t tick = 1; tick <= 10000; tick++) {
                uint64_t upto_ns = tick * TICK_NS - random_below(&seed, MS_NS);
                uint64_t counter_uj = upto_ns / 1000 * 20;
                uint64_t energy_uj = counter_uj - counted_uj;

                dynamic_uj += energy_uj - model_static_uj(&s, 20 * UW_PER_W, TICK_NS, energy_uj);
                counted_uj = counter_uj;
        }
        assert_int_equal(dynamic_uj, 0);
        assert_int_equal(s.dropped_fj, 0);
}

static void deficits_are_carried_two_ms_at_most(void **state)
{
        uint64_t base_uw = 20 * UW_PER_W, two_ms_uj = 40000;
        struct model_static s = {0};

        /* a second without energy, then a program that uses a joule in a tick */
        for (int tick = 0; tick < 100; tick++) {
                assert_int_equal(model_static_uj(&s, base_uw, TICK_NS, 0), 0);
                assert_true(s.owed_fj <= two_ms_uj * MODEL_FJ_PER_UJ);
        }
        assert_int_equal(model_static_uj(&s, base_uw, TICK_NS, 1000000), 200000 + two_ms_uj);
        /* and that was all of it */
        assert_int_equal(model_static_uj(&s, base_uw, TICK_NS, 1000000), 200000);
}

static void baseline_too_high_is_counted(void **state)
{
        struct model_static s = {0};
        uint64_t before = 0;

        /* 25 W are said, 20 are there: 5 W are missing, 50 mJ a tick but for the first 2 ms */
        for (int tick = 0; tick < 100; tick++) {
                assert_int_equal(model_static_uj(&s, 25 * UW_PER_W, TICK_NS, 200000), 200000);
                assert_true(s.dropped_fj >= before);
                before = s.dropped_fj;
        }
        assert_int_equal(s.dropped_fj / MODEL_FJ_PER_UJ, 100 * 50000 - 50000);
}

static void what_is_dropped_never_wraps(void **state)
{
        struct model_static s = {0};

        /* 25 W that are not there, for 2000 s: 50 kJ */
        for (int tick = 0; tick < 200000; tick++)
                model_static_uj(&s, 25 * UW_PER_W, TICK_NS, 0);
        assert_true(s.dropped_fj / MODEL_FJ_PER_UJ == UINT64_C(50000000000) - 50000);
}

static void wraps_nothing(void **state)
{
        /* the largest base over an hour: 36 MJ, far above 64 bits of femtojoules */
        uint64_t hour_ns = UINT64_C(3600000000000), energy_uj = UINT64_C(36000000000001);
        struct model_static s = {0};

        assert_int_equal(model_static_uj(&s, MODEL_MAX_BASE_UW, hour_ns, energy_uj), energy_uj - 1);
        assert_int_equal(s.owed_fj, 0);
        assert_int_equal(model_static_uj(&s, MODEL_MAX_BASE_UW, hour_ns, UINT64_MAX),
                         energy_uj - 1);
        assert_int_equal(model_static_uj(&s, 0, hour_ns, UINT64_MAX), 0);
}

/* ---- shares ---- */

/* The same by sorting: quotient, then one more for the largest remainders. */
struct part {
        size_t index;
        uint64_t remainder;
};

static int by_remainder(const void *a, const void *b)
{
        const struct part *x = a, *y = b;

        if (x->remainder != y->remainder)
                return x->remainder < y->remainder ? 1 : -1;
        return x->index < y->index ? -1 : 1;
}

static uint64_t split_by_sorting(uint64_t total_uj, const uint64_t *weights, size_t n,
                                 uint64_t weight_total, uint64_t *shares_uj)
{
        struct part parts[MAX_WEIGHTS + 1];
        uint64_t given = 0, listed = 0, values[MAX_WEIGHTS + 1];

        for (size_t i = 0; i <= n; i++) {
                uint64_t weight = i < n ? weights[i] : weight_total - listed;
                uint128_t product = (uint128_t)total_uj * weight;

                listed += weight;
                values[i] = (uint64_t)(product / weight_total);
                given += values[i];
                parts[i] = (struct part){.index = i,
                                         .remainder = (uint64_t)(product % weight_total)};
        }
        qsort(parts, n + 1, sizeof(parts[0]), by_remainder);
        for (size_t i = 0; given < total_uj; i++, given++)
                values[parts[i].index]++;
        memcpy(shares_uj, values, n * sizeof(values[0]));
        return values[n];
}

/* Weights that stay within 64 bits in all, many of them equal or 0, and what is not listed. */
static uint64_t random_weights(uint64_t *seed, uint64_t *weights, size_t n)
{
        unsigned int bits = (unsigned int)random_below(seed, 58);
        uint64_t total = 0;

        for (size_t i = 0; i < n; i++) {
                switch (random_below(seed, 4)) {
                case 0:
                        weights[i] = 0;
                        break;
                case 1:
                        weights[i] = i ? weights[i - 1] : 1;
                        break;
                default:
                        weights[i] = random_of_bits(seed, bits);
                }
                total += weights[i];
        }
        if (n && random_below(seed, 8) == 0) { /* up to the last bit */
                weights[0] += UINT64_MAX - total;
                return UINT64_MAX;
        }
        return total + (random_below(seed, 2) ? random_of_bits(seed, 57) : 0);
}

static uint64_t random_total(uint64_t *seed)
{
        return random_below(seed, 2) ? random_of_bits(seed, 39) : random_below(seed, MAX_TOTAL_UJ);
}

static void shares_sum_to_dynamic_energy_exactly(void **state)
{
        uint64_t seed = RANDOM_SEED, weights[MAX_WEIGHTS], shares[MAX_WEIGHTS],
                 scratch[MAX_WEIGHTS + 1];

        for (int round = 0; round < ROUNDS; round++) {
                size_t n = random_below(&seed, MAX_WEIGHTS + 1);
                uint64_t weight_total = random_weights(&seed, weights, n);
                uint64_t total_uj = random_total(&seed), sum, listed = 0;

                sum = model_split_uj(total_uj, weights, n, weight_total, shares, scratch);
                for (size_t i = 0; i < n; i++) {
                        uint128_t exact = (uint128_t)total_uj * weights[i];

                        sum += shares[i];
                        listed += weights[i];
                        /* none is off by a whole microjoule, and nobody pays for nothing */
                        if (weight_total) {
                                assert_true((uint128_t)shares[i] * weight_total + weight_total >
                                            exact);
                                assert_true((uint128_t)shares[i] * weight_total <
                                            exact + weight_total);
                        }
                        if (!weights[i])
                                assert_int_equal(shares[i], 0);
                }
                assert_int_equal(sum, total_uj);
                /* when all weight is listed, nothing is left over */
                if (weight_total && listed == weight_total)
                        assert_int_equal(
                                model_split_uj(total_uj, weights, n, weight_total, shares, scratch),
                                0);
        }
}

static void largest_remainders_are_served_first(void **state)
{
        uint64_t seed = RANDOM_SEED, weights[MAX_WEIGHTS], shares[MAX_WEIGHTS],
                 expected[MAX_WEIGHTS], scratch[MAX_WEIGHTS + 1];
        unsigned int compared = 0;

        for (int round = 0; round < ROUNDS; round++) {
                size_t n = random_below(&seed, MAX_WEIGHTS + 1);
                uint64_t weight_total = random_weights(&seed, weights, n);
                uint64_t total_uj = random_total(&seed);

                if (!weight_total)
                        continue;
                assert_int_equal(
                        model_split_uj(total_uj, weights, n, weight_total, shares, scratch),
                        split_by_sorting(total_uj, weights, n, weight_total, expected));
                assert_memory_equal(shares, expected, n * sizeof(shares[0]));
                compared++;
        }
        assert_true(compared > ROUNDS / 2);
}

static void of_equal_remainders_the_first_is_served_first(void **state)
{
        static const uint64_t weights[] = {1, 1, 1, 1};
        uint64_t shares[4], scratch[5];

        /* a fifth each: three microjoules for the first three, none for those not listed */
        assert_int_equal(model_split_uj(3, weights, 4, 5, shares, scratch), 0);
        assert_int_equal(shares[0], 1);
        assert_int_equal(shares[1], 1);
        assert_int_equal(shares[2], 1);
        assert_int_equal(shares[3], 0);
        /* and when there is one for everybody, for those too */
        assert_int_equal(model_split_uj(5, weights, 4, 5, shares, scratch), 1);
        assert_int_equal(shares[3], 1);
}

static void weight_total_zero_is_all_unattributed(void **state)
{
        uint64_t weights[] = {0, 0, 0}, shares[] = {7, 7, 7}, scratch[4];

        assert_int_equal(model_split_uj(12345, weights, 3, 0, shares, scratch), 12345);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(shares[i], 0);
        assert_int_equal(model_split_uj(12345, NULL, 0, 0, NULL, scratch), 12345);
}

/* ---- attributed energy ---- */

static void attributed_never_exceeds_dynamic(void **state)
{
        uint64_t seed = RANDOM_SEED;

        for (int round = 0; round < ROUNDS; round++) {
                double dynamic_j = (double)random_below(&seed, MAX_TOTAL_UJ) / 1e6;
                uint64_t busy_ns = random_of_bits(&seed, 60) + 1;
                double credit = (double)random_below(&seed, busy_ns + 1) / (double)busy_ns;
                double exponent = (double)(random_below(&seed, 1000) + 1) / 1000;
                double attributed_j = model_attributed(dynamic_j, credit, exponent);

                assert_true(attributed_j >= 0 && attributed_j <= dynamic_j);
                /* and it is never below the share: what the target costs here, not its part */
                assert_true(attributed_j >= dynamic_j * credit * (1 - EXACTNESS));
        }
        /* a credit above 1 is the clock's rounding */
        assert_true(model_attributed(5, 1.0000001, 0.3) == 5);
        assert_true(model_attributed(5, INFINITY, 0.3) == 5);
}

static void credit_zero_gets_zero(void **state)
{
        assert_true(model_attributed(1e6, 0, 0.3) == 0);
        assert_true(model_attributed(1e6, 0, 0) == 0); /* though 0^0 is 1 */
        assert_true(model_attributed(1e6, -0.0, 0.3) == 0);
        assert_true(model_attributed(1e6, -1e-9, 0.3) == 0);
        assert_true(model_attributed(1e6, NAN, 0.3) == 0); /* nobody ran: 0 / 0 */
        assert_true(model_attributed(0, 0.5, 0.3) == 0);
}

static void gamma_one_is_the_share(void **state)
{
        uint64_t seed = RANDOM_SEED;

        for (int round = 0; round < ROUNDS; round++) {
                uint64_t dynamic_uj = random_below(&seed, MAX_TOTAL_UJ);
                uint64_t busy_ns = random_of_bits(&seed, 50) + 1;
                uint64_t own_ns = random_below(&seed, busy_ns + 1), share_uj, scratch[2];
                double attributed_j = model_attributed((double)dynamic_uj / 1e6,
                                                       (double)own_ns / (double)busy_ns, 1);

                model_split_uj(dynamic_uj, &own_ns, 1, busy_ns, &share_uj, scratch);
                /* which is rounded to a microjoule */
                assert_true(fabs(attributed_j - (double)share_uj / 1e6) <=
                            0.5e-6 + EXACTNESS * attributed_j);
        }
}

/* docs/how-a-number-comes-about.md, "An example" */
static void the_example_of_the_docs(void **state)
{
        const uint64_t cpu_ns[] = {600000000, 200000000, 200000000};
        struct model_static package = {0}, dram = {0};
        uint64_t shares_uj[3], scratch[4], dynamic_uj;

        (void)state;
        assert_int_equal(model_static_uj(&package, 20000000, 1000000000, 42000001), 20000000);
        dynamic_uj = 42000001 - 20000000;
        assert_int_equal(model_split_uj(dynamic_uj, cpu_ns, 3, 1000000000, shares_uj, scratch), 0);
        assert_int_equal(shares_uj[0], 13200001);
        assert_int_equal(shares_uj[1], 4400000);
        assert_int_equal(shares_uj[2], 4400000);
        assert_true(fabs(model_attributed(22.000001, 0.6, 0.3) - 18.8742) < 5e-5);
        assert_true(fabs(model_attributed(22.000001, 0.2, 0.3) - 13.5747) < 5e-5);

        assert_int_equal(model_static_uj(&dram, 3000000, 1000000000, 5000000), 3000000);
        assert_true(fabs(model_attributed(2, 0.25, 0.2) - 1.5157) < 5e-5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(golden_static_energy),
                cmocka_unit_test(golden_splits),
                cmocka_unit_test(golden_attributed_energy),
                cmocka_unit_test(golden_seconds),
                cmocka_unit_test(static_never_exceeds_energy),
                cmocka_unit_test(a_jittery_counter_leaves_no_dynamic_energy),
                cmocka_unit_test(deficits_are_carried_two_ms_at_most),
                cmocka_unit_test(baseline_too_high_is_counted),
                cmocka_unit_test(what_is_dropped_never_wraps),
                cmocka_unit_test(wraps_nothing),
                cmocka_unit_test(shares_sum_to_dynamic_energy_exactly),
                cmocka_unit_test(largest_remainders_are_served_first),
                cmocka_unit_test(of_equal_remainders_the_first_is_served_first),
                cmocka_unit_test(weight_total_zero_is_all_unattributed),
                cmocka_unit_test(attributed_never_exceeds_dynamic),
                cmocka_unit_test(credit_zero_gets_zero),
                cmocka_unit_test(gamma_one_is_the_share),
                cmocka_unit_test(the_example_of_the_docs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
