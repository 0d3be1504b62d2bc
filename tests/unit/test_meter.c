/* SPDX-License-Identifier: MIT */
/*
 * The meter on drivers of this test's own (the table below takes the place of source.c) and on a
 * clock that the test sets: it is linked with --wrap=clock_gettime.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "meter.h"

#define SECOND_NS UINT64_C(1000000000)
#define TICK_NS   UINT64_C(10000000)
#define RANGE_UJ  UINT64_C(262143328850) /* a RAPL package */

static uint64_t clock_ns;

/* the linker's name for it: NOLINTNEXTLINE(bugprone-reserved-identifier) */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
        assert_int_equal(id, CLOCK_MONOTONIC);
        ts->tv_sec = (time_t)(clock_ns / SECOND_NS);
        ts->tv_nsec = (long)(clock_ns % SECOND_NS);
        return 0;
}

/* What the driver under test has and answers. */
static struct {
        struct domain domains[4];
        size_t ndomains;
        struct reading readings[4];
        int better_probe, fake_probe, fake_open; /* results */
        unsigned int opened, closed;
} fake;

static int better_probe(const struct source_config *config, const struct topology *topology,
                        char *why)
{
        snprintf(why, SOURCE_WHY_MAX, "not here");
        return fake.better_probe;
}

static int fake_probe(const struct source_config *config, const struct topology *topology,
                      char *why)
{
        snprintf(why, SOURCE_WHY_MAX, "not today");
        return fake.fake_probe;
}

static int fake_open(struct source **ret, const struct source_config *config,
                     const struct topology *topology, char *why)
{
        snprintf(why, SOURCE_WHY_MAX, "it broke");
        *ret = NULL;
        if (fake.fake_open == 0)
                fake.opened++;
        return fake.fake_open;
}

static size_t fake_domains(const struct source *source, const struct domain **ret)
{
        *ret = fake.domains;
        return fake.ndomains;
}

static void fake_read(struct source *source, const struct source_input *input,
                      struct reading *readings)
{
        memcpy(readings, fake.readings, fake.ndomains * sizeof(readings[0]));
}

static double fake_base(const struct source *source, size_t domain)
{
        return 7.5 + (double)domain;
}

static void fake_close(struct source *source)
{
        fake.closed++;
}

static const struct source_driver better_driver = {
        .name = "better",
        .probe = better_probe,
        .open = fake_open,
        .domains = fake_domains,
        .read = fake_read,
        .close = fake_close,
};

static const struct source_driver fake_driver = {
        .name = "fake",
        .probe = fake_probe,
        .open = fake_open,
        .domains = fake_domains,
        .read = fake_read,
        .close = fake_close,
};

static const struct source_driver model_driver = {
        .name = "model",
        .estimated = true,
        .probe = fake_probe,
        .open = fake_open,
        .domains = fake_domains,
        .read = fake_read,
        .known_base_w = fake_base,
        .close = fake_close,
};

const struct source_driver *const source_drivers[] = {
        &better_driver,
        &fake_driver,
        &model_driver,
        NULL,
};

const struct source_driver *source_driver_by_name(const char *name)
{
        for (size_t i = 0; source_drivers[i]; i++)
                if (strcmp(source_drivers[i]->name, name) == 0)
                        return source_drivers[i];
        return NULL;
}

const char *domain_kind_name(enum domain_kind kind)
{
        return "package";
}

static const struct source_config config;
static const struct topology topology;
static char why[1024];
static struct meter *meter;
static struct meter_tick tick;

static void add_domain(enum domain_kind kind, uint64_t range_uj)
{
        fake.domains[fake.ndomains++] = (struct domain){
                .kind = kind, .die = -1, .range_uj = range_uj};
}

static int setup(void **state)
{
        memset(&fake, 0, sizeof(fake));
        fake.better_probe = -ENODEV;
        clock_ns = 1000 * SECOND_NS;
        meter = NULL;
        return 0;
}

static int teardown(void **state)
{
        meter_close(meter);
        return fake.opened == fake.closed ? 0 : -1;
}

static void open_meter(const char *name)
{
        assert_int_equal(meter_open(&meter, name, &config, &topology, why, sizeof(why)), 0);
}

static void set(size_t domain, uint64_t counter_uj)
{
        fake.readings[domain] = (struct reading){.counter_uj = counter_uj};
}

static void break_domain(size_t domain, int error)
{
        /* a value that must not be used */
        fake.readings[domain] = (struct reading){.counter_uj = 12345, .error = error};
}

static void read_after(uint64_t ns)
{
        clock_ns += ns;
        memset(&tick, 0xa5, sizeof(tick));
        meter_read(meter, NULL, &tick);
}

static struct fault fault_of(size_t domain)
{
        struct fault fault;

        meter_fault(meter, domain, &fault);
        return fault;
}

