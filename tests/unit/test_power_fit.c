/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "power_fit.h"
#include "random.h"

#define MAX 256

static struct power_point points[MAX];
static size_t n;

static void point(unsigned int group, double load, double watts)
{
        points[n++] = (struct power_point){.group = group, .load = load, .watts = watts};
}

static bool near(double value, double expected, double tolerance)
{
        if (fabs(value - expected) <= tolerance)
                return true;
        print_message("%.9g, expected %.9g\n", value, expected);
        return false;
}

static int reset(void **state)
{
        (void)state;
        n = 0;
        return 0;
}

static void two_busy_cores_and_none_tell_an_exact_curve(void **state)
{
        struct power_fit fit;

        (void)state;
        for (unsigned int cores = 0; cores <= 2; cores++)
                point(0, cores, 20 + 15 * pow(cores, 0.3));
        assert_int_equal(power_fit(&fit, points, n, POWER_POLYGON), 0);
        assert_true(near(fit.exponent, 0.3, 1e-6));
        assert_true(near(fit.base_w[0], 20, 1e-6));
        assert_true(near(fit.slope_w[0], 15, 1e-6));
        assert_true(fit.residual_w < 1e-6);
        assert_true(isnan(fit.exponent_error)); /* nothing is left over to judge by */
        assert_true(near(power_fit_watts(&fit, 0, 2), 20 + 15 * pow(2, 0.3), 1e-6));
}

static void part_time_cores_are_between_whole_ones(void **state)
{
        struct power_fit fit;

        (void)state;
        /* 4 % of the time one core, else none; then that beside one, two and three */
        for (unsigned int cores = 0; cores <= 3; cores++)
                point(0, cores + 0.04,
                      10 + 8 * (0.96 * pow(cores, 0.4) * (cores > 0) + 0.04 * pow(cores + 1, 0.4)));
        assert_int_equal(power_fit(&fit, points, n, POWER_POLYGON), 0);
        assert_true(near(fit.exponent, 0.4, 1e-6));
        assert_true(near(fit.base_w[0], 10, 1e-6));
}

/* Which law holds shows at parts of a core. */
static void the_law_is_told_by_parts_of_a_core(void **state)
{
        const double loads[] = {0.03, 0.28, 0.53, 0.78, 1.02, 2};
        struct power_fit fit;

        (void)state;
        for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
                point(0, loads[i], 20 + 15 * pow(loads[i], 0.3));
        assert_int_equal(power_fit_cores(&fit, points, n), 0);
        assert_int_equal(fit.law, POWER_UNEVEN);
        assert_true(near(fit.freedom, 5 - 4, 0)); /* the point at rest is in no smooth curve */
        assert_true(near(fit.exponent, 0.3, 1e-5));
        assert_true(near(fit.base_w[0], 20, 1e-3));
        n = 0;
        for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
                point(0, loads[i],
                      20 + 15 * (loads[i] <= 1 ? loads[i]
                                               : 1 + (loads[i] - 1) * (pow(2, 0.3) - 1)));
        assert_int_equal(power_fit_cores(&fit, points, n), 0);
        assert_int_equal(fit.law, POWER_POLYGON);
        assert_true(near(fit.freedom, 6 - 3, 0));
        assert_true(near(fit.exponent, 0.3, 1e-5));
        assert_true(near(fit.base_w[0], 20, 1e-3));
}

/* Every tenth piece of the time a fifth of a core has to be busy for somebody else. */
static void uneven_work_does_not_bend_the_curve(void **state)
{
        const double loads[] = {0.125, 0.25, 0.5, 0.75, 1, 2};
        struct power_fit fit;

        (void)state;
        for (unsigned int group = 0; group < 2; group++) {
                double burst = group ? 0.1 : 0.2, others = 0.02 + 0.1 * burst;

                for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
                        double even = loads[i] + 0.02;

                        points[n++] = (struct power_point){
                                .group = group,
                                .load = loads[i] + others,
                                .others = others,
                                .watts = 20 + 15 * (0.9 * pow(even, 0.3) +
                                                    0.1 * pow(even + burst, 0.3))};
                }
        }
        assert_int_equal(power_fit(&fit, points, n, POWER_SMOOTH), 0);
        assert_true(fit.base_w[0] < 19.6); /* as if it were another curve */
        assert_int_equal(power_fit_cores(&fit, points, n), 0);
        assert_int_equal(fit.law, POWER_UNEVEN);
        assert_true(near(fit.exponent, 0.3, 0.003));
        assert_true(near(fit.base_w[0], 20, 0.15) && near(fit.base_w[1], 20, 0.1));
        /* k x the variance / 2, less what higher terms have of it */
        assert_true(near(fit.uneven_w[0], 15 * 0.09 * 0.2 * 0.2 / 2, 0.015));
        for (size_t i = 0; i < n; i++)
                assert_true(near(power_fit_watts(&fit, points[i].group, points[i].load),
                                 points[i].watts, 0.02));
}

/* A few noisy points of 20 + 15 u^0.3 on which 1 % of a core is not ours: unevenness that others
 * cannot make would turn them into a line of exponent 1. */
static void others_are_not_blamed_for_more_than_they_do(void **state)
{
        const double loads[] = {0.13, 0.26, 0.51, 0.76, 1.02, 1.99};
        const double watts[] = {28.3, 30.2, 32.5, 34.1, 34.7, 38.5};
        struct power_fit fit;

        (void)state;
        for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
                points[n++] = (struct power_point){
                        .load = loads[i], .watts = watts[i], .others = 0.01};
        assert_int_equal(power_fit(&fit, points, n, POWER_UNEVEN), 0);
        assert_true(near(fit.exponent, 0.3, 0.15));
        assert_true(fit.uneven_w[0] <= fit.slope_w[0] * 0.01 / 2 + 1e-9);
        assert_true(fit.exponent_error > 0.02); /* and it is not said to be exact */
}

