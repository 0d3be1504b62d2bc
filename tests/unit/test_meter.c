/* SPDX-License-Identifier: MIT */
/* What a meter makes of readings: energy, unknown energy, and faults with names. */
#include <math.h>

#include "meter_stage.h"
#include "random.h"

static void the_first_reading_gives_no_energy(void **state)
{
        start(RANGE_UJ);
        assert_int_equal(tick.ndomains, 1);
        assert_int_equal(tick.elapsed_ns, 0);
        assert_int_equal(tick.now_ns, clock_ns);
        assert_unknown(0, FAULT_NONE, "");
        assert_int_equal(fault_of(0).count, 0);
}

static void energy_is_what_the_counter_has_gained(void **state)
{
        start(RANGE_UJ);
        set(0, 1300000);
        read_after(TICK_NS);
        assert_int_equal(tick.elapsed_ns, TICK_NS);
        assert_energy(0, 300000, TICK_NS);
}

static void wraps_are_modular(void **state)
{
        start(RANGE_UJ);
        set(0, RANGE_UJ - 1000);
        read_after(TICK_NS);
        set(0, 2000);
        read_after(TICK_NS);
        assert_energy(0, 3001, TICK_NS);
}

/* 0 to 900 W, one tick in ten lost to some fault, and many wraps: nothing is lost or made up. */
static void totals_equal_the_truth_to_the_microjoule(void **state)
{
        static const uint64_t ranges[] = {4294967295, 262143328850, UINT64_MAX};
        static const int errors[] = {-EIO, -ENOENT, -ENODEV, -EBADMSG, -EISDIR};

        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
                unsigned __int128 modulus = (unsigned __int128)ranges[i] + 1;
                /* so that the widest counter wraps too */
                uint64_t begin = ranges[i] - 1000000, truth = 0, sum = 0, covered = 0;
                uint64_t seed = 88172645463325252 + i, start_ns, wraps = 0;
                unsigned int faults = 0;

                setup(NULL);
                add_domain(DOMAIN_PACKAGE, ranges[i]);
                open_meter("fake");
                set(0, begin);
                read_after(0);
                start_ns = clock_ns;
                for (int n = 0; n < 200000; n++) {
                        uint64_t before = (uint64_t)((begin + (unsigned __int128)truth) % modulus);
                        uint64_t after;

                        truth += 1 + random_below(&seed, 9000000);
                        after = (uint64_t)((begin + (unsigned __int128)truth) % modulus);
                        wraps += after < before;
                        set(0, after);
                        if (n < 199999 && random_below(&seed, 10) == 0) {
                                break_domain(0, errors[random_below(&seed, 5)]);
                                faults++;
                        }
                        read_after(TICK_NS);
                        assert_int_equal(tick.known[0], fake.readings[0].error == 0);
                        sum += tick.known[0] ? tick.energy_uj[0] : 0;
                        covered += tick.known[0] ? tick.covered_ns[0] : 0;
                }
                assert_int_equal(sum, truth);
                assert_int_equal(covered, clock_ns - start_ns);
                assert_int_equal(fault_of(0).count, faults);
                assert_true(wraps >= (ranges[i] == 4294967295 ? 100 : 1));
                meter_close(meter);
                meter = NULL;
        }
        fake.opened = fake.closed;
}

static void a_failed_reading_is_a_fault_and_not_0(void **state)
{
        static const struct {
                int error;
                enum fault_kind kind;
                const char *text;
        } cases[] = {
                {-EIO, FAULT_READ, "Input/output error"},
                {-EISDIR, FAULT_READ, "Is a directory"},
                {-EACCES, FAULT_READ, "Permission denied"},
                {-ENOENT, FAULT_VANISHED, "has gone: No such file or directory"},
                {-ENODEV, FAULT_VANISHED, "has gone: No such device"},
                {-ENXIO, FAULT_VANISHED, "has gone"},
                {-EBADMSG, FAULT_GARBAGE, "not a number"},
        };

        start(RANGE_UJ);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                uint64_t since_ns;

                break_domain(0, cases[i].error);
                read_after(TICK_NS);
                since_ns = clock_ns;
                assert_unknown(0, cases[i].kind, cases[i].text);
                assert_int_equal(fault_of(0).error, -cases[i].error);
                assert_int_equal(fault_of(0).since_ns, since_ns);
                read_after(TICK_NS);
                assert_int_equal(fault_of(0).since_ns, since_ns);
                assert_int_equal(fault_of(0).count, 2 * (i + 1));

                set(0, 1000000 + 30000 * (i + 1));
                read_after(TICK_NS);
                assert_energy(0, 30000, 3 * TICK_NS);
                assert_int_equal(fault_of(0).last, cases[i].kind);
        }
}

static void a_value_above_the_range_is_garbage(void **state)
{
        start(99999999);
        set(0, 100000000);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_GARBAGE, "above the counter's range");
        set(0, 1000500);
        read_after(TICK_NS);
        assert_energy(0, 500, 2 * TICK_NS);
}

