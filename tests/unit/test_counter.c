/* SPDX-License-Identifier: MIT */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "counter.h"

#define STEPS 100000

static void a_counter_that_stands_gives_nothing(void **state)
{
        assert_int_equal(counter_delta_uj(0, 0, 100), 0);
        assert_int_equal(counter_delta_uj(100, 100, 100), 0);
        assert_int_equal(counter_delta_uj(UINT64_MAX, UINT64_MAX, UINT64_MAX), 0);
}

static void without_a_wrap_it_is_the_difference(void **state)
{
        assert_int_equal(counter_delta_uj(10, 35, 100), 25);
        assert_int_equal(counter_delta_uj(0, UINT64_MAX, UINT64_MAX), UINT64_MAX);
        /* a range that is not known plays no part */
        assert_int_equal(counter_delta_uj(10, 35, 0), 25);
}

static void wraps_are_modular(void **state)
{
        /* modulo range + 1: from the highest value to 0 is one step */
        assert_int_equal(counter_delta_uj(100, 0, 100), 1);
        assert_int_equal(counter_delta_uj(90, 5, 100), 16);
        assert_int_equal(counter_delta_uj(262143328850, 0, 262143328850), 1);
        assert_int_equal(counter_delta_uj(UINT64_MAX, 0, UINT64_MAX), 1);
        assert_int_equal(counter_delta_uj(UINT64_MAX - 4, 5, UINT64_MAX), 10);
}

/* xorshift64 (Marsaglia, 2003): the same walk in every run. */
static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static void sums_over_any_walk_are_exact(void **state)
{
        static const uint64_t ranges[] = {4294967295, 262143328850, 65712999613, UINT64_MAX, 1};
        uint64_t seed = 0x9e3779b97f4a7c15;

        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
                unsigned __int128 modulus = (unsigned __int128)ranges[i] + 1, truth = 0, sum = 0;
                uint64_t start = (uint64_t)(next_random(&seed) % modulus), before = start;
                uint64_t wraps = 0;

                for (int step = 0; step < STEPS; step++) {
                        uint64_t after;

                        truth += next_random(&seed) % modulus;
                        after = (uint64_t)((start + truth) % modulus);
                        sum += counter_delta_uj(before, after, ranges[i]);
                        wraps += after < before;
                        before = after;
                }
                assert_true(sum == truth);
                assert_true(wraps > STEPS / 10);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_counter_that_stands_gives_nothing),
                cmocka_unit_test(without_a_wrap_it_is_the_difference),
                cmocka_unit_test(wraps_are_modular),
                cmocka_unit_test(sums_over_any_walk_are_exact),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
