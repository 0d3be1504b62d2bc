/* SPDX-License-Identifier: MIT */
/*
 * Base power told from points of a machine in use.  What has to hold whatever the curve: the base
 * is within 5 % of the truth, or it is not trusted, and it is said what is lacking.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base_fit.h"
#include "random.h"
#include "regress.h"

#define BASE_W      20.0
#define PER_CORE_W  10.0
#define CURVE_W     15.0
#define MINUTE      120 /* points */
#define TWO_MINUTES 240
#define EXPERIMENTS 40

static uint64_t seed;
static double load[TWO_MINUTES], watts[TWO_MINUTES];

static double uniform(void)
{
        return (double)random_below(&seed, 1u << 30) / (1u << 30);
}

/* A normal deviate, near enough: Irwin-Hall with 12 terms. */
static double normal(void)
{
        double sum = -6;

        for (int i = 0; i < 12; i++)
                sum += uniform();
        return sum;
}

/* ---- how power goes with busy CPUs ---- */

static double line(double u)
{
        return BASE_W + PER_CORE_W * u;
}

static double smooth_03(double u)
{
        return BASE_W + CURVE_W * pow(u, 0.3);
}

static double smooth_07(double u)
{
        return BASE_W + CURVE_W * pow(u, 0.7);
}

/* Whole CPUs, one after the other */
static double polygon_03(double u)
{
        double whole = floor(u), part = u - whole;

        return BASE_W + CURVE_W * ((whole > 0 ? pow(whole, 0.3) : 0) * (1 - part) +
                                   pow(whole + 1, 0.3) * part);
}

/* Two CPUs that are busy for the same part of the time, and independently */
static double two_at_random_03(double u)
{
        double part = u / 2;

        return BASE_W + CURVE_W * (2 * part * (1 - part) + pow(2, 0.3) * part * part);
}

/* In none of the families */
static double saturating(double u)
{
        return BASE_W + 18 * u / (u + 0.3);
}

static double rising(double u)
{
        return BASE_W + 4 * u * u;
}

struct curve {
        const char *name;
        double (*watts)(double u);
};

static const struct curve curves[] = {
        {"u^0.3", smooth_03},        {"u^0.7", smooth_07},
        {"polygon 0.3", polygon_03}, {"two at random", two_at_random_03},
        {"saturating", saturating},  {"rising", rising},
};

#define NCURVES (sizeof(curves) / sizeof(curves[0]))

static const double noises_w[] = {0, 0.03, 0.1, 0.3, 0.6, 1};

#define NNOISES (sizeof(noises_w) / sizeof(noises_w[0]))

/* Points at loads from `low` to `high` CPUs, all as probable. */
static void make_points(size_t n, double low, double high, double (*law)(double), double noise_w)
{
        for (size_t i = 0; i < n; i++) {
                load[i] = low + (high - low) * uniform();
                watts[i] = law(load[i]) + noise_w * normal();
        }
}

static struct base_fit fit_points(size_t n)
{
        struct base_fit fit;

        assert_int_equal(base_fit(&fit, load, watts, n), 0);
        return fit;
}

static bool within_5_percent(const struct base_fit *fit)
{
        return fabs(fit->base_w - BASE_W) <= 0.05 * BASE_W;
}

/* ---- a straight line ---- */

static void base_of_a_machine_never_below_a_fifth_is_known_after_a_minute(void **state)
{
        seed = 1;
        for (int e = 0; e < EXPERIMENTS; e++) {
                struct base_fit fit;

                make_points(MINUTE, 0.4, 2, line, 0.05);
                fit = fit_points(MINUTE);
                assert_true(within_5_percent(&fit));
                assert_true(fit.half_width_w <= 0.05 * BASE_W);
                /* by chance a curve is better at the 99 % level now and then */
                assert_true(!fit.straight || !base_fit_lacking(&fit, MINUTE, 2));
        }
}

static void a_large_socket_is_told_like_a_small_one(void **state)
{
        struct base_fit fit;

        seed = 2;
        make_points(TWO_MINUTES, 12.8, 64, line, 0.3);
        fit = fit_points(TWO_MINUTES);
        assert_null(base_fit_lacking(&fit, TWO_MINUTES, 64));
        assert_true(within_5_percent(&fit));
}

