/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "clock_watch.h"
#include "lateness.h"

#define S  1000000000ull
#define MS 1000000ull

static struct clock_watch watch;
static struct clock_event event;

static int fresh(void **state)
{
        (void)state;
        watch = (struct clock_watch){0};
        clock_watch_tick(&watch, 100 * S, 500 * S, 1700000000 * S, &event);
        return 0;
}

static void the_first_tick_is_no_event(void **state)
{
        (void)state;
        assert_int_equal(event.suspended_ns, 0);
        assert_int_equal(event.set_ns, 0);
}

static void time_that_passes_is_no_event(void **state)
{
        (void)state;
        /* the three clocks are read some microseconds apart */
        clock_watch_tick(&watch, 100 * S + 10 * MS, 500 * S + 10 * MS + 3000,
                         1700000000 * S + 10 * MS + 9000, &event);
        assert_int_equal(event.suspended_ns, 0);
        assert_int_equal(event.set_ns, 0);
}

static void a_suspend_is_told_by_its_length(void **state)
{
        (void)state;
        clock_watch_tick(&watch, 100 * S + 10 * MS, 530 * S, 1700000029 * S + 990 * MS + 10 * MS,
                         &event);
        assert_int_equal(event.suspended_ns, 30 * S - 10 * MS);
        assert_int_equal(event.set_ns, 0);
}

static void a_clock_set_back_or_forward_is_told(void **state)
{
        (void)state;
        clock_watch_tick(&watch, 101 * S, 501 * S, 1700000001 * S - 3600 * S, &event);
        assert_int_equal(event.set_ns, -(int64_t)(3600 * S));
        clock_watch_tick(&watch, 102 * S, 502 * S, 1700000002 * S, &event);
        assert_int_equal(event.set_ns, 3600 * S);
        assert_int_equal(event.suspended_ns, 0);
        clock_watch_tick(&watch, 103 * S, 503 * S, 1700000003 * S, &event);
        assert_int_equal(event.set_ns, 0);
}

static void quantiles_of_lateness_are_upper_edges(void **state)
{
        static struct lateness l;

        (void)state;
        for (int i = 0; i < 99; i++)
                lateness_add(&l, 45000); /* 45 us: the bin that ends at 50 */
        lateness_add(&l, 7 * MS);
        assert_int_equal(lateness_quantile_ns(&l, 0.5), 50000);
        assert_int_equal(lateness_quantile_ns(&l, 0.98), 50000);
        assert_int_equal(lateness_quantile_ns(&l, 0.995), 7 * MS);
        assert_int_equal(l.max_ns, 7 * MS);
}

static void what_is_later_than_all_bins_is_the_maximum(void **state)
{
        static struct lateness l;

        (void)state;
        lateness_add(&l, 3 * S);
        assert_int_equal(lateness_quantile_ns(&l, 0.5), 3 * S);
        assert_int_equal(l.count, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(the_first_tick_is_no_event, fresh),
                cmocka_unit_test_setup(time_that_passes_is_no_event, fresh),
                cmocka_unit_test_setup(a_suspend_is_told_by_its_length, fresh),
                cmocka_unit_test_setup(a_clock_set_back_or_forward_is_told, fresh),
                cmocka_unit_test(quantiles_of_lateness_are_upper_edges),
                cmocka_unit_test(what_is_later_than_all_bins_is_the_maximum),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
