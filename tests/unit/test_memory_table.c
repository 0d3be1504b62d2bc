/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory_table.h"

#define NACCOUNTS 2
#define MIB       (UINT64_C(1) << 20)

static struct memory_table table;

/* In this order: 30 (wanted), 10, 20 (wanted); where each uses CPU time. */
static const float cpu_parts[] = {1, 0, 0.5f, 0.5f, 0, 1};

static void update(void)
{
        struct memory_listed list[] = {{30, 300, true}, {10, 100, false}, {20, 200, true}};

        assert_int_equal(memory_table_update(&table, list, 3, cpu_parts), 0);
        assert_int_equal(table.n, 3);
        assert_int_equal(table.all[0].id.pid, 10);
        assert_int_equal(table.all[1].id.pid, 20);
        assert_int_equal(table.all[2].id.pid, 30);
}

static int setup(void **state)
{
        (void)state;
        memory_table_init(&table, NACCOUNTS);
        update();
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        memory_table_deinit(&table);
        return 0;
}

static void resident_size_counts_until_there_is_better(void **state)
{
        (void)state;
        table.all[1].anonymous_bytes = 7 * MIB;
        assert_int_equal(memory_table_bytes(&table.all[1]), 7 * MIB);
        assert_true(table.parts[2] == 0 && table.parts[3] == 1); /* where it runs */
}

static void private_bytes_grow_and_shrink_as_resident_size_does(void **state)
{
        const uint64_t by_account[] = {30, 10};

        (void)state;
        table.all[1].anonymous_bytes = 8 * MIB;
        memory_table_exact(&table, 1, 1000, 6 * MIB, by_account, 40);
        assert_int_equal(memory_table_bytes(&table.all[1]), 6 * MIB);
        assert_true(table.parts[2] == 0.75f && table.parts[3] == 0.25f);
        table.all[1].anonymous_bytes = 16 * MIB;
        assert_int_equal(memory_table_bytes(&table.all[1]), 14 * MIB);
        table.all[1].anonymous_bytes = 3 * MIB;
        assert_int_equal(memory_table_bytes(&table.all[1]), 1 * MIB);
        table.all[1].anonymous_bytes = 1 * MIB; /* it had shared the rest */
        assert_int_equal(memory_table_bytes(&table.all[1]), 0);
}

/* A virtual machine of 64 GiB: nine tenths more of the heap are 90 MiB. */
static void hugetlb_and_files_do_not_grow_because_a_heap_does(void **state)
{
        const uint64_t by_account[] = {1, 1};

        (void)state;
        table.all[1].anonymous_bytes = 100 * MIB;
        memory_table_exact(&table, 1, 1000, 64 * 1024 * MIB + 100 * MIB, by_account, 2);
        table.all[1].anonymous_bytes = 190 * MIB;
        assert_int_equal(memory_table_bytes(&table.all[1]), 64 * 1024 * MIB + 190 * MIB);
        assert_int_equal(memory_table_next(&table, 1100, 1000), 2); /* no reason to read it again */
        table.all[2].failed_ns = 1100;
        assert_int_equal(memory_table_next(&table, 1100, 1000), table.n);
        table.all[1].anonymous_bytes = 49 * MIB; /* but here it may have become another program */
        assert_int_equal(memory_table_next(&table, 1100, 1000), 1);
}

static void who_has_gone_holds_nothing(void **state)
{
        const uint64_t by_account[] = {1, 1};

        (void)state;
        memory_table_exact(&table, 1, 1000, 64 * MIB, by_account, 2);
        table.all[1].gone = true;
        table.all[2].gone = true;
        assert_int_equal(memory_table_bytes(&table.all[1]), 0);
        assert_int_equal(memory_table_next(&table, 9000, 1000), table.n);
}

static void memory_on_a_node_that_nothing_measures_is_behind_no_account(void **state)
{
        const uint64_t pages[] = {30, 10};

        (void)state;
        table.all[1].anonymous_bytes = 8 * MIB;
        memory_table_exact(&table, 1, 1000, 8 * MIB, pages, 80);
        assert_true(table.parts[2] == 0.375f && table.parts[3] == 0.125f);
}

