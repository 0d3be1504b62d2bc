/* SPDX-License-Identifier: MIT */
/*
 * The machine's energy accounts.  The meter is this test's own: the two functions of it that
 * accounts.c asks are defined here, and meter.c is not linked.
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

#include "accounts.h"
#include "random.h"

#define TICK_NS   UINT64_C(10000000)
#define W         UINT64_C(1000000) /* in microwatts */
#define UNKNOWN_W (-1.0)

/* ---- the meter ---- */

static struct domain domains[8];
static double known_base_w[8];
static size_t ndomains;

size_t meter_domains(const struct meter *m, const struct domain **ret)
{
        *ret = domains;
        return ndomains;
}

double meter_known_base_w(const struct meter *m, size_t domain)
{
        assert_true(domain < ndomains);
        return known_base_w[domain];
}

static bool estimated, prompt;

bool meter_estimated(const struct meter *m)
{
        return estimated;
}

bool meter_prompt(const struct meter *m)
{
        return prompt;
}

static void add_domain(enum domain_kind kind, int socket, int die)
{
        domains[ndomains] = (struct domain){.kind = kind, .socket = socket, .die = die};
        known_base_w[ndomains++] = UNKNOWN_W;
}

/* Two sockets, 2 and 5, of two dies each; a slot for each die. */
static const struct topology machine = {
        .slots = {{.node = 0, .socket = 2, .die = 0},
                  {.node = 1, .socket = 2, .die = 1},
                  {.node = 2, .socket = 5, .die = 0},
                  {.node = 3, .socket = 5, .die = 1}},
        .nslots = 4,
        .sockets = {2, 5},
        .nsockets = 2,
};

static struct accounts a;
static struct meter_tick tick;

static void open_accounts(void)
{
        assert_int_equal(accounts_init(&a, NULL, &machine), 0);
}

static int setup(void **state)
{
        ndomains = 0;
        estimated = false;
        prompt = true;
        memset(&a, 0, sizeof(a));
        tick = (struct meter_tick){.elapsed_ns = TICK_NS};
        return 0;
}

static int teardown(void **state)
{
        accounts_deinit(&a);
        return 0;
}

static uint64_t sum_of(enum account_column column, unsigned int account)
{
        return *account_sum(&a, a.sums, column, account);
}

/* ---- which accounts there are ---- */

static void packages_and_dram_have_accounts_and_nothing_else(void **state)
{
        add_domain(DOMAIN_PSYS, -1, -1);
        add_domain(DOMAIN_PACKAGE, 5, -1);
        add_domain(DOMAIN_CORE, 5, -1);
        add_domain(DOMAIN_DRAM, 5, -1);
        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_UNCORE, 2, -1);
        add_domain(DOMAIN_OTHER, 2, -1);
        add_domain(DOMAIN_PACKAGE, 7, -1); /* a socket without CPUs */
        open_accounts();
        assert_int_equal(a.n, 3);
        assert_int_equal(a.all[0].domain, 1);
        assert_int_equal(a.all[0].kind, ENERGY_PACKAGE);
        assert_int_equal(a.all[0].socket, 1); /* the second, though it came first */
        assert_int_equal(a.all[1].domain, 3);
        assert_int_equal(a.all[1].kind, ENERGY_DRAM);
        assert_int_equal(a.all[2].domain, 4);
        assert_int_equal(a.all[2].socket, 0);
}

static void without_a_package_there_is_nothing_to_attribute(void **state)
{
        assert_int_equal(accounts_init(&a, NULL, &machine), -ENOENT);
        add_domain(DOMAIN_DRAM, 2, -1);
        add_domain(DOMAIN_PSYS, -1, -1);
        assert_int_equal(accounts_init(&a, NULL, &machine), -ENOENT);
        assert_null(a.sums);
}

static void an_account_has_the_slots_of_its_socket_or_die(void **state)
{
        static const uint64_t by_slot[] = {1, 10, 100, 1000, 10000};

        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_PACKAGE, 5, 1);
        add_domain(DOMAIN_DRAM, 5, -1);
        open_accounts();
        assert_int_equal(account_time_ns(&a.all[0], by_slot, a.nslots), 11);
        assert_int_equal(account_time_ns(&a.all[1], by_slot, a.nslots), 1000);
        /* time of which the place is not known, the last one, is nobody's here */
        assert_int_equal(account_time_ns(&a.all[2], by_slot, a.nslots), 1100);
}