static void assert_energy(size_t domain, uint64_t energy_uj, uint64_t covered_ns)
{
        assert_true(tick.known[domain]);
        assert_int_equal(tick.energy_uj[domain], energy_uj);
        assert_int_equal(tick.covered_ns[domain], covered_ns);
        assert_int_equal(fault_of(domain).kind, FAULT_NONE);
}

static void assert_unknown(size_t domain, enum fault_kind kind, const char *text)
{
        char buffer[256];

        assert_false(tick.known[domain]);
        assert_int_equal(tick.energy_uj[domain], 0);
        assert_int_equal(fault_of(domain).kind, kind);
        const struct fault fault = fault_of(domain);

        fault_text(&fault, buffer, sizeof(buffer));
        if (!strstr(buffer, text))
                fail_msg("'%s' has no '%s'", buffer, text);
}

/* One package that has been read once, at 1000000 uJ. */
static void start(uint64_t range_uj)
{
        add_domain(DOMAIN_PACKAGE, range_uj);
        open_meter("fake");
        set(0, 1000000);
        read_after(0);
}

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

/* xorshift64 (Marsaglia, 2003): the same walk in every run. */
static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed % limit;
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

/* 100 W for a second; then a gap, in which 100 W would be just below, or just at, a whole range. */
static void energy_is_unknown_where_a_second_wrap_is_possible(void **state)
{
        const uint64_t range_uj = 999999999; /* 1000 J in all */
        uint64_t counter = 1000000;

        start(range_uj);
        for (int i = 0; i < 100; i++) {
                counter += 1000000;
                set(0, counter);
                read_after(TICK_NS);
                assert_energy(0, 1000000, TICK_NS);
        }
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

static void auto_takes_the_first_that_works_and_says_why_not_the_others(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("auto");
        assert_string_equal(meter_source_name(meter), "fake");
        assert_false(meter_estimated(meter));
        assert_string_equal(meter_why_passed_over(meter), "better: not here");
}

static void a_source_that_opens_not_is_passed_over_too(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        fake.fake_open = -EIO;
        assert_int_equal(meter_open(&meter, "auto", &config, &topology, why, sizeof(why)), -EIO);
        assert_string_equal(why, "better: not here; fake: it broke; model: it broke");
        assert_null(meter);
}

static void a_source_without_domains_is_none(void **state)
{
        assert_int_equal(meter_open(&meter, "fake", &config, &topology, why, sizeof(why)), -ENODEV);
        assert_non_null(strstr(why, "fake: 0 energy domains"));
}

static void a_named_source_is_the_only_one_tried(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        assert_int_equal(meter_open(&meter, "better", &config, &topology, why, sizeof(why)),
                         -ENODEV);
        assert_string_equal(why, "better: not here; usable here: fake, model");
        open_meter("model");
        assert_true(meter_estimated(meter));
        assert_string_equal(meter_why_passed_over(meter), "");
}

static void a_source_that_is_unknown_names_those_that_there_are(void **state)
{
        assert_int_equal(meter_open(&meter, "steam", &config, &topology, why, sizeof(why)),
                         -EINVAL);
        assert_string_equal(why, "no energy source is called 'steam'; usable here: fake, model");
        fake.fake_probe = -ENODEV;
        assert_int_equal(meter_open(&meter, "steam", &config, &topology, why, sizeof(why)),
                         -EINVAL);
        assert_string_equal(why, "no energy source is called 'steam'; usable here: none");
}

static void reasons_that_do_not_fit_are_cut(void **state)
{
        char small[16];

        memset(small, 'x', sizeof(small));
        assert_int_equal(meter_open(&meter, "better", &config, &topology, small, sizeof(small)),
                         -ENODEV);
        assert_string_equal(small, "better: not her");
}

static void a_base_is_known_only_where_the_source_knows_it(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("fake");
        assert_true(meter_known_base_w(meter, 0) < 0);
        meter_close(meter);
        open_meter("model");
        assert_true(meter_known_base_w(meter, 0) == 7.5);
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
                TEST(it_is_no_wrap_either_when_the_zone_was_away_meanwhile),
                TEST(a_single_wrong_reading_loses_nothing),
                TEST(a_package_that_stands_still_is_stuck_after_2_s),
                TEST(memory_is_stuck_only_while_something_else_moves),
                TEST(an_estimate_of_nothing_is_not_stuck),
                TEST(energy_is_unknown_where_a_second_wrap_is_possible),
                TEST(before_any_power_is_seen_1_kw_is_assumed),
                TEST(a_range_that_1_kw_passes_within_a_tick_is_still_measured),
                TEST(auto_takes_the_first_that_works_and_says_why_not_the_others),
                TEST(a_source_that_opens_not_is_passed_over_too),
                TEST(a_source_without_domains_is_none),
                TEST(a_named_source_is_the_only_one_tried),
                TEST(a_source_that_is_unknown_names_those_that_there_are),
                TEST(reasons_that_do_not_fit_are_cut),
                TEST(a_base_is_known_only_where_the_source_knows_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
