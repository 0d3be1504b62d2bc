/* SPDX-License-Identifier: MIT */
/* The windows of a calibration; the sums are this test's own. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "idle_windows.h"

#define WINDOW_S 2.0
#define WINDOWS  5
#define NCPUS    64 /* of each socket */

/* Two sockets: the first of two dies with a package domain each, both with dram. */
enum { DIE_0, DIE_1, DRAM_0, PACKAGE_1, DRAM_1, NACCOUNTS };

static struct topology_cpu cpus[2 * NCPUS];
static const struct topology machine = {
        .cpus = cpus,
        .ncpus = 2 * NCPUS,
        .slots = {{.socket = 3, .die = 0}, {.socket = 3, .die = 1}, {.socket = 7}},
        .nslots = 3,
        .sockets = {3, 7},
        .nsockets = 2,
};
static struct account all[NACCOUNTS] = {
        [DIE_0] = {.kind = ENERGY_PACKAGE, .slots = 1},
        [DIE_1] = {.kind = ENERGY_PACKAGE, .slots = 2},
        [DRAM_0] = {.kind = ENERGY_DRAM, .slots = 3},
        [PACKAGE_1] = {.kind = ENERGY_PACKAGE, .socket = 1, .slots = 4},
        [DRAM_1] = {.kind = ENERGY_DRAM, .socket = 1, .slots = 4},
};
static struct accounts accounts = {.all = all, .n = NACCOUNTS, .nslots = 3, .nsockets = 2};
static uint64_t *now, *before;
static struct idle_windows windows;
static struct baseline base;

static int setup(void **state)
{
        for (unsigned int i = 0; i < 2 * NCPUS; i++)
                cpus[i] = (struct topology_cpu){.online = true, .socket = i < NCPUS ? 3 : 7};
        accounts.nsums = SUM_COLUMNS * NACCOUNTS + SUM_MACHINE_COLUMNS + accounts.nslots + 1;
        now = calloc(accounts.nsums, sizeof(*now));
        before = calloc(accounts.nsums, sizeof(*before));
        memset(&base, 0, sizeof(base));
        return idle_windows_init(&windows, &accounts, &machine, WINDOWS);
}

static int teardown(void **state)
{
        idle_windows_deinit(&windows);
        free(now);
        free(before);
        return 0;
}

/* In the window to come. */
static void uses(unsigned int account, double w)
{
        *account_sum(&accounts, now, SUM_ENERGY_UJ, account) += (uint64_t)(w * WINDOW_S * 1e6);
}

static void is_unread(unsigned int account)
{
        *account_sum(&accounts, now, SUM_UNKNOWN_NS, account) += 10000000;
}

static void is_busy(unsigned int slot, double busy_cpus)
{
        *busy_sum(&accounts, now, slot) += (uint64_t)(busy_cpus * WINDOW_S * 1e9);
}

static void end_window(void)
{
        idle_windows_add(&windows, now, before, WINDOW_S);
        memcpy(before, now, accounts.nsums * sizeof(*now));
}

static void a_whole_window(double more_w)
{
        uses(DIE_0, 20 + more_w);
        uses(DIE_1, 10);
        uses(DRAM_0, 3);
        uses(PACKAGE_1, 40);
        uses(DRAM_1, 4);
}

static bool near(double value, double expected)
{
        return fabs(value - expected) < 1e-5;
}

/* What is missing of dram, when so much was known of the sockets' before. */
static int unread_dram(double kept_0_w, double kept_1_w)
{
        const struct baseline kept = {.nsockets = 2, .dram_w = {kept_0_w, kept_1_w}};

        return idle_windows_unread(&windows, ENERGY_DRAM, &base, &kept);
}

static void base_power_is_the_median_and_dies_add_up(void **state)
{
        static const double more_w[WINDOWS] = {0, 2, 1, 50, 3};

        for (int i = 0; i < WINDOWS; i++) {
                a_whole_window(more_w[i]);
                end_window();
                assert_true(
                        near(idle_windows_power_w(&windows, ENERGY_PACKAGE, 0), 30 + more_w[i]));
        }
        idle_windows_base(&windows, &base);
        assert_true(near(base.package_w[0], 32));
        assert_true(near(base.package_mad_w[0], 1)); /* of 2 0 1 48 1 */
        assert_true(near(base.package_w[1], 40));
        assert_true(near(base.dram_w[0], 3));
        assert_true(near(base.dram_w[1], 4));
        assert_int_equal(idle_windows_unread(&windows, ENERGY_PACKAGE, &base, NULL), -1);
        assert_int_equal(unread_dram(3, 4), -1);
}

/* Half of a package is no package. */
static void a_die_that_fails_makes_its_socket_unknown(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                a_whole_window(0);
                is_unread(DIE_1);
                end_window();
                assert_true(isnan(idle_windows_power_w(&windows, ENERGY_PACKAGE, 0)));
                assert_true(near(idle_windows_power_w(&windows, ENERGY_PACKAGE, 1), 40));
        }
        idle_windows_base(&windows, &base);
        assert_true(isnan(base.package_w[0]));
        assert_true(near(base.package_w[1], 40));
        assert_int_equal(idle_windows_unread(&windows, ENERGY_PACKAGE, &base, NULL), DIE_1);
}

