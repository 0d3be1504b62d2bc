/* SPDX-License-Identifier: MIT */
/* Since when each row has been what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rows_told.h"

#define TICK_NS UINT64_C(10000000)

static struct rows_told *told;

static int set_up(void **state)
{
        (void)state;
        told = NULL;
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        rows_told_free(told);
        return 0;
}

static struct row_copy row(pid_t pid, uint64_t cpu_ns)
{
        return (struct row_copy){.pid = pid, .start_ns = 7, .cpu_ns = cpu_ns, .comm = "a"};
}

static void look(uint64_t now_ns, const struct row_copy *rows, size_t n)
{
        assert_int_equal(rows_told_update(&told, rows, n, 1, now_ns), 0);
}

static void a_row_is_new_to_who_looked_before_it_changed(void **state)
{
        const struct row_copy before[] = {row(3, 1), row(5, 1)}, after[] = {row(3, 1), row(5, 2)};

        (void)state;
        look(1 * TICK_NS, before, 2);
        look(4 * TICK_NS, after, 2);
        assert_false(rows_told_changed(told, 0, 1 * TICK_NS));
        assert_true(rows_told_changed(told, 1, 1 * TICK_NS));
        assert_false(rows_told_changed(told, 1, 4 * TICK_NS));
        look(9 * TICK_NS, after, 2);
        assert_true(rows_told_changed(told, 1, 1 * TICK_NS)); /* who has not asked meanwhile */
        assert_false(rows_told_changed(told, 1, 4 * TICK_NS));
        assert_true(rows_told_changed(told, 0, 0)); /* who has seen nothing yet */
}

static void rows_that_come_and_go_do_not_shift_the_others(void **state)
{
        const struct row_copy before[] = {row(3, 1), row(5, 1), row(8, 1)};
        const struct row_copy after[] = {row(4, 1), row(8, 1), row(9, 1)};

        (void)state;
        look(1 * TICK_NS, before, 3);
        look(2 * TICK_NS, after, 3);
        assert_true(rows_told_changed(told, 0, 1 * TICK_NS));
        assert_false(rows_told_changed(told, 1, 1 * TICK_NS));
        assert_true(rows_told_changed(told, 2, 1 * TICK_NS));
}

static void everything_that_a_row_tells_counts(void **state)
{
        const struct row_copy before = row(3, 1);
        struct row_copy after[7];

        (void)state;
        for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++)
                after[i] = before;
        after[0].ppid = 2;
        after[1].start_ns = 8; /* another process of that pid */
        after[2].cpu_ns++;
        after[3].threads++;
        strcpy(after[4].comm, "b");
        after[5].share_uj[ENERGY_PACKAGE]++;
        after[6].kernel = true;
        for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
                look((2 * i + 1) * TICK_NS, &before, 1);
                look((2 * i + 2) * TICK_NS, &after[i], 1);
                assert_true(rows_told_changed(told, 0, (2 * i + 1) * TICK_NS));
        }
}

static void memory_that_costs_is_no_change(void **state)
{
        const struct row_copy before = row(3, 1);
        struct row_copy after = before;

        (void)state;
        after.share_uj[ENERGY_DRAM] = 5;
        look(1 * TICK_NS, &before, 1);
        look(2 * TICK_NS, &after, 1);
        assert_false(rows_told_changed(told, 0, 1 * TICK_NS));
}

static void time_on_another_node_is_a_change(void **state)
{
        uint64_t first[] = {4, 0}, second[] = {3, 1};
        struct row_copy before = row(3, 4), after = row(3, 4);

        (void)state;
        before.node_cpu_ns = first;
        after.node_cpu_ns = second;
        assert_int_equal(rows_told_update(&told, &before, 1, 2, 1 * TICK_NS), 0);
        first[0] = 0; /* it was copied */
        assert_int_equal(rows_told_update(&told, &after, 1, 2, 2 * TICK_NS), 0);
        assert_true(rows_told_changed(told, 0, 1 * TICK_NS));
        assert_int_equal(rows_told_update(&told, &after, 1, 2, 3 * TICK_NS), 0);
        assert_false(rows_told_changed(told, 0, 2 * TICK_NS));
}

static void a_change_within_a_tick_is_told_to_both(void **state)
{
        const struct row_copy before = row(3, 1);
        struct row_copy after = before;

        (void)state;
        strcpy(after.comm, "b"); /* exec */
        look(1 * TICK_NS, &before, 1);
        look(1 * TICK_NS, &after, 1);
        assert_true(rows_told_changed(told, 0, 1 * TICK_NS));
        look(2 * TICK_NS, &after, 1);
        assert_false(rows_told_changed(told, 0, 2 * TICK_NS));
}

/* 300 days in seconds, as JSON has them */
static void moments_survive_doubles(void **state)
{
        const uint64_t long_ns = UINT64_C(300) * 86400 * 1000000000 + 123456789;
        const struct row_copy rows[] = {row(3, 1)};
        double s = (double)long_ns / 1e9;

        (void)state;
        look(long_ns, rows, 1);
        look(long_ns + TICK_NS, rows, 1);
        assert_false(rows_told_changed(told, 0, (uint64_t)(s * 1e9)));
        assert_true(rows_told_changed(told, 0, (uint64_t)(s * 1e9) - TICK_NS / 10));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(a_row_is_new_to_who_looked_before_it_changed),
                TEST(rows_that_come_and_go_do_not_shift_the_others),
                TEST(everything_that_a_row_tells_counts),
                TEST(memory_that_costs_is_no_change),
                TEST(time_on_another_node_is_a_change),
                TEST(a_change_within_a_tick_is_told_to_both),
                TEST(moments_survive_doubles),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
