/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"
#include "regress.h"

#define POINTS 120

static uint64_t seed;

static double between(double low, double high)
{
        return low + (high - low) * (double)random_below(&seed, 1u << 30) / (1u << 30);
}

static void a_line_without_noise_is_found_exactly(void **state)
{
        double x[5] = {0.2, 0.5, 1, 1.5, 2}, y[5];
        struct line_fit fit;

        (void)state;
        for (int i = 0; i < 5; i++)
                y[i] = 20 + 10 * x[i];
        assert_int_equal(regress_line(&fit, x, y, 5), 0);
        assert_true(fabs(fit.intercept - 20) < 1e-9);
        assert_true(fabs(fit.slope - 10) < 1e-9);
        assert_true(fit.half_width < 1e-9);
        assert_true(fit.x_low == 0.2 && fit.x_high == 2);
}

/* A machine that is never below 20 % busy. */
static void the_intercept_is_found_far_from_the_points(void **state)
{
        double x[POINTS], y[POINTS];
        struct line_fit fit;

        (void)state;
        seed = RANDOM_SEED;
        for (int i = 0; i < POINTS; i++) {
                x[i] = between(0.4, 2);
                y[i] = 20 + 10 * x[i] + 0.3 * random_normal(&seed);
        }
        assert_int_equal(regress_line(&fit, x, y, POINTS), 0);
        assert_true(fabs(fit.intercept - 20) < 0.05 * 20);
        assert_true(fit.half_width < 0.05 * 20);
}

static void a_fifth_of_the_points_may_be_anything(void **state)
{
        double x[POINTS], y[POINTS];
        struct line_fit fit;

        (void)state;
        seed = RANDOM_SEED;
        for (int i = 0; i < POINTS; i++) {
                x[i] = between(0.4, 2);
                y[i] = i % 5 ? 20 + 10 * x[i] + 0.1 * random_normal(&seed) : between(0, 200);
        }
        assert_int_equal(regress_line(&fit, x, y, POINTS), 0);
        assert_true(fabs(fit.intercept - 20) < 0.05 * 20);
}

/* Of 200 experiments, about 190 intervals hold the truth. */
static void the_interval_holds_the_truth_as_often_as_it_says(void **state)
{
        int held = 0;

        (void)state;
        seed = RANDOM_SEED;
        for (int e = 0; e < 200; e++) {
                double x[POINTS], y[POINTS];
                struct line_fit fit;

                for (int i = 0; i < POINTS; i++) {
                        x[i] = between(0.4, 2);
                        y[i] = 20 + 10 * x[i] + random_normal(&seed);
                }
                assert_int_equal(regress_line(&fit, x, y, POINTS), 0);
                held += fabs(fit.intercept - 20) <= fit.half_width;
        }
        assert_in_range(held, 175, 200);
}

static void points_at_one_load_tell_nothing(void **state)
{
        double x[POINTS] = {0}, y[POINTS] = {0};
        struct line_fit fit;

        (void)state;
        assert_int_equal(regress_line(&fit, x, y, POINTS), -ENODATA);
        x[0] = 1;
        assert_int_equal(regress_line(&fit, x, y, 2), -ENODATA);
        assert_int_equal(regress_line(&fit, x, y, REGRESS_MAX_POINTS + 1), -E2BIG);
}

static void the_median_of_an_even_number_is_between_the_two(void **state)
{
        double even[4] = {4, 1, 3, 2}, odd[3] = {9, 1, 5};

        (void)state;
        assert_true(regress_median(even, 4) == 2.5);
        assert_true(regress_median(odd, 3) == 5);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_without_noise_is_found_exactly),
                cmocka_unit_test(the_intercept_is_found_far_from_the_points),
                cmocka_unit_test(a_fifth_of_the_points_may_be_anything),
                cmocka_unit_test(the_interval_holds_the_truth_as_often_as_it_says),
                cmocka_unit_test(points_at_one_load_tell_nothing),
                cmocka_unit_test(the_median_of_an_even_number_is_between_the_two),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