static void all_64_slots_can_be_asked(void **state)
{
        uint64_t by_slot[TOPOLOGY_MAX_SLOTS] = {[0] = 1, [63] = 2};
        struct account first = {.slots = 1}, last = {.slots = UINT64_C(1) << 63},
                       all = {.slots = UINT64_MAX};

        assert_int_equal(account_time_ns(&first, by_slot, TOPOLOGY_MAX_SLOTS), 1);
        assert_int_equal(account_time_ns(&last, by_slot, TOPOLOGY_MAX_SLOTS), 2);
        assert_int_equal(account_time_ns(&all, by_slot, TOPOLOGY_MAX_SLOTS), 3);
}

static void every_sum_has_a_place_of_its_own(void **state)
{
        size_t n = 0;

        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_PACKAGE, 5, -1);
        add_domain(DOMAIN_DRAM, 2, -1);
        open_accounts();
        for (int column = 0; column < SUM_COLUMNS; column++)
                for (unsigned int i = 0; i < a.n; i++, n++)
                        *account_sum(&a, a.sums, (enum account_column)column, i) += 1;
        for (int column = 0; column < SUM_MACHINE_COLUMNS; column++, n++)
                *machine_sum(&a, a.sums, (enum machine_column)column) += 1;
        for (unsigned int slot = 0; slot <= a.nslots; slot++, n++)
                *busy_sum(&a, a.sums, slot) += 1;
        assert_int_equal(n, a.nsums);
        for (size_t i = 0; i < a.nsums; i++)
                assert_int_equal(a.sums[i], 1);
}

/* ---- baselines ---- */

static struct baseline two_sockets(double package0, double package1, double dram0, double dram1)
{
        return (struct baseline){
                .nsockets = 2, .package_w = {package0, package1}, .dram_w = {dram0, dram1}};
}

static void each_socket_has_its_own_baseline(void **state)
{
        struct baseline b = two_sockets(20, 31.5, NAN, 2.25);

        add_domain(DOMAIN_PACKAGE, 5, -1);
        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_DRAM, 2, -1);
        add_domain(DOMAIN_DRAM, 5, -1);
        open_accounts();
        accounts_set_baseline(&a, NULL, &b);
        assert_int_equal(a.all[0].base_uw, 31500000);
        assert_int_equal(a.all[1].base_uw, 20 * W);
        assert_false(a.all[2].base_known);
        assert_int_equal(a.all[2].base_uw, 0);
        assert_int_equal(a.all[3].base_uw, 2250000);
        /* of dram it may be missing */
        assert_true(accounts_have_baseline(&a, ENERGY_PACKAGE));
        assert_false(accounts_have_baseline(&a, ENERGY_DRAM));
        b.dram_w[0] = 1;
        accounts_set_baseline(&a, NULL, &b);
        assert_true(accounts_have_baseline(&a, ENERGY_DRAM));
}

static void dies_share_their_sockets_baseline(void **state)
{
        struct baseline b = two_sockets(30, 40, 4, NAN);

        add_domain(DOMAIN_PACKAGE, 2, 0);
        add_domain(DOMAIN_PACKAGE, 2, 1);
        add_domain(DOMAIN_PACKAGE, 5, -1);
        add_domain(DOMAIN_DRAM, 2, -1);
        open_accounts();
        accounts_set_baseline(&a, NULL, &b);
        assert_int_equal(a.all[0].base_uw, 15 * W);
        assert_int_equal(a.all[1].base_uw, 15 * W);
        assert_int_equal(a.all[2].base_uw, 40 * W);
        assert_int_equal(a.all[3].base_uw, 4 * W);
}

static void what_the_source_knows_comes_first(void **state)
{
        struct baseline b = two_sockets(30, 40, NAN, NAN);

        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_PACKAGE, 5, -1);
        known_base_w[1] = 7;
        open_accounts();
        accounts_set_baseline(&a, NULL, &b);
        assert_int_equal(a.all[0].base_uw, 30 * W);
        assert_int_equal(a.all[1].base_uw, 7 * W);
        /* and stays when the calibration is forgotten */
        accounts_set_baseline(&a, NULL, NULL);
        assert_false(a.all[0].base_known);
        assert_true(a.all[1].base_known);
        assert_false(accounts_have_baseline(&a, ENERGY_PACKAGE));
}