static void what_grows_from_nothing_counts_as_it_is(void **state)
{
        const uint64_t pages[] = {0, 0};

        (void)state;
        memory_table_exact(&table, 1, 1000, 2 * MIB, pages, 0); /* of files alone */
        table.all[1].anonymous_bytes = 5 * MIB;
        assert_int_equal(memory_table_bytes(&table.all[1]), 7 * MIB);
        assert_false(table.all[1].parts_exact); /* how that is spread is not known */
}

static void exact_readings_outlive_an_update_but_not_their_process(void **state)
{
        struct memory_listed list[] = {{20, 201, true}, {30, 300, true}};
        const uint64_t pages[] = {1, 3};

        (void)state;
        table.all[2].anonymous_bytes = 4 * MIB;
        memory_table_exact(&table, 1, 1000, 6 * MIB, pages, 4);
        memory_table_exact(&table, 2, 1000, 3 * MIB, pages, 4);
        update();
        assert_int_equal(table.all[2].private_bytes, 3 * MIB);
        assert_true(table.parts[4] == 0.25f && table.parts[5] == 0.75f);
        assert_int_equal(memory_table_update(&table, list, 2, cpu_parts), 0);
        assert_int_equal(table.n, 2);
        assert_int_equal(table.all[0].exact_ns, 0); /* the pid is somebody else's now */
        assert_true(table.parts[0] == 1 && table.parts[1] == 0);
        assert_int_equal(table.all[1].exact_ns, 1000);
        assert_true(table.parts[2] == 0.25f && table.parts[3] == 0.75f);
}

static void the_next_is_who_was_never_read_then_who_was_read_longest_ago(void **state)
{
        const uint64_t pages[] = {1, 1};

        (void)state;
        table.all[0].anonymous_bytes = 100 * MIB; /* nobody wants it */
        table.all[1].anonymous_bytes = 1 * MIB;
        table.all[2].anonymous_bytes = 9 * MIB;
        assert_int_equal(memory_table_next(&table, 1000, 1), 2);
        memory_table_exact(&table, 2, 1000, MIB, pages, 2);
        assert_int_equal(memory_table_next(&table, 1000, 1), 1);
        memory_table_exact(&table, 1, 1001, MIB, pages, 2);
        table.all[1].private_at_anonymous_bytes = table.all[1].anonymous_bytes;
        assert_int_equal(memory_table_next(&table, 1000, 1), table.n);    /* once a round */
        assert_int_equal(memory_table_next(&table, 1500, 1000), table.n); /* new enough */
        assert_int_equal(memory_table_next(&table, 2000, 1000), 2);
        table.all[2].failed_ns = 2000; /* tried in vain: once a round is enough */
        assert_int_equal(memory_table_next(&table, 2000, 1000), table.n);
        assert_int_equal(memory_table_next(&table, 2001, 1000), 2);
}

static void who_has_grown_much_is_read_again_at_once(void **state)
{
        const uint64_t pages[] = {1, 1};

        (void)state;
        table.all[1].anonymous_bytes = 2 * MIB;
        table.all[2].anonymous_bytes = 2 * MIB;
        memory_table_exact(&table, 1, 1000, 2 * MIB, pages, 2);
        memory_table_exact(&table, 2, 1000, 2 * MIB, pages, 2);
        table.all[2].anonymous_bytes = 4 * MIB;
        assert_int_equal(memory_table_next(&table, 1100, 1000), table.n);
        table.all[2].anonymous_bytes = 5 * MIB;
        assert_int_equal(memory_table_next(&table, 1100, 1000), 2);
        table.all[2].anonymous_bytes = MIB - 1;
        assert_int_equal(memory_table_next(&table, 1100, 1000), 2);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(resident_size_counts_until_there_is_better),
                TEST(private_bytes_grow_and_shrink_as_resident_size_does),
                TEST(hugetlb_and_files_do_not_grow_because_a_heap_does),
                TEST(who_has_gone_holds_nothing),
                TEST(memory_on_a_node_that_nothing_measures_is_behind_no_account),
                TEST(what_grows_from_nothing_counts_as_it_is),
                TEST(exact_readings_outlive_an_update_but_not_their_process),
                TEST(the_next_is_who_was_never_read_then_who_was_read_longest_ago),
                TEST(who_has_grown_much_is_read_again_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