static void a_fault_before_the_first_good_reading_costs_nothing_known(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("fake");
        break_domain(0, -EIO);
        read_after(0);
        assert_unknown(0, FAULT_READ, "Input/output");
        set(0, 77000000);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_NONE, "");
        set(0, 77100000);
        read_after(TICK_NS);
        assert_energy(0, 100000, TICK_NS);
}

static void one_domains_fault_is_not_the_others(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("fake");
        read_after(0);
        break_domain(0, -EIO);
        set(1, 200);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_READ, "");
        assert_energy(1, 200, TICK_NS);
}

static void without_a_range_a_step_back_is_no_wrap(void **state)
{
        start(0);
        set(0, 1200000);
        read_after(TICK_NS);
        assert_energy(0, 200000, TICK_NS);
        set(0, 100);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_BACKWARDS, "went back");
        /* it started again: followed from there, and only from there */
        set(0, 50100);
        read_after(TICK_NS);
        assert_energy(0, 50000, TICK_NS);
        set(0, 90100);
        read_after(TICK_NS);
        assert_energy(0, 40000, TICK_NS);
        assert_int_equal(fault_of(0).count, 1);
        assert_int_equal(fault_of(0).last, FAULT_BACKWARDS);
}

/* A wrap from 1 J to 0 within 10 ms would be 262 kJ: 26 MW. */
static void a_counter_that_starts_again_is_no_wrap(void **state)
{
        start(RANGE_UJ);
        set(0, 0);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_BACKWARDS, "went back");
        set(0, 300000);
        read_after(TICK_NS);
        assert_energy(0, 300000, TICK_NS);
}

/* 20 J a tick are 2 kW: a tick of 6 kW may follow, one of 10 kW may not. */
static void a_wrap_is_believed_up_to_four_times_the_highest_power(void **state)
{
        const uint64_t range_uj = 440000000;
        uint64_t counter_uj = 1000000;

        start(range_uj);
        for (int i = 0; i < 20; i++) {
                set(0, counter_uj += 20000000);
                read_after(TICK_NS);
        }
        set(0, counter_uj += 60000000 - (range_uj + 1));
        read_after(TICK_NS);
        assert_energy(0, 60000000, TICK_NS);
        for (int i = 0; i < 19; i++) {
                set(0, counter_uj += 20000000);
                read_after(TICK_NS);
        }
        set(0, counter_uj + 100000000 - (range_uj + 1));
        read_after(TICK_NS);
        assert_unknown(0, FAULT_BACKWARDS, "");
}

static void it_is_no_wrap_either_when_the_zone_was_away_meanwhile(void **state)
{
        start(RANGE_UJ);
        break_domain(0, -ENOENT);
        for (int i = 0; i < 5; i++)
                read_after(SECOND_NS);
        set(0, 20);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_BACKWARDS, "");
        set(0, 90020);
        read_after(TICK_NS);
        assert_energy(0, 90000, TICK_NS);
}

static void a_single_wrong_reading_loses_nothing(void **state)
{
        start(RANGE_UJ);
        set(0, 0);
        read_after(TICK_NS);
        assert_unknown(0, FAULT_BACKWARDS, "");
        set(0, 1600000);
        read_after(TICK_NS);
        assert_energy(0, 600000, 2 * TICK_NS);
}

static void a_package_that_stands_still_is_stuck_after_2_s(void **state)
{
        start(RANGE_UJ);
        for (int i = 1; i < 20; i++) {
                read_after(SECOND_NS / 10);
                assert_energy(0, 0, SECOND_NS / 10);
        }
        read_after(SECOND_NS / 10);
        assert_unknown(0, FAULT_STUCK, "has not moved for 2.0 s");
        read_after(SECOND_NS);
        assert_unknown(0, FAULT_STUCK, "has not moved for 3.0 s");
        assert_int_equal(fault_of(0).count, 2);
        /* all that it counted since it was last believed */
        set(0, 1700000);
        read_after(SECOND_NS);
        assert_energy(0, 700000, SECOND_NS * 21 / 10);
}

static void memory_is_stuck_only_while_something_else_moves(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        add_domain(DOMAIN_DRAM, RANGE_UJ);
        add_domain(DOMAIN_PSYS, RANGE_UJ);
        add_domain(DOMAIN_CORE, RANGE_UJ);
        open_meter("fake");
        read_after(0);
        read_after(3 * SECOND_NS);
        assert_unknown(0, FAULT_STUCK, "");
        for (size_t i = 1; i < 4; i++)
                assert_energy(i, 0, 3 * SECOND_NS);
        set(0, 1000000);
        read_after(SECOND_NS);
        set(0, 2000000);
        read_after(SECOND_NS);
        assert_energy(0, 1000000, SECOND_NS);
        assert_unknown(1, FAULT_STUCK, "has not moved for 5.0 s");
        assert_unknown(2, FAULT_STUCK, "");
        /* cores can be switched off */
        assert_energy(3, 0, SECOND_NS);
}