static void what_is_no_power_is_no_baseline(void **state)
{
        static const double no_power[] = {NAN, INFINITY, -0.5, 10001};

        add_domain(DOMAIN_PACKAGE, 2, -1);
        open_accounts();
        for (size_t i = 0; i < sizeof(no_power) / sizeof(no_power[0]); i++) {
                struct baseline b = two_sockets(no_power[i], 1, NAN, NAN);

                accounts_set_baseline(&a, NULL, &b);
                assert_false(a.all[0].base_known);
                assert_int_equal(a.all[0].base_uw, 0);
                assert_false(accounts_have_baseline(&a, ENERGY_PACKAGE));
        }
        /* none at all is one */
        accounts_set_baseline(&a, NULL, &(struct baseline){.nsockets = 2});
        assert_true(accounts_have_baseline(&a, ENERGY_PACKAGE));
}

static void a_baseline_of_fewer_sockets_leaves_the_rest_unknown(void **state)
{
        struct baseline b = {.nsockets = 1, .package_w = {20, 99}};

        add_domain(DOMAIN_PACKAGE, 2, -1);
        add_domain(DOMAIN_PACKAGE, 5, -1);
        open_accounts();
        accounts_set_baseline(&a, NULL, &b);
        assert_true(a.all[0].base_known);
        assert_false(a.all[1].base_known);
        assert_false(accounts_have_baseline(&a, ENERGY_PACKAGE));
}

/* ---- booking ---- */

static void open_package(uint64_t base_uw)
{
        struct baseline b = two_sockets((double)base_uw / (double)W, 0, NAN, NAN);

        add_domain(DOMAIN_CORE, 2, -1); /* so that accounts and domains are numbered differently */
        add_domain(DOMAIN_PACKAGE, 2, -1);
        open_accounts();
        accounts_set_baseline(&a, NULL, &b);
}

static uint64_t book(uint64_t energy_uj, uint64_t covered_ns)
{
        tick.known[1] = true;
        tick.energy_uj[1] = energy_uj;
        tick.covered_ns[1] = covered_ns;
        return account_book(&a, 0, &tick, false);
}

static void energy_is_static_and_dynamic(void **state)
{
        open_package(20 * W);
        assert_int_equal(book(500000, TICK_NS), 300000);
        assert_int_equal(sum_of(SUM_ENERGY_UJ, 0), 500000);
        assert_int_equal(sum_of(SUM_STATIC_UJ, 0), 200000);
        assert_int_equal(sum_of(SUM_DYNAMIC_UJ, 0), 300000);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 0);
        assert_int_equal(sum_of(SUM_UNKNOWN_NS, 0), 0);
}

static void without_a_baseline_all_of_it_is_dynamic(void **state)
{
        add_domain(DOMAIN_CORE, 2, -1);
        add_domain(DOMAIN_PACKAGE, 2, -1);
        open_accounts();
        accounts_set_baseline(&a, NULL, NULL);
        assert_int_equal(book(500000, TICK_NS), 500000);
        assert_int_equal(sum_of(SUM_STATIC_UJ, 0), 0);
        assert_int_equal(sum_of(SUM_UNBASED_NS, 0), TICK_NS);
        accounts_set_baseline(&a, NULL, &(struct baseline){.nsockets = 2, .package_w = {20, 20}});
        assert_int_equal(book(500000, TICK_NS), 300000);
        assert_int_equal(sum_of(SUM_UNBASED_NS, 0), TICK_NS);
}

static void unknown_time_is_counted_and_nothing_else(void **state)
{
        open_package(20 * W);
        book(500000, TICK_NS);
        tick.known[1] = false;
        tick.energy_uj[1] = 12345; /* means nothing */
        for (int i = 0; i < 3; i++)
                assert_int_equal(account_book(&a, 0, &tick, false), 0);
        assert_int_equal(sum_of(SUM_UNKNOWN_NS, 0), 3 * TICK_NS);
        assert_int_equal(sum_of(SUM_ENERGY_UJ, 0), 500000);
        assert_int_equal(sum_of(SUM_DYNAMIC_UJ, 0), 300000);
}

