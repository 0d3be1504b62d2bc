/* SPDX-License-Identifier: MIT */
/* Points of a machine in use, by domain, and its sockets' base power; the sums are this test's. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn_points.h"
#include "random.h"

#define PERIOD_S 0.5
#define NCPUS    4 /* of each die, and of the second socket */

/* Two sockets: the first of two dies with a package domain each; one dram domain. */
enum { DIE_0, DIE_1, DRAM_0, PACKAGE_1, NACCOUNTS };

static struct topology_cpu cpus[3 * NCPUS];
static const struct topology machine = {
        .cpus = cpus, .ncpus = 3 * NCPUS, .nslots = 3, .sockets = {0, 1}, .nsockets = 2};
static struct account all[NACCOUNTS] = {
        [DIE_0] = {.kind = ENERGY_PACKAGE, .slots = 1},
        [DIE_1] = {.kind = ENERGY_PACKAGE, .slots = 2},
        [DRAM_0] = {.kind = ENERGY_DRAM, .slots = 3},
        [PACKAGE_1] = {.kind = ENERGY_PACKAGE, .socket = 1, .slots = 4},
};
static struct accounts accounts = {.all = all, .n = NACCOUNTS, .nslots = 3, .nsockets = 2};
static uint64_t *now, *before;
static uint64_t seed;
static struct learn_points *points;
static struct baseline base;

static int setup(void **state)
{
        seed = 1;
        for (unsigned int i = 0; i < 3 * NCPUS; i++)
                cpus[i] = (struct topology_cpu){.online = true, .slot = (int)(i / NCPUS)};
        accounts.nsums = SUM_COLUMNS * NACCOUNTS + SUM_MACHINE_COLUMNS + accounts.nslots + 1;
        now = calloc(accounts.nsums, sizeof(*now));
        before = calloc(accounts.nsums, sizeof(*before));
        return learn_points_new(&points, &accounts, &machine);
}

static int teardown(void **state)
{
        learn_points_free(points);
        free(now);
        free(before);
        return 0;
}

static double uniform(void)
{
        return (double)random_below(&seed, 1u << 30) / (1u << 30);
}

static void uses(unsigned int account, double w)
{
        *account_sum(&accounts, now, SUM_ENERGY_UJ, account) += (uint64_t)(w * PERIOD_S * 1e6);
}

/* `n` points at loads from a fifth; power has a noise of a twentieth of a watt and its own law. */
static void run(size_t n, unsigned int unread, double exponent_of_socket_1)
{
        for (size_t i = 0; i < n; i++) {
                double busy[3];

                for (unsigned int slot = 0; slot < 3; slot++) {
                        busy[slot] = NCPUS * (0.2 + 0.8 * uniform());
                        *busy_sum(&accounts, now, slot) += (uint64_t)(busy[slot] * PERIOD_S * 1e9);
                }
                uses(DIE_0, 20 + 10 * busy[0] + 0.1 * (uniform() - 0.5));
                uses(DIE_1, 12 + 5 * busy[1] + 0.1 * (uniform() - 0.5));
                uses(DRAM_0, 3 + 0.01 * (uniform() - 0.5));
                uses(PACKAGE_1,
                     30 + 15 * pow(busy[2], exponent_of_socket_1) + 0.1 * (uniform() - 0.5));
                if (unread < NACCOUNTS)
                        *account_sum(&accounts, now, SUM_UNKNOWN_NS, unread) += 1;
                learn_points_add(points, now, before, PERIOD_S);
                memcpy(before, now, accounts.nsums * sizeof(*now));
        }
        learn_points_fit(points);
}

static bool within(double value, double expected, double percent)
{
        return fabs(value - expected) <= expected * percent / 100;
}

static void base_power_of_dies_adds_up(void **state)
{
        run(120, NACCOUNTS, 1);
        for (unsigned int i = 0; i < NACCOUNTS; i++)
                assert_null(learn_points_lacking(points, i));
        learn_points_base(points, true, &base);
        assert_true(within(base.package_w[0], 32, 5));
        assert_true(within(base.package_w[1], 30, 5));
        assert_true(within(base.dram_w[0], 3, 5));
        assert_true(isnan(base.dram_w[1]) && isnan(base.dram_half_width_w[1]));
        /* and so do the intervals */
        assert_true(within(base.package_half_width_w[0],
                           learn_points_of(points, DIE_0)->half_width_w +
                                   learn_points_of(points, DIE_1)->half_width_w,
                           1e-6));
        assert_true(base.package_half_width_w[1] > 0);
        /* all dies' CPUs are 60 % busy on average */
        assert_true(within(base.package_percent[0], 60, 15));
        assert_true(within(base.package_percent[1], 60, 15));
}