static void an_estimate_of_nothing_is_not_stuck(void **state)
{
        add_domain(DOMAIN_PACKAGE, UINT64_MAX);
        open_meter("model");
        read_after(0);
        read_after(10 * SECOND_NS);
        assert_energy(0, 0, 10 * SECOND_NS);
}

/* So many ticks of that energy, from a counter on. */
static void read_ticks(int n, uint64_t *counter_uj, uint64_t energy_uj)
{
        for (int i = 0; i < n; i++) {
                *counter_uj += energy_uj;
                set(0, *counter_uj);
                read_after(TICK_NS);
                assert_energy(0, energy_uj, TICK_NS);
        }
}

/* 100 W for a second; then a gap, in which 100 W would be just below, or just at, a whole range. */
static void energy_is_unknown_where_a_second_wrap_is_possible(void **state)
{
        const uint64_t range_uj = 999999999; /* 1000 J in all */
        uint64_t counter = 1000000;

        start(range_uj);
        read_ticks(100, &counter, 1000000);
        break_domain(0, -EIO);
        read_after(5 * SECOND_NS);
        set(0, counter + 500000000);
        read_after(5 * SECOND_NS - TICK_NS);
        assert_energy(0, 500000000, 10 * SECOND_NS - TICK_NS);

        counter += 500000000;
        break_domain(0, -EIO);
        read_after(5 * SECOND_NS);
        set(0, (counter + 600000000) % (range_uj + 1));
        read_after(5 * SECOND_NS);
        assert_unknown(0, FAULT_READ, "not read for 10.0 s");
        assert_int_equal(fault_of(0).error, EOVERFLOW);

        counter = (counter + 600000000) % (range_uj + 1);
        set(0, counter + 1000000);
        read_after(TICK_NS);
        assert_energy(0, 1000000, TICK_NS);
}

/* 20 W, and then eight hours at half a watt. */
static void what_was_used_asleep_is_no_power_of_a_tick(void **state)
{
        const uint64_t range_uj = 262143328850;
        uint64_t counter = 1000000;

        start(range_uj);
        read_ticks(100, &counter, 200000);
        assert_true(fabs(meter_wrap_s(meter, 0) - (double)range_uj / 20e6) < 1);
        asleep_ns = 8 * 3600 * SECOND_NS;
        read_ticks(1, &counter, UINT64_C(14400000000));
        read_ticks(100, &counter, 200000);
        assert_true(fabs(meter_wrap_s(meter, 0) - (double)range_uj / 20e6) < 1);
        counter += 80000000; /* a late tick */
        set(0, counter);
        read_after(4 * SECOND_NS);
        assert_energy(0, 80000000, 4 * SECOND_NS);
}

static void before_any_power_is_seen_1_kw_is_assumed(void **state)
{
        start(999999999);
        set(0, 2000000);
        read_after(SECOND_NS);
        assert_unknown(0, FAULT_READ, "more than once");
}

static void a_range_that_1_kw_passes_within_a_tick_is_still_measured(void **state)
{
        uint64_t counter = 1000000, known = 0;

        start(4999999); /* 5 J, and 10 ms: 500 W */
        for (int i = 0; i < 100; i++) {
                counter = (counter + 300000) % 5000000;
                set(0, counter);
                read_after(TICK_NS);
                known += tick.known[0] ? tick.energy_uj[0] : 0;
        }
        /* all but what came before the power was known */
        assert_in_range(known, 300000 * 89, 300000 * 91);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(the_first_reading_gives_no_energy),
                TEST(energy_is_what_the_counter_has_gained),
                TEST(wraps_are_modular),
                TEST(totals_equal_the_truth_to_the_microjoule),
                TEST(a_failed_reading_is_a_fault_and_not_0),
                TEST(a_value_above_the_range_is_garbage),
                TEST(a_fault_before_the_first_good_reading_costs_nothing_known),
                TEST(one_domains_fault_is_not_the_others),
                TEST(without_a_range_a_step_back_is_no_wrap),
                TEST(a_counter_that_starts_again_is_no_wrap),
                TEST(a_wrap_is_believed_up_to_four_times_the_highest_power),
                TEST(it_is_no_wrap_either_when_the_zone_was_away_meanwhile),
                TEST(a_single_wrong_reading_loses_nothing),
                TEST(a_package_that_stands_still_is_stuck_after_2_s),
                TEST(memory_is_stuck_only_while_something_else_moves),
                TEST(an_estimate_of_nothing_is_not_stuck),
                TEST(energy_is_unknown_where_a_second_wrap_is_possible),
                TEST(what_was_used_asleep_is_no_power_of_a_tick),
                TEST(before_any_power_is_seen_1_kw_is_assumed),
                TEST(a_range_that_1_kw_passes_within_a_tick_is_still_measured),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