/* No window is whole, and the one to look at is the one that fails most. */
static void of_two_dies_that_fail_in_turn_the_worse_is_told(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                a_whole_window(0);
                is_unread(i < 2 ? DIE_0 : DIE_1);
                end_window();
        }
        idle_windows_base(&windows, &base);
        assert_true(isnan(base.package_w[0]));
        assert_int_equal(idle_windows_unread(&windows, ENERGY_PACKAGE, &base, NULL), DIE_1);
}

static void one_window_that_was_not_read_is_left_out(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                a_whole_window(i);
                if (i == 2) {
                        is_unread(DRAM_1);
                        is_unread(DIE_0);
                }
                end_window();
        }
        idle_windows_base(&windows, &base);
        assert_true(near(base.dram_w[1], 4));
        assert_true(near(base.package_w[0], 32)); /* of 30 31 33 34 */
        assert_int_equal(idle_windows_unread(&windows, ENERGY_PACKAGE, &base, NULL), -1);
        assert_int_equal(unread_dram(3, 4), -1);
}

static void dram_that_is_there_and_cannot_be_read_is_found(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                a_whole_window(0);
                is_unread(DRAM_1);
                end_window();
        }
        idle_windows_base(&windows, &base);
        assert_true(near(base.dram_w[0], 3));
        assert_true(isnan(base.dram_w[1]));
        /* which is a loss only where it was known */
        assert_int_equal(unread_dram(NAN, NAN), -1);
        assert_int_equal(unread_dram(3, NAN), -1);
        assert_int_equal(unread_dram(NAN, 4), DRAM_1);
        assert_int_equal(idle_windows_unread(&windows, ENERGY_DRAM, &base, NULL), DRAM_1);
        assert_int_equal(idle_windows_unread(&windows, ENERGY_PACKAGE, &base, NULL), -1);
}

static void dram_that_is_not_there_is_not_missed(void **state)
{
        accounts.n = NACCOUNTS - 1; /* DRAM_1 */
        for (int i = 0; i < WINDOWS; i++) {
                uses(DIE_0, 20);
                end_window();
        }
        idle_windows_base(&windows, &base);
        assert_true(isnan(base.dram_w[1]));
        assert_int_equal(unread_dram(3, 4), -1);
        accounts.n = NACCOUNTS;
}

static bool at_rest(unsigned int socket)
{
        return idle_windows_busy_cpus(&windows, socket) <= idle_windows_allowed(&windows, socket);
}

static void one_busy_cpu_of_many_is_seen(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                is_busy(0, 0.2); /* both dies are one socket */
                is_busy(1, 0.2);
                is_busy(2, 1);
                end_window();
        }
        /* 1.4 of 128 CPUs: one percent */
        assert_true(near(idle_windows_median_percent(&windows), 100 * 1.4 / (2 * NCPUS)));
        assert_true(near(idle_windows_busy_cpus(&windows, 0), 0.4));
        assert_true(at_rest(0));
        assert_true(near(idle_windows_busy_cpus(&windows, 1), 1));
        assert_false(at_rest(1));
        idle_windows_base(&windows, &base);
        assert_true(near(base.package_percent[0], 100 * 0.4 / NCPUS));
        assert_true(near(base.package_percent[1], 100 * 1.0 / NCPUS));
}

/* A tenth of one CPU, and no more: of one is what half a CPU would be of ten. */
static void a_small_socket_may_be_busy_for_a_twentieth(void **state)
{
        for (unsigned int i = 2; i < 2 * NCPUS; i++)
                cpus[i].online = false;
        idle_windows_deinit(&windows);
        assert_int_equal(idle_windows_init(&windows, &accounts, &machine, WINDOWS), 0);
        assert_true(near(idle_windows_allowed(&windows, 0), 0.1));
        for (int i = 0; i < WINDOWS; i++) {
                is_busy(0, i == 4 ? 2 : 0.09); /* one window is outvoted */
                end_window();
        }
        assert_true(at_rest(0));
        assert_true(isnan((idle_windows_base(&windows, &base), base.package_percent[1])));
}

static void time_on_cpus_of_no_known_socket_counts_for_each(void **state)
{
        for (int i = 0; i < WINDOWS; i++) {
                is_busy(3, 0.6);
                end_window();
        }
        assert_false(at_rest(0));
        assert_false(at_rest(1));
        /* but it is there once */
        assert_true(near(idle_windows_busy_percent(&windows), 100 * 0.6 / (2 * NCPUS)));
        assert_true(near(idle_windows_median_percent(&windows), 100 * 0.6 / (2 * NCPUS)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(base_power_is_the_median_and_dies_add_up),
                TEST(a_die_that_fails_makes_its_socket_unknown),
                TEST(of_two_dies_that_fail_in_turn_the_worse_is_told),
                TEST(one_window_that_was_not_read_is_left_out),
                TEST(dram_that_is_there_and_cannot_be_read_is_found),
                TEST(dram_that_is_not_there_is_not_missed),
                TEST(one_busy_cpu_of_many_is_seen),
                TEST(a_small_socket_may_be_busy_for_a_twentieth),
                TEST(time_on_cpus_of_no_known_socket_counts_for_each),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