/* The learner may not tell half of a socket. */
static void a_die_that_cannot_be_read_leaves_its_socket_unknown(void **state)
{
        run(120, DIE_1, 1);
        assert_int_equal(learn_points_count(points, DIE_0), 120);
        assert_int_equal(learn_points_count(points, DIE_1), 0);
        assert_string_equal(learn_points_lacking(points, DIE_1), "more time");
        learn_points_base(points, true, &base);
        assert_true(isnan(base.package_w[0]) && isnan(base.package_half_width_w[0]));
        assert_true(within(base.package_w[1], 30, 5));
        learn_points_base(points, false, &base);
        assert_true(isnan(base.package_w[0]));
}

static void a_socket_with_a_curve_is_not_trusted_beside_one_with_a_line(void **state)
{
        run(LEARN_POINTS, NACCOUNTS, 0.3);
        assert_null(learn_points_lacking(points, DIE_0));
        assert_non_null(strstr(learn_points_lacking(points, PACKAGE_1), "in proportion to use"));
        learn_points_base(points, true, &base);
        assert_true(within(base.package_w[0], 32, 5));
        assert_true(isnan(base.package_w[1]));
        /* what is told of it meanwhile is not called trusted */
        learn_points_base(points, false, &base);
        assert_false(isnan(base.package_w[1]));
}

static void what_was_is_forgotten_after_two_minutes(void **state)
{
        run(LEARN_POINTS, NACCOUNTS, 0.3);
        run(LEARN_POINTS, NACCOUNTS, 1);
        assert_int_equal(learn_points_count(points, PACKAGE_1), LEARN_POINTS);
        assert_null(learn_points_lacking(points, PACKAGE_1));
        learn_points_base(points, true, &base);
        assert_true(within(base.package_w[1], 30, 5));
}

/* Fits take milliseconds: not at every point, and not whenever somebody asks. */
static void points_are_fitted_every_so_often(void **state)
{
        run(LEARN_FIT_EVERY - 1, NACCOUNTS, 1);
        assert_null(learn_points_of(points, DIE_0));
        run(1, NACCOUNTS, 1);
        assert_non_null(learn_points_of(points, DIE_0));
}

static void points_of_a_domain_that_is_no_more_read_are_forgotten(void **state)
{
        run(LEARN_POINTS, NACCOUNTS, 1);
        run(LEARN_POINTS - 60, DIE_1, 1);
        assert_int_equal(learn_points_count(points, DIE_1), 60);
        assert_null(learn_points_lacking(points, DIE_1));
        run(60, DIE_1, 1);
        assert_int_equal(learn_points_count(points, DIE_1), 0);
        assert_string_equal(learn_points_lacking(points, DIE_1), "more time");
        learn_points_base(points, false, &base);
        assert_true(isnan(base.package_w[0]));
        assert_true(within(base.package_w[1], 30, 5));
        run(LEARN_POINTS / 2, NACCOUNTS, 1);
        assert_int_equal(learn_points_count(points, DIE_1), LEARN_POINTS / 2);
        learn_points_base(points, true, &base);
        assert_true(within(base.package_w[0], 32, 5));
}

/* What time cannot cure is not to be waited for. */
static void what_stands_still_is_said(void **state)
{
        for (size_t i = 0; i < BASE_FIT_MIN_POINTS; i++) {
                for (unsigned int slot = 0; slot < 3; slot++)
                        *busy_sum(&accounts, now,
                                  slot) += (uint64_t)((slot == 2 ? 1 : uniform()) * PERIOD_S * 1e9);
                uses(DIE_0, 20 + uniform());
                uses(PACKAGE_1, 30 + uniform());
                learn_points_add(points, now, before, PERIOD_S);
                memcpy(before, now, accounts.nsums * sizeof(*now));
        }
        learn_points_fit(points);
        assert_string_equal(learn_points_lacking(points, DRAM_0), "readings other than 0");
        assert_string_equal(learn_points_lacking(points, PACKAGE_1), "a load that varies more");
}

static void nothing_is_known_at_first(void **state)
{
        learn_points_fit(points);
        for (unsigned int i = 0; i < NACCOUNTS; i++) {
                assert_null(learn_points_of(points, i));
                assert_string_equal(learn_points_lacking(points, i), "more time");
        }
        learn_points_base(points, false, &base);
        assert_true(isnan(base.package_w[0]) && isnan(base.package_percent[0]));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_is_known_at_first),
                TEST(base_power_of_dies_adds_up),
                TEST(a_die_that_cannot_be_read_leaves_its_socket_unknown),
                TEST(a_socket_with_a_curve_is_not_trusted_beside_one_with_a_line),
                TEST(what_was_is_forgotten_after_two_minutes),
                TEST(points_are_fitted_every_so_often),
                TEST(points_of_a_domain_that_is_no_more_read_are_forgotten),
                TEST(what_stands_still_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