/* One point of six is anything up to ten times the power. */
static void points_that_are_wrong_are_outvoted(void **state)
{
        struct base_fit fit;

        seed = 3;
        make_points(TWO_MINUTES, 0.2, 2, line, 0.1);
        for (size_t i = 0; i < TWO_MINUTES; i += 6)
                watts[i] = 200 * uniform();
        fit = fit_points(TWO_MINUTES);
        assert_null(base_fit_lacking(&fit, TWO_MINUTES, 2));
        assert_true(within_5_percent(&fit));
}

static void power_that_does_not_depend_on_use_is_its_own_base(void **state)
{
        struct base_fit fit;

        seed = 4;
        for (size_t i = 0; i < MINUTE; i++) {
                load[i] = 0.4 + 1.6 * uniform();
                watts[i] = 3 + 0.01 * normal();
        }
        fit = fit_points(MINUTE);
        assert_null(base_fit_lacking(&fit, MINUTE, 2));
        assert_true(fabs(fit.base_w - 3) < 0.05);
}

/* ---- a curve ---- */

static void no_curve_over_loads_above_a_fifth_is_trusted_and_wrong(void **state)
{
        unsigned int told = 0;

        seed = 5;
        for (size_t c = 0; c < NCURVES; c++)
                for (size_t k = 0; k < NNOISES; k++)
                        for (int e = 0; e < EXPERIMENTS / 8; e++) {
                                struct base_fit fit;
                                const char *lacking;

                                make_points(MINUTE, 0.4, 2, curves[c].watts, noises_w[k]);
                                fit = fit_points(MINUTE);
                                lacking = base_fit_lacking(&fit, MINUTE, 2);
                                if (!lacking && !within_5_percent(&fit))
                                        fail_msg("%s, noise %g W: %g +- %g W", curves[c].name,
                                                 noises_w[k], fit.base_w, fit.half_width_w);
                                told += lacking && strstr(lacking, "in proportion to use") &&
                                        strstr(lacking, "energat basepower");
                        }
        assert_true(told > NCURVES * NNOISES * EXPERIMENTS / 16); /* half of them */
}

/* The finding that this module is there for: a line's intercept is 31 W, with an interval of 0.1.
 */
static void the_curve_of_the_model_is_no_line(void **state)
{
        struct line_fit straight;
        struct base_fit fit;

        seed = 6;
        make_points(TWO_MINUTES, 0.4, 2, smooth_03, 0.1);
        assert_int_equal(regress_line(&straight, load, watts, TWO_MINUTES), 0);
        assert_true(straight.intercept > 1.4 * BASE_W);
        assert_true(straight.half_width < 0.05 * BASE_W);
        fit = fit_points(TWO_MINUTES);
        assert_false(fit.straight);
        assert_non_null(base_fit_lacking(&fit, TWO_MINUTES, 2));
}

/* The polygon is straight from one CPU to two: nothing says how it goes on below. */
static void one_cpu_that_is_always_busy_hides_what_is_below(void **state)
{
        seed = 7;
        for (size_t k = 0; k < NNOISES; k++)
                for (int e = 0; e < EXPERIMENTS / 4; e++) {
                        struct base_fit fit;

                        make_points(MINUTE, 1, 2, polygon_03, noises_w[k]);
                        fit = fit_points(MINUTE);
                        assert_non_null(base_fit_lacking(&fit, MINUTE, 2));
                }
}

/* A laptop: mostly at rest, and sometimes not. */
static void a_curve_of_a_machine_that_is_at_rest_at_times_is_told(void **state)
{
        unsigned int trusted = 0;

        seed = 8;
        for (int e = 0; e < EXPERIMENTS; e++) {
                struct base_fit fit;

                make_points(TWO_MINUTES, 0, 0.01, polygon_03, 0.1);
                for (size_t i = 0; i < TWO_MINUTES; i += 3) {
                        load[i] = 2 * uniform();
                        watts[i] = polygon_03(load[i]) + 0.1 * normal();
                }
                fit = fit_points(TWO_MINUTES);
                assert_false(fit.straight);
                assert_true(within_5_percent(&fit));
                trusted += !base_fit_lacking(&fit, TWO_MINUTES, 2);
        }
        assert_int_equal(trusted, EXPERIMENTS);
}

/* ---- the interval ---- */

