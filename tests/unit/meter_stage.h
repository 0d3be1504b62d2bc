/* SPDX-License-Identifier: MIT */
/*
 * A stage for tests of the meter: drivers of its own, whose table takes the place of that of
 * source_drivers.c, and a clock that the test sets.  Link with --wrap=clock_gettime.
 */
#pragma once

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

static uint64_t clock_ns, asleep_ns; /* CLOCK_MONOTONIC; what CLOCK_BOOTTIME has more */

/* the linker's name for it: NOLINTNEXTLINE(bugprone-reserved-identifier) */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
        uint64_t now_ns = clock_ns + (id == CLOCK_BOOTTIME ? asleep_ns : 0);

        assert_true(id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME);
        ts->tv_sec = (time_t)(now_ns / SECOND_NS);
        ts->tv_nsec = (long)(now_ns % SECOND_NS);
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

static const struct source_config config;
static const struct topology topology;
static char why[1024];
static struct meter *meter;
static struct meter_tick tick;

static inline void add_domain(enum domain_kind kind, uint64_t range_uj)
{
        fake.domains[fake.ndomains++] = (struct domain){
                .kind = kind, .die = -1, .range_uj = range_uj};
}

static inline int setup(void **state)
{
        memset(&fake, 0, sizeof(fake));
        fake.better_probe = -ENODEV;
        clock_ns = 1000 * SECOND_NS;
        asleep_ns = 0;
        meter = NULL;
        return 0;
}

static inline int teardown(void **state)
{
        meter_close(meter);
        return fake.opened == fake.closed ? 0 : -1;
}

static inline void open_meter(const char *name)
{
        assert_int_equal(meter_open(&meter, name, &config, &topology, why, sizeof(why)), 0);
}

static inline void set(size_t domain, uint64_t counter_uj)
{
        fake.readings[domain] = (struct reading){.counter_uj = counter_uj};
}

static inline void break_domain(size_t domain, int error)
{
        /* a value that must not be used */
        fake.readings[domain] = (struct reading){.counter_uj = 12345, .error = error};
}

static inline void read_after(uint64_t ns)
{
        clock_ns += ns;
        memset(&tick, 0xa5, sizeof(tick));
        meter_read(meter, NULL, &tick);
}

static inline struct fault fault_of(size_t domain)
{
        struct fault fault;

        meter_fault(meter, domain, &fault);
        return fault;
}

static inline void assert_energy(size_t domain, uint64_t energy_uj, uint64_t covered_ns)
{
        assert_true(tick.known[domain]);
        assert_int_equal(tick.energy_uj[domain], energy_uj);
        assert_int_equal(tick.covered_ns[domain], covered_ns);
        assert_int_equal(fault_of(domain).kind, FAULT_NONE);
}

static inline void assert_unknown(size_t domain, enum fault_kind kind, const char *text)
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
static inline void start(uint64_t range_uj)
{
        add_domain(DOMAIN_PACKAGE, range_uj);
        open_meter("fake");
        set(0, 1000000);
        read_after(0);
}
