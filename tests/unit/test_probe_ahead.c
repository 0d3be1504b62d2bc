/* SPDX-License-Identifier: MIT */
/* What no machine of ours can be made to do to the probe: we play the kernel and a hypervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe_ahead.h"

#define S_NS          1000000000ULL
#define MS_NS         1000000ULL
#define SCHED_TICK_NS (4 * MS_NS)
#define BOOT_NS       (500 * S_NS) /* CLOCK_MONOTONIC when a test begins */
#define OFFSET_NS     (-7 * (int64_t)S_NS)

/* A CPU on which one thread spins, as its run queue and the probe know it. */
struct spinner {
        struct cpu_state cpu;
        struct rq_times rq;
        uint64_t now_ns;
};

static struct spinner spinner_at(uint64_t now_ns)
{
        return (struct spinner){.cpu.clock_offset_ns = OFFSET_NS,
                                .rq.exec_start_ns = now_ns + OFFSET_NS,
                                .now_ns = now_ns};
}

static uint64_t ahead_ns(struct spinner *s)
{
        return clock_ahead(&s->cpu, &s->rq, s->now_ns, SCHED_TICK_NS);
}

/* Time goes by, of which the hypervisor has the CPU for a part; then the run queue is told. */
static void run_for(struct spinner *s, uint64_t ns, uint64_t stolen_ns)
{
        s->now_ns += ns;
        s->rq.stolen_ns += stolen_ns;
        s->cpu.clock_offset_ns -= (int64_t)stolen_ns;
        s->rq.exec_start_ns = s->now_ns + s->cpu.clock_offset_ns;
}

/* The same for so many ticks of 10 ms, looked at in each, with as much stolen in each. */
static void run_ticks(struct spinner *s, unsigned int ticks, uint64_t stolen_ns)
{
        for (unsigned int i = 0; i < ticks; i++) {
                run_for(s, 9 * MS_NS, stolen_ns);
                s->now_ns += MS_NS;
                ahead_ns(s);
                run_for(s, 0, 0);
        }
}

/* One in a guest that now and then waits for a real CPU, and has not for seconds. */
static struct spinner quiet_guest(void)
{
        struct spinner s = spinner_at(BOOT_NS);

        run_for(&s, 10 * MS_NS, MS_NS / 100);
        run_ticks(&s, 300, 0);
        return s;
}

static void it_is_the_time_since_the_last_update(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        assert_int_equal(ahead_ns(&s), 0);
        s.now_ns += 3 * MS_NS;
        assert_int_equal(ahead_ns(&s), 3 * MS_NS);
}

static void interrupts_are_out(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        s.now_ns += 3 * MS_NS;
        s.rq.irq_ns = MS_NS;
        assert_int_equal(ahead_ns(&s), 2 * MS_NS);
        s.rq.irq_ns = 5 * MS_NS; /* the clock was taken long ago */
        assert_int_equal(ahead_ns(&s), 0);
}

static void a_cpu_without_a_clock_has_none(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        s.cpu.clock_offset_ns = 0;
        assert_int_equal(ahead_ns(&s), 0);
}

/* nohz_full on bare metal: the last update can be a second old. */
static void where_nothing_is_stolen_any_time_is_the_threads(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        s.now_ns += S_NS;
        assert_int_equal(ahead_ns(&s), S_NS);
}

/* Right after the hypervisor had the CPU for 57 ms, before the run queue has been told. */
static void stolen_time_that_is_not_known_yet_is_nobodys(void **state)
{
        struct spinner s = quiet_guest();

        (void)state;
        s.now_ns += 57 * MS_NS;
        assert_int_equal(ahead_ns(&s), 0);
}

static void after_a_theft_nobody_is_charged_ahead_for_a_while(void **state)
{
        struct spinner s = quiet_guest();

        (void)state;
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 2 * MS_NS);
        run_for(&s, 57 * MS_NS, 55 * MS_NS);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 0);
        run_ticks(&s, 90, 0);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 0);
        run_ticks(&s, 300, 0);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 2 * MS_NS);
}

/* Virtual CPUs that wake up wait some microseconds for a real one: that counts as stolen. */
static void a_little_is_always_stolen(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        run_ticks(&s, 1000, MS_NS / 1000);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 2 * MS_NS);
        run_ticks(&s, 300, MS_NS / 50);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 0);
}

/* What was stolen before the probe came is no reason for long. */
static void what_was_stolen_long_ago_is_forgotten(void **state)
{
        struct spinner s = spinner_at(BOOT_NS);

        (void)state;
        s.rq.stolen_ns = 100 * S_NS;
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 0);
        run_ticks(&s, 300, 0);
        s.now_ns += 2 * MS_NS;
        assert_int_equal(ahead_ns(&s), 2 * MS_NS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(it_is_the_time_since_the_last_update),
                cmocka_unit_test(interrupts_are_out),
                cmocka_unit_test(a_cpu_without_a_clock_has_none),
                cmocka_unit_test(where_nothing_is_stolen_any_time_is_the_threads),
                cmocka_unit_test(stolen_time_that_is_not_known_yet_is_nobodys),
                cmocka_unit_test(after_a_theft_nobody_is_charged_ahead_for_a_while),
                cmocka_unit_test(a_little_is_always_stolen),
                cmocka_unit_test(what_was_stolen_long_ago_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