static unsigned int times_held(double (*law)(double), double low, double noise_w, double drift_w)
{
        unsigned int held = 0;

        for (int e = 0; e < EXPERIMENTS; e++) {
                struct base_fit fit;
                double drift = 0;

                make_points(MINUTE, low, 2, law, noise_w);
                for (size_t i = 0; i < MINUTE; i++) {
                        drift = 0.95 * drift + drift_w * normal();
                        watts[i] += drift;
                }
                fit = fit_points(MINUTE);
                held += fabs(fit.base_w - BASE_W) <= fit.half_width_w;
        }
        return held;
}

/* 95 % of 40 are 38; four standard deviations of chance are 6 less. */
static void the_interval_holds_the_truth_as_often_as_it_says(void **state)
{
        seed = 9;
        assert_in_range(times_held(line, 0.4, 0.3, 0), 32, 40);
        assert_in_range(times_held(smooth_07, 0.4, 0.3, 0), 32, 40);
        assert_in_range(times_held(smooth_03, 0.02, 0.1, 0), 32, 40);
        assert_in_range(times_held(polygon_03, 0.4, 0.3, 0), 32, 40);
        /* power that drifts by some 0.6 W while the load is what it was */
        assert_in_range(times_held(line, 0.4, 0.05, 0.2), 32, 40);
}

/* ---- what is not told ---- */

static void power_that_falls_with_use_is_not_trusted(void **state)
{
        struct base_fit fit;

        seed = 10;
        for (size_t i = 0; i < MINUTE; i++) {
                load[i] = 0.4 + 1.6 * uniform();
                watts[i] = 40 - 10 * load[i] + 0.05 * normal();
        }
        fit = fit_points(MINUTE);
        assert_string_equal(base_fit_lacking(&fit, MINUTE, 2),
                            "power that depends on use and on little else");
}

static void few_points_and_one_load_are_not_enough(void **state)
{
        struct base_fit fit;

        seed = 11;
        make_points(MINUTE, 0.4, 2, line, 0.05);
        fit = fit_points(BASE_FIT_MIN_POINTS - 1);
        assert_string_equal(base_fit_lacking(&fit, BASE_FIT_MIN_POINTS - 1, 2), "more time");
        assert_int_equal(base_fit(&fit, load, watts, 2), -ENODATA);
        assert_int_equal(base_fit(&fit, load, watts, REGRESS_MAX_POINTS + 1), -E2BIG);

        make_points(MINUTE, 0.4, 0.7, line, 0.05);
        fit = fit_points(MINUTE);
        assert_string_equal(base_fit_lacking(&fit, MINUTE, 2), "a load that varies more");
        for (size_t i = 0; i < MINUTE; i++)
                load[i] = 1;
        assert_int_equal(base_fit(&fit, load, watts, MINUTE), -ENODATA);
        /* a counter that stands at 0 */
        make_points(MINUTE, 0.4, 2, line, 0.05);
        memset(watts, 0, sizeof(watts));
        assert_int_equal(base_fit(&fit, load, watts, MINUTE), -ERANGE);
}

static void noise_needs_more_time(void **state)
{
        struct base_fit fit;

        seed = 12;
        make_points(MINUTE, 0.4, 2, line, 1);
        fit = fit_points(MINUTE);
        assert_non_null(
                strstr(base_fit_lacking(&fit, MINUTE, 2), "a narrower confidence interval"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(base_of_a_machine_never_below_a_fifth_is_known_after_a_minute),
                cmocka_unit_test(a_large_socket_is_told_like_a_small_one),
                cmocka_unit_test(points_that_are_wrong_are_outvoted),
                cmocka_unit_test(power_that_does_not_depend_on_use_is_its_own_base),
                cmocka_unit_test(no_curve_over_loads_above_a_fifth_is_trusted_and_wrong),
                cmocka_unit_test(the_curve_of_the_model_is_no_line),
                cmocka_unit_test(one_cpu_that_is_always_busy_hides_what_is_below),
                cmocka_unit_test(a_curve_of_a_machine_that_is_at_rest_at_times_is_told),
                cmocka_unit_test(the_interval_holds_the_truth_as_often_as_it_says),
                cmocka_unit_test(power_that_falls_with_use_is_not_trusted),
                cmocka_unit_test(few_points_and_one_load_are_not_enough),
                cmocka_unit_test(noise_needs_more_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