static void packages_share_the_exponent_and_nothing_else(void **state)
{
        struct power_fit fit;

        (void)state;
        for (unsigned int cores = 0; cores <= 4; cores++) {
                point(0, cores, 20 + 15 * pow(cores, 0.5));
                point(1, cores, 35 + 9 * pow(cores, 0.5));
        }
        assert_int_equal(power_fit(&fit, points, n, POWER_POLYGON), 0);
        assert_int_equal(fit.ngroups, 2);
        assert_true(near(fit.exponent, 0.5, 1e-6));
        assert_true(near(fit.base_w[1], 35, 1e-6) && near(fit.slope_w[1], 9, 1e-6));
}

static void a_straight_line_has_exponent_one(void **state)
{
        struct power_fit fit;

        (void)state;
        for (unsigned int gib = 2; gib <= 8; gib++)
                point(0, gib, 3 + 0.3 * gib);
        assert_int_equal(power_fit(&fit, points, n, POWER_SMOOTH), 0);
        assert_true(near(fit.exponent, 1, 1e-6));
        assert_true(near(fit.slope_w[0], 0.3, 1e-6));
        assert_true(near(fit.base_w[0], 3, 1e-6));
}

/* How often the truth is within two standard errors, in percent of many noisy calibrations. */
struct coverage {
        unsigned int exponent, base;
};

static struct coverage coverage_of(void (*measure)(uint64_t *seed), enum power_law law,
                                   double exponent, double base)
{
        const unsigned int runs = 400;
        uint64_t seed = RANDOM_SEED;
        struct coverage within = {0};

        for (unsigned int run = 0; run < runs; run++) {
                struct power_fit fit;

                n = 0;
                measure(&seed);
                assert_int_equal(power_fit(&fit, points, n, law), 0);
                within.exponent += fabs(fit.exponent - exponent) < 2 * fit.exponent_error;
                within.base += fabs(fit.base_w[0] - base) < 2 * fit.base_error_w[0];
        }
        within.exponent = within.exponent * 100 / runs;
        within.base = within.base * 100 / runs;
        print_message("within two standard errors: exponent %u %%, base %u %%\n", within.exponent,
                      within.base);
        return within;
}

static void measure_eight_cores(uint64_t *seed)
{
        for (unsigned int cores = 0; cores <= 8; cores++)
                for (unsigned int i = 0; i < 4; i++)
                        point(0, cores, 20 + 15 * pow(cores, 0.6) + 0.5 * random_normal(seed));
}

/* The error it states is the error that it has: about 95 % are within two standard errors. */
static void stated_errors_are_true(void **state)
{
        struct coverage within = coverage_of(measure_eight_cores, POWER_POLYGON, 0.6, 20);

        (void)state;
        assert_in_range(within.exponent, 92, 97);
        assert_in_range(within.base, 92, 97);
}

/* Of a load that is noisy, power is the more so the steeper the curve is there. */
static void measure_uneven_work(uint64_t *seed)
{
        const double loads[] = {0.145, 0.27, 0.52, 0.77, 1.02, 2};

        for (unsigned int step = 0; step < sizeof(loads) / sizeof(loads[0]); step++) {
                double load = loads[step];
                double lower = 15 * 0.3 * 0.7 * pow(load, 0.3 - 2) * 0.002 / 2;

                for (unsigned int i = 0; i < 4; i++) {
                        double noisy = load + 0.003 * random_normal(seed);

                        points[n++] = (struct power_point){.load = load,
                                                           .others = 0.02,
                                                           .step = step + 1,
                                                           .watts = 20 + 15 * pow(noisy, 0.3) -
                                                                    lower +
                                                                    0.015 * random_normal(seed)};
                }
        }
}

/* How uneven work is has to be found, too: that it cannot be below 0 does not make it known. */
static void stated_errors_are_true_of_uneven_work(void **state)
{
        struct coverage within = coverage_of(measure_uneven_work, POWER_UNEVEN, 0.3, 20);

        (void)state;
        assert_in_range(within.exponent, 92, 100);
        assert_in_range(within.base, 92, 100);
}

static void what_cannot_be_told_is_an_error(void **state)
{
        struct power_fit fit;

        (void)state;
        assert_int_equal(power_fit(&fit, points, 0, POWER_POLYGON), -ENODATA);
        point(0, 0, 20);
        point(0, 1, 30);
        point(0, 1.01, 30.1); /* no third load */
        assert_int_equal(power_fit(&fit, points, n, POWER_POLYGON), -ENODATA);
        point(0, 2, 20);
        points[1].watts = points[2].watts = 19; /* power that does not grow */
        assert_int_equal(power_fit(&fit, points, n, POWER_POLYGON), -ERANGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(two_busy_cores_and_none_tell_an_exact_curve, reset),
                cmocka_unit_test_setup(part_time_cores_are_between_whole_ones, reset),
                cmocka_unit_test_setup(the_law_is_told_by_parts_of_a_core, reset),
                cmocka_unit_test_setup(uneven_work_does_not_bend_the_curve, reset),
                cmocka_unit_test_setup(others_are_not_blamed_for_more_than_they_do, reset),
                cmocka_unit_test_setup(packages_share_the_exponent_and_nothing_else, reset),
                cmocka_unit_test_setup(a_straight_line_has_exponent_one, reset),
                cmocka_unit_test_setup(stated_errors_are_true, reset),
                cmocka_unit_test_setup(stated_errors_are_true_of_uneven_work, reset),
                cmocka_unit_test_setup(what_cannot_be_told_is_an_error, reset),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
