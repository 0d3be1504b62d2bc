/* SPDX-License-Identifier: MIT */
/* Counts and microjoules: exact, whatever the scale, over wraps and over years. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scale.h"

#define RAPL_SCALE "2.3283064365386962890625e-10" /* 2^-32 J, as the kernel writes it */

static struct scale parsed(const char *text)
{
        struct scale scale;

        assert_int_equal(scale_parse(&scale, text), 0);
        return scale;
}

static uint64_t microjoules(const char *text, count_t counts)
{
        struct scale scale = parsed(text);
        uint64_t uj;

        assert_true(scale_to_uj(&scale, counts, &uj));
        return uj;
}

static void the_kernels_scale_is_a_power_of_two_exactly(void **state)
{
        struct scale decimal = parsed(RAPL_SCALE), hexadecimal = parsed("0x1p-32");

        /* 10^6 / 2^32 in lowest terms */
        assert_int_equal(decimal.num, 15625);
        assert_true(decimal.den == 67108864);
        assert_int_equal(hexadecimal.num, decimal.num);
        assert_true(hexadecimal.den == decimal.den);
}

static void a_joule_is_a_million_microjoules_in_every_spelling(void **state)
{
        static const char *const joules[] = {"1",       "1.0",  "1.",      "0.1e1",  "10e-1",
                                             "1e0",     "1E+0", "0x1",     "0X1P+0", "0x.8p1",
                                             "0x10p-4", "0001", "1.000e00"};

        for (size_t i = 0; i < sizeof(joules) / sizeof(joules[0]); i++)
                assert_int_equal(microjoules(joules[i], 1), 1000000);
        assert_int_equal(microjoules("1e-6", 7), 7);
        assert_int_equal(microjoules("1.5e-6", 3), 4);
        assert_int_equal(microjoules("0x1.8p0", 2), 3000000);
        assert_int_equal(microjoules("6.103515625e-05", 65536), 4000000);
        /* a scale that someone printed with 17 digits is taken as it stands */
        assert_int_equal(microjoules("2.3283064365386963e-10", (count_t)1 << 32), 1000000);
}

static void what_is_no_number_above_zero_is_refused(void **state)
{
        static const char *const bad[] = {"",    ".",   "0",    "0.0",    "0e5",  "-1",    "+1",
                                          " 1",  "1 ",  "1e",   "1e+",    "1e-",  "1e1.5", "1.2.3",
                                          "1,5", "0x",  "0x.",  "0xp3",   "0x1p", "1p3",   "0x1e5q",
                                          "nan", "inf", "1e5x", "Joules", "1\n",  "e5",    "0x0p1"};

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct scale scale;

                assert_int_equal(scale_parse(&scale, bad[i]), -EBADMSG);
        }
}

static void what_does_not_fit_is_refused_not_rounded(void **state)
{
        static const char *const bad[] = {
                "1e400",
                "1e-400",
                "1e99999999999999999999",
                "0x1p-99999999999999999999",
                "0x1p-150",
                "1e-60",
                "1e60",
                "9999999999999999999999999999",
                "0x1p200",
                "0x123456789abcdef0123456789abcdef0123",
                "123456789012345678901234567890123456789012345678901234567890",
                "0.000000000000000000000000000000000000000000000000000000000001",
        };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct scale scale;

                assert_int_equal(scale_parse(&scale, bad[i]), -ERANGE);
        }
}

static void a_total_is_rounded_down_once(void **state)
{
        /* 2^32 counts are 1 J; one count less is not yet */
        assert_int_equal(microjoules(RAPL_SCALE, ((count_t)1 << 32)), 1000000);
        assert_int_equal(microjoules(RAPL_SCALE, ((count_t)1 << 32) - 1), 999999);
        assert_int_equal(microjoules(RAPL_SCALE, 0), 0);
        assert_int_equal(microjoules(RAPL_SCALE, 4294), 0);
        assert_int_equal(microjoules(RAPL_SCALE, 4295), 1);
}

static void more_than_64_bits_of_microjoules_are_refused(void **state)
{
        struct scale scale = parsed("1");
        uint64_t uj;

        assert_true(scale_to_uj(&scale, UINT64_MAX / 1000000, &uj));
        assert_int_equal(uj, UINT64_MAX / 1000000 * 1000000);
        assert_false(scale_to_uj(&scale, UINT64_MAX / 1000000 + 1, &uj));
        assert_false(scale_to_uj(&scale, (count_t)1 << 127, &uj));
}

/* Each step leaves a fraction of a microjoule; none of them may be lost or counted twice. */
static void a_million_steps_do_not_drift(void **state)
{
        struct scale scale = parsed(RAPL_SCALE);
        struct tally tally = {0};
        uint64_t counter = 0, before = 0, sum = 0;
        count_t truth = 0;

        srandom(1);
        for (int i = 0; i < 1000000; i++) {
                uint64_t step = ((uint64_t)random() << 20) + (uint64_t)random() % 1000, uj;

                counter += step;
                truth += step;
                tally_follow(&tally, counter);
                assert_true(scale_to_uj(&scale, tally.total, &uj));
                sum += uj - before;
                before = uj;
        }
        assert_true(tally.total == truth);
        assert_int_equal(sum, (uint64_t)(truth * 15625 / 67108864));
}

static void a_tally_goes_on_over_the_wraps_of_64_bits(void **state)
{
        const uint64_t step = UINT64_C(0x7000000000000000);
        struct tally tally = {0};
        uint64_t counter = 0;

        for (unsigned int i = 1; i <= 100; i++) {
                counter += step;
                tally_follow(&tally, counter);
                assert_true(tally.total == (count_t)step * i);
        }
        assert_true(tally.total > UINT64_MAX);
}

static void a_step_back_is_followed_and_is_no_wrap(void **state)
{
        struct tally tally = {0};

        tally_follow(&tally, 1000);
        tally_follow(&tally, 990);
        assert_true(tally.total == 990);
        tally_follow(&tally, 1010);
        assert_true(tally.total == 1010);
        /* below where it began there is nothing */
        tally_follow(&tally, UINT64_MAX);
        assert_true(tally.total == 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_kernels_scale_is_a_power_of_two_exactly),
                cmocka_unit_test(a_joule_is_a_million_microjoules_in_every_spelling),
                cmocka_unit_test(what_is_no_number_above_zero_is_refused),
                cmocka_unit_test(what_does_not_fit_is_refused_not_rounded),
                cmocka_unit_test(a_total_is_rounded_down_once),
                cmocka_unit_test(more_than_64_bits_of_microjoules_are_refused),
                cmocka_unit_test(a_million_steps_do_not_drift),
                cmocka_unit_test(a_tally_goes_on_over_the_wraps_of_64_bits),
                cmocka_unit_test(a_step_back_is_followed_and_is_no_wrap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