static void a_late_reading_after_a_gap_goes_to_unattributed(void **state)
{
        open_package(20 * W);
        /* ten ticks' energy at once: only the last tick's can be charged to who runs now */
        assert_int_equal(book(5000000, 10 * TICK_NS), 300000);
        assert_int_equal(sum_of(SUM_ENERGY_UJ, 0), 5000000);
        assert_int_equal(sum_of(SUM_STATIC_UJ, 0), 2000000);
        assert_int_equal(sum_of(SUM_DYNAMIC_UJ, 0), 300000);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 2700000);
        assert_int_equal(sum_of(SUM_LATE_NS, 0), 9 * TICK_NS);
        assert_int_equal(sum_of(SUM_UNBASED_NS, 0), 0);
}

static void one_reading_that_failed_is_a_gap_however_long_its_tick_was(void **state)
{
        open_package(0);
        tick.elapsed_ns = TICK_NS + TICK_NS / 2; /* late, and nothing failed */
        assert_int_equal(book(900000, tick.elapsed_ns), 900000);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 0);
        /* one tick failed: it was shorter than the present one */
        assert_int_equal(book(1000000, TICK_NS + tick.elapsed_ns), 600000);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 400000);
}

static void what_a_suspended_machine_used_is_nobodys(void **state)
{
        open_package(20 * W);
        tick.known[1] = true;
        tick.energy_uj[1] = 500000;
        tick.covered_ns[1] = TICK_NS;
        assert_int_equal(account_book(&a, 0, &tick, true), 0);
        assert_int_equal(sum_of(SUM_DYNAMIC_UJ, 0), 0);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 300000);
}

static void what_it_used_is_still_nobodys_when_the_meter_comes_back_late(void **state)
{
        open_package(0);
        tick.known[1] = false; /* the first reading after it woke up fails */
        assert_int_equal(account_book(&a, 0, &tick, true), 0);
        assert_int_equal(book(900000, 2 * TICK_NS), 0);
        assert_int_equal(sum_of(SUM_UNATTRIBUTED_UJ, 0), 900000);
        assert_int_equal(book(100000, TICK_NS), 100000);
}

static void a_baseline_that_is_too_high_shows(void **state)
{
        open_package(25 * W);
        for (int i = 0; i < 100; i++)
                assert_int_equal(book(200000, TICK_NS), 0);
        /* 50 mJ a tick are missing, less 2 ms worth that is carried */
        assert_int_equal(sum_of(SUM_DROPPED_UJ, 0), 99 * 50000);
}

static void book_ticks(unsigned int n, uint64_t energy_uj)
{
        for (unsigned int i = 0; i < n; i++) {
                *machine_sum(&a, a.sums, SUM_TICKS) += 1;
                book(energy_uj, TICK_NS);
        }
}

static void a_baseline_is_too_high_for_as_long_as_it_is_in_force(void **state)
{
        struct baseline lower = two_sockets(18, 18, NAN, NAN);
        uint64_t ticks;

        open_package(25 * W);
        book_ticks(95, 200000);
        assert_int_equal(account_below_base(&a, 0, a.sums, &ticks), 0); /* too few to tell */
        book_ticks(10, 200000);
        assert_in_range(account_below_base(&a, 0, a.sums, &ticks), 100, 105);
        assert_int_equal(ticks, 105);
        accounts_set_baseline(&a, NULL, &lower);
        book_ticks(150, 200000);
        assert_int_equal(account_below_base(&a, 0, a.sums, &ticks), 0);
        assert_int_equal(ticks, 150);
}

/* A tick with energy, and then 0 W for `ticks`; `before`: the sums between. */
static void stand_still(unsigned int ticks, uint64_t *before)
{
        book(500000, TICK_NS);
        memcpy(before, a.sums, a.nsums * sizeof(before[0]));
        for (unsigned int i = 0; i < ticks; i++)
                book(0, TICK_NS);
}

static void a_counter_that_stands_still_is_not_0_w(void **state)
{
        uint64_t before[64];

        open_package(0);
        stand_still(9, before); /* two updates can be a while apart */
        assert_true(account_was_read(&a, 0, a.sums, before, 9 * TICK_NS));
        assert_false(account_was_dark(&a, 0, a.sums, before, 9 * TICK_NS));
        stand_still(10, before);
        assert_false(account_was_read(&a, 0, a.sums, before, 10 * TICK_NS));
        assert_true(account_was_dark(&a, 0, a.sums, before, 10 * TICK_NS));
        /* in a window with energy it shows when it lasts half a second, and then from its beginning
         */
        stand_still(49, before);
        book(500000, TICK_NS);
        assert_true(account_was_read(&a, 0, a.sums, before, 50 * TICK_NS));
        stand_still(60, before);
        book(500000, TICK_NS);
        assert_false(account_was_read(&a, 0, a.sums, before, 61 * TICK_NS));
        assert_false(account_was_dark(&a, 0, a.sums, before, 61 * TICK_NS));
        assert_int_equal(sum_of(SUM_STILL_NS, 0), 60 * TICK_NS);
}

