/* SPDX-License-Identifier: MIT */
/* The source that is a model, and the table of sources. */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "source.h"

#define SECOND_NS UINT64_C(1000000000)
#define TICK_NS   UINT64_C(10000000)

/* Two sockets of two CPUs; socket 1 spans two nodes, one CPU each. */
static struct topology_cpu cpus[4];
static struct topology machine;
static const struct source_driver *estimate;
static char why[SOURCE_WHY_MAX];

static int setup(void **state)
{
        estimate = source_driver_by_name("estimate");
        assert_non_null(estimate);
        machine = (struct topology){
                .cpus = cpus,
                .ncpus = 4,
                .slots = {{0, 0, 0}, {1, 1, 0}, {2, 1, 0}},
                .nslots = 3,
                .sockets = {0, 1},
                .nsockets = 2,
        };
        for (int cpu = 0; cpu < 4; cpu++)
                cpus[cpu] = (struct topology_cpu){.online = true, .socket = cpu / 2};
        return 0;
}

static struct source *open_model(double idle_w, double busy_w)
{
        struct source_config config = {.estimate_idle_w = idle_w, .estimate_busy_w = busy_w};
        struct source *s = NULL;

        assert_int_equal(estimate->open(&s, &config, &machine, why), 0);
        return s;
}

static void read_model(struct source *s, uint64_t now_ns, const uint64_t busy_ns[3],
                       struct reading readings[2])
{
        struct source_input input = {.now_ns = now_ns, .slot_busy_ns = busy_ns, .nslots = 3};

        estimate->read(s, &input, readings);
        assert_int_equal(readings[0].error, 0);
        assert_int_equal(readings[1].error, 0);
}

static void it_has_one_package_for_each_socket(void **state)
{
        struct source *s = open_model(1, 2);
        const struct domain *domains;

        assert_true(estimate->estimated);
        assert_int_equal(estimate->domains(s, &domains), 2);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(domains[i].kind, DOMAIN_PACKAGE);
                assert_int_equal(domains[i].socket, i);
                assert_int_equal(domains[i].die, -1);
                assert_int_equal(domains[i].range_uj, UINT64_MAX);
        }
        assert_string_equal(domains[1].label, "package-1");
        estimate->close(s);
}

static void idle_energy_is_power_times_time(void **state)
{
        struct source *s = open_model(0.74, 2.76);
        struct reading before[2], after[2];
        uint64_t busy_ns[3] = {7, 8, 9};

        read_model(s, 5 * SECOND_NS, busy_ns, before);
        read_model(s, 15 * SECOND_NS, busy_ns, after);
        /* 2 CPUs x 0.74 W x 10 s */
        assert_int_equal(after[0].counter_uj - before[0].counter_uj, 14800000);
        assert_int_equal(after[1].counter_uj - before[1].counter_uj, 14800000);
        estimate->close(s);
}

static void busy_energy_goes_to_the_socket_that_was_busy(void **state)
{
        struct source *s = open_model(0, 10);
        struct reading before[2], after[2];
        uint64_t busy_ns[3] = {0};

        read_model(s, SECOND_NS, busy_ns, before);
        busy_ns[0] = 3 * SECOND_NS;
        busy_ns[1] = SECOND_NS;
        busy_ns[2] = SECOND_NS / 2;
        read_model(s, 4 * SECOND_NS, busy_ns, after);
        assert_int_equal(after[0].counter_uj - before[0].counter_uj, 30000000);
        assert_int_equal(after[1].counter_uj - before[1].counter_uj, 15000000);
        estimate->close(s);
}

/* Powers and times of which no tick gives a whole microjoule. */
static void rounding_does_not_drift(void **state)
{
        struct source *s = open_model(0.000037, 0.000041);
        struct reading first[2], r[2];
        uint64_t now_ns = 1, busy_ns[3] = {0};

        read_model(s, now_ns, busy_ns, first);
        for (int tick = 0; tick < 100000; tick++) {
                now_ns += TICK_NS + 1;
                busy_ns[1] += 333333;
                busy_ns[2] += 123457;
                read_model(s, now_ns, busy_ns, r);
        }
        /* uW x ns over 1e9, cut once at the end */
        assert_int_equal(r[0].counter_uj - first[0].counter_uj,
                         UINT64_C(37) * 2 * (now_ns - 1) / SECOND_NS);
        assert_int_equal(r[1].counter_uj - first[1].counter_uj,
                         (UINT64_C(37) * 2 * (now_ns - 1) + 41 * (busy_ns[1] + busy_ns[2])) /
                                 SECOND_NS);
        estimate->close(s);
}

