/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "calibration_result.h"
#include "calibration_windows.h"
#include "random.h"

#define LOADS   10
#define GROUPS  2
#define ROUND   40
#define ROUNDS  10
#define BASE_W  20.0
#define CORE_W  15.0
#define CURVE   0.3
#define NOISE_W 0.03

static struct calibration_windows *windows;
static struct power_point points[LOADS * GROUPS * ROUNDS];

static int setup(void **state)
{
        (void)state;
        return calibration_windows_new(&windows, LOADS, GROUPS, ROUND * ROUNDS);
}

static int teardown(void **state)
{
        (void)state;
        calibration_windows_free(windows);
        return 0;
}

static void add(unsigned int load, double busy, double watts, double others)
{
        const struct calibration_window groups[GROUPS] = {
                {.load = busy, .watts = watts, .others = others},
                {.load = busy + 1, .watts = watts + 1, .others = others}};

        calibration_windows_add(windows, load, groups);
}

static void a_quarter_of_the_windows_counts_and_it_is_the_quietest(void **state)
{
        size_t n;

        (void)state;
        for (unsigned int i = 0; i < 12; i++) /* the 2nd, 6th and 10th are quiet */
                add(0, i, 100 + i, i % 4 == 1 ? 0.01 : 0.5);
        n = calibration_windows_points(windows, 1, points);
        assert_int_equal(n, GROUPS);
        assert_int_equal(points[0].group, 0);
        assert_true(points[0].load == 5 && points[0].watts == 105);
        assert_int_equal(points[1].group, 1);
        assert_true(points[1].load == 6 && points[1].watts == 106);
}

/* The quietest are one batch, the less quiet another. */
static void batches_are_as_many_points(void **state)
{
        size_t n;

        (void)state;
        for (unsigned int i = 0; i < 24; i++)
                add(3, i, 10 * i, i);
        n = calibration_windows_points(windows, 2, points);
        assert_int_equal(n, 2 * GROUPS);
        assert_true(points[0].load == 1 && points[0].watts == 10); /* of 0, 1, 2 */
        assert_true(points[1].load == 4 && points[1].watts == 40); /* of 3, 4, 5 */
        /* Asked again they are the same; and there are no more batches than quiet windows. */
        assert_int_equal(calibration_windows_points(windows, 2, points), n);
        assert_true(points[1].load == 4);
        assert_int_equal(calibration_windows_points(windows, 100, points), 6 * GROUPS);
}

static void more_windows_than_there_is_room_for_are_left_out(void **state)
{
        (void)state;
        for (unsigned int i = 0; i < ROUND * ROUNDS; i++)
                add(0, 1, 1, 1);
        add(0, 7, 7, 0);
        assert_int_equal(calibration_windows_points(windows, 1, points), GROUPS);
        assert_true(points[0].load == 1);
}

/* One round over a machine with that curve, on which somebody else is at work in every third
 * window: a whole core for some of its time. */
static void add_round(uint64_t *seed)
{
        for (unsigned int load = 0; load < LOADS; load++) {
                double own = load < 9 ? load / 8.0 : 2;

                for (unsigned int i = 0; i < ROUND; i++) {
                        double others = i % 3 ? 0.002 : 0.1 + (double)random_below(seed, 400) / 1e3;
                        double power = CORE_W * ((1 - others) * pow(own, CURVE) +
                                                 others * pow(own + 1, CURVE));

                        add(load, own + others, BASE_W + power + NOISE_W * random_normal(seed),
                            others);
                }
        }
}

static void a_curve_is_found_beside_others(void **state)
{
        uint64_t seed = RANDOM_SEED;
        double excess = INFINITY;
        unsigned int rounds = 0;
        struct power_fit fit = {0};

        (void)state;
        while (excess > 1 && rounds < ROUNDS) {
                double before = excess;
                size_t n;

                add_round(&seed);
                n = calibration_windows_points(windows, ++rounds, points);
                assert_int_equal(n, (size_t)LOADS * GROUPS * rounds);
                for (size_t i = 0; i < n; i++) /* the second group is as the first, shifted */
                        points[i].load -= points[i].group;
                assert_int_equal(power_fit_cores(&fit, points, n), 0);
                excess = calibration_excess(&fit);
                assert_true(rounds < 3 || excess < 2 * before); /* it does not grow */
        }
        assert_true(excess <= 1);
        assert_null(calibration_doubt(&fit));
        assert_int_equal(fit.law, POWER_UNEVEN);
        assert_false(fit.misfit);
        assert_true(fabs(fit.exponent - CURVE) < 0.02);
        assert_true(fabs(fit.base_w[0] - BASE_W) < 0.02 * BASE_W);
        assert_true(fabs(fit.base_w[1] - BASE_W - 1) < 0.02 * BASE_W);
}

/* A package that draws 3 W more from the second core on: no curve of the model. */
static void a_law_that_does_not_hold_is_not_hidden_by_repetition(void **state)
{
        double half_width[2];
        struct power_fit fit;

        (void)state;
        for (unsigned int more = 0; more < 2; more++) {
                for (unsigned int i = 0; i < 4; i++) {
                        for (unsigned int load = 0; load < LOADS; load++)
                                for (unsigned int k = 0; k < ROUND; k++)
                                        add(load, load,
                                            BASE_W + CORE_W * pow(load, 0.8) + (load > 1) * 3 +
                                                    0.01 * (k % 3),
                                            0);
                }
                assert_int_equal(power_fit_cores(&fit, points,
                                                 calibration_windows_points(windows, 4 * (more + 1),
                                                                            points)),
                                 0);
                assert_true(fit.misfit);
                half_width[more] = calibration_half_width(&fit, fit.exponent_error);
        }
        assert_true(half_width[0] > 0.01);
        assert_true(half_width[1] > 0.9 * half_width[0]);
}

static void what_is_not_known_is_not_exact(void **state)
{
        struct power_fit fit = {.exponent = 0.3,
                                .exponent_error = 0.001,
                                .ngroups = 1,
                                .base_w = {20},
                                .base_error_w = {0.01},
                                .freedom = 30};

        (void)state;
        assert_true(calibration_excess(&fit) < 1 && !calibration_doubt(&fit));
        fit.base_error_w[0] = 0.4; /* 2.04 times that is more than 2 % of 20 W */
        assert_true(calibration_excess(&fit) > 1 && !calibration_doubt(&fit));
        fit.base_error_w[0] = NAN;
        assert_true(isinf(calibration_excess(&fit)));
        fit.base_error_w[0] = 0.01;
        fit.base_w[0] = -1; /* no power is below none */
        assert_true(isinf(calibration_excess(&fit)) && calibration_doubt(&fit));
        fit.base_w[0] = 20;
        fit.freedom = 0;
        assert_true(isinf(calibration_excess(&fit)) && calibration_doubt(&fit));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(
                        a_quarter_of_the_windows_counts_and_it_is_the_quietest, setup, teardown),
                cmocka_unit_test_setup_teardown(batches_are_as_many_points, setup, teardown),
                cmocka_unit_test_setup_teardown(more_windows_than_there_is_room_for_are_left_out,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(a_curve_is_found_beside_others, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        a_law_that_does_not_hold_is_not_hidden_by_repetition, setup, teardown),
                cmocka_unit_test(what_is_not_known_is_not_exact),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