static void an_estimate_of_0_w_is_one(void **state)
{
        uint64_t before[64];

        estimated = true;
        prompt = false;
        open_package(0);
        stand_still(100, before);
        assert_true(account_was_read(&a, 0, a.sums, before, 100 * TICK_NS));
}

/* Of a sensor that moves once a second a tenth of one tells nothing, and a second all. */
static void a_slow_sensor_may_stand_still(void **state)
{
        uint64_t before[64];

        prompt = false;
        open_package(20 * W);
        stand_still(99, before);
        assert_true(account_was_dark(&a, 0, a.sums, before, 99 * TICK_NS));
        book(500000, TICK_NS);
        assert_true(account_was_read(&a, 0, a.sums, before, 100 * TICK_NS));
        assert_int_equal(sum_of(SUM_DROPPED_UJ, 0), 0); /* nor of the baseline */
}

static void sums_only_grow_and_add_up(void **state)
{
        uint64_t seed = RANDOM_SEED, charged_uj = 0, unknown_ns = 0, before[64];

        open_package(20 * W);
        assert_true(a.nsums <= 64);
        for (int i = 0; i < 50000; i++) {
                memcpy(before, a.sums, a.nsums * sizeof(before[0]));
                tick.elapsed_ns = TICK_NS / 2 + random_below(&seed, TICK_NS);
                tick.known[1] = random_below(&seed, 10) != 0;
                tick.energy_uj[1] = random_below(&seed, 1000000);
                tick.covered_ns[1] = tick.elapsed_ns * (1 + random_below(&seed, 4));
                charged_uj += account_book(&a, 0, &tick, random_below(&seed, 50) == 0);
                unknown_ns += tick.known[1] ? 0 : tick.elapsed_ns;
                for (size_t k = 0; k < a.nsums; k++)
                        assert_true(a.sums[k] >= before[k]);
                assert_int_equal(sum_of(SUM_STATIC_UJ, 0) + sum_of(SUM_DYNAMIC_UJ, 0) +
                                         sum_of(SUM_UNATTRIBUTED_UJ, 0),
                                 sum_of(SUM_ENERGY_UJ, 0));
                assert_int_equal(charged_uj, sum_of(SUM_DYNAMIC_UJ, 0));
        }
        assert_int_equal(sum_of(SUM_UNKNOWN_NS, 0), unknown_ns);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(packages_and_dram_have_accounts_and_nothing_else),
                TEST(without_a_package_there_is_nothing_to_attribute),
                TEST(an_account_has_the_slots_of_its_socket_or_die),
                TEST(all_64_slots_can_be_asked),
                TEST(every_sum_has_a_place_of_its_own),
                TEST(each_socket_has_its_own_baseline),
                TEST(dies_share_their_sockets_baseline),
                TEST(what_the_source_knows_comes_first),
                TEST(what_is_no_power_is_no_baseline),
                TEST(a_baseline_of_fewer_sockets_leaves_the_rest_unknown),
                TEST(energy_is_static_and_dynamic),
                TEST(without_a_baseline_all_of_it_is_dynamic),
                TEST(unknown_time_is_counted_and_nothing_else),
                TEST(a_late_reading_after_a_gap_goes_to_unattributed),
                TEST(one_reading_that_failed_is_a_gap_however_long_its_tick_was),
                TEST(what_a_suspended_machine_used_is_nobodys),
                TEST(what_it_used_is_still_nobodys_when_the_meter_comes_back_late),
                TEST(a_baseline_that_is_too_high_shows),
                TEST(a_baseline_is_too_high_for_as_long_as_it_is_in_force),
                TEST(a_counter_that_stands_still_is_not_0_w),
                TEST(an_estimate_of_0_w_is_one),
                TEST(a_slow_sensor_may_stand_still),
                TEST(sums_only_grow_and_add_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