static void busy_time_that_is_taken_back_takes_no_energy_back(void **state)
{
        struct source *s = open_model(0, 1);
        struct reading a[2], b[2], c[2];
        uint64_t busy_ns[3] = {SECOND_NS, 0, 0};

        read_model(s, SECOND_NS, busy_ns, a);
        busy_ns[0] -= 1000;
        read_model(s, 2 * SECOND_NS, busy_ns, b);
        assert_int_equal(b[0].counter_uj, a[0].counter_uj);
        busy_ns[0] = 2 * SECOND_NS;
        read_model(s, 3 * SECOND_NS, busy_ns, c);
        assert_int_equal(c[0].counter_uj - a[0].counter_uj, 1000000);
        estimate->close(s);
}

static void cpus_that_are_offline_use_nothing(void **state)
{
        struct source *s = open_model(1, 0);
        struct reading a[2], b[2];
        uint64_t busy_ns[3] = {0};

        assert_true(fabs(estimate->known_base_w(s, 0) - 2) < 1e-9);
        cpus[1].online = false;
        assert_true(fabs(estimate->known_base_w(s, 0) - 1) < 1e-9);
        assert_true(fabs(estimate->known_base_w(s, 1) - 2) < 1e-9);
        read_model(s, SECOND_NS, busy_ns, a);
        read_model(s, 2 * SECOND_NS, busy_ns, b);
        assert_int_equal(b[0].counter_uj - a[0].counter_uj, 1000000);
        assert_int_equal(b[1].counter_uj - a[1].counter_uj, 2000000);
        estimate->close(s);
}

static void slots_that_come_later_count_from_their_start(void **state)
{
        struct source *s;
        struct reading a[2], b[2];
        uint64_t busy_ns[3] = {0};

        machine.nslots = 2;
        s = open_model(0, 1);
        read_model(s, SECOND_NS, busy_ns, a);
        machine.nslots = 3;
        busy_ns[2] = SECOND_NS;
        read_model(s, 2 * SECOND_NS, busy_ns, b);
        assert_int_equal(b[1].counter_uj - a[1].counter_uj, 1000000);
        estimate->close(s);
}

static void without_busy_time_there_is_an_error_and_no_number(void **state)
{
        struct source_input backwards = {
                .now_ns = 1, .slot_busy_ns = (uint64_t[3]){0}, .nslots = 3};
        struct source_input none = {.now_ns = 3 * SECOND_NS};
        struct source *s = open_model(1, 1);
        struct reading r[2];
        uint64_t busy_ns[3] = {0};

        estimate->read(s, NULL, r);
        assert_int_equal(r[0].error, -EINVAL);
        estimate->read(s, &none, r);
        assert_int_equal(r[1].error, -EINVAL);
        read_model(s, SECOND_NS, busy_ns, r);
        estimate->read(s, &backwards, r);
        assert_int_equal(r[0].error, -EINVAL);
        /* and then the energy of all the time since the last good one */
        read_model(s, 3 * SECOND_NS, busy_ns, r);
        assert_int_equal(r[0].counter_uj, 4000000);
        estimate->close(s);
}

static void powers_that_are_none_are_refused(void **state)
{
        static const double bad[] = {-0.1, NAN, INFINITY, 10001};
        struct source_config config = {.estimate_idle_w = 1, .estimate_busy_w = 1};

        assert_int_equal(estimate->probe(&config, &machine, why), 0);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                config.estimate_idle_w = bad[i];
                config.estimate_busy_w = 1;
                assert_int_equal(estimate->probe(&config, &machine, why), -EINVAL);
                config.estimate_idle_w = 1;
                config.estimate_busy_w = bad[i];
                assert_int_equal(estimate->probe(&config, &machine, why), -EINVAL);
        }
}

static void meters_go_before_the_model(void **state)
{
        size_t n = 0;

        while (source_drivers[n]) {
                assert_ptr_equal(source_driver_by_name(source_drivers[n]->name), source_drivers[n]);
                n++;
        }
        assert_ptr_equal(source_drivers[0], source_driver_by_name("powercap"));
        assert_ptr_equal(source_drivers[n - 1], estimate);
        assert_null(source_driver_by_name("auto"));
        assert_null(source_driver_by_name(""));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(it_has_one_package_for_each_socket),
                TEST(idle_energy_is_power_times_time),
                TEST(busy_energy_goes_to_the_socket_that_was_busy),
                TEST(rounding_does_not_drift),
                TEST(busy_time_that_is_taken_back_takes_no_energy_back),
                TEST(cpus_that_are_offline_use_nothing),
                TEST(slots_that_come_later_count_from_their_start),
                TEST(without_busy_time_there_is_an_error_and_no_number),
                TEST(powers_that_are_none_are_refused),
                TEST(meters_go_before_the_model),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
