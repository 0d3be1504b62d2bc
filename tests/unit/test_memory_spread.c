/* SPDX-License-Identifier: MIT */
/*
 * Where private bytes are.  The lines are those that a kernel 6.18 shows for such mappings, with
 * other numbers and nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory_spread.h"

#define NNODES 4
#define KIB    UINT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

static struct memory_spread spread;
static uint64_t bytes[NNODES];

static int setup(void **state)
{
        (void)state;
        memory_spread_begin(&spread, NNODES);
        return 0;
}

static void divide(uint64_t small_bytes, uint64_t huge_bytes)
{
        const struct memory_private total = {.small_bytes = small_bytes, .huge_bytes = huge_bytes};

        memory_spread_divide(&spread, &total, bytes);
}

static void pages_are_counted_by_node(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f1c000 default anon=300 dirty=300 active=1 N0=100 N1=200 "
                                    "kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f2c000 bind:3 anon=100 dirty=100 N3=100 kernelpagesize_kB=4\n");
        divide(1600 * KIB, 0);
        assert_int_equal(bytes[0], 400 * KIB);
        assert_int_equal(bytes[1], 800 * KIB);
        assert_int_equal(bytes[2], 0);
        assert_int_equal(bytes[3], 400 * KIB);
}

/* The two files are not read at one instant. */
static void proportions_hold_when_the_process_has_grown_meanwhile(void **state)
{
        (void)state;
        memory_spread_line(&spread,
                           "7f1c000 default anon=4 dirty=4 N0=1 N1=3 kernelpagesize_kB=4\n");
        divide(400 * MIB, 0);
        assert_int_equal(bytes[0], 100 * MIB);
        assert_int_equal(bytes[1], 300 * MIB);
}

static void huge_pages_weigh_as_much_as_they_hold(void **state)
{
        (void)state;
        memory_spread_line(&spread,
                           "7f0000 default anon=25600 dirty=25600 N0=25600 kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f8000 default file=/anon_hugepage\\040(deleted) huge anon=512 "
                           "dirty=512 N1=512 kernelpagesize_kB=2048\n");
        divide(100 * MIB, 1 * GIB);
        assert_int_equal(bytes[0], 100 * MIB);
        assert_int_equal(bytes[1], 1 * GIB);
        setup(NULL);
        memory_spread_line(&spread, "7f8000 bind:2 file=/dev/hugepages/1G huge dirty=2 N2=2 "
                                    "kernelpagesize_kB=1048576\n");
        divide(0, 2 * GIB);
        assert_int_equal(bytes[2], 2 * GIB);
}

/* As DPDK and QEMU have it: there is no "anon=". */
static void huge_pages_of_a_shared_mapping_that_nobody_else_maps_are_its_own(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f0000 default anon=25600 N0=25600 kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f8000 default file=/dev/hugepages/guest huge dirty=512 N1=512 "
                           "kernelpagesize_kB=2048\n");
        divide(100 * MIB, 1 * GIB);
        assert_int_equal(bytes[0], 100 * MIB);
        assert_int_equal(bytes[1], 1 * GIB);
}

/* Page tables can be shared: then mapmax is missing, but smaps_rollup says that nothing is private.
 */
static void huge_pages_that_are_shared_draw_nothing_to_their_node(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f0000 default anon=2560 N0=2560 kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f8000 default file=/SYSV00000000\\040(deleted) huge dirty=512 "
                           "N1=512 kernelpagesize_kB=2048\n");
        divide(10 * MIB, 0);
        assert_int_equal(bytes[0], 10 * MIB);
        assert_int_equal(bytes[1], 0);
}

static void a_file_or_shared_memory_that_nobody_else_maps_is_its_own(void **state)
{
        (void)state;
        memory_spread_line(&spread,
                           "7f0000 default anon=256 dirty=256 N0=256 kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f1000 default file=/data mapped=512 N1=512 kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f2000 default file=/memfd:x\\040(deleted) dirty=1024 active=0 "
                           "N2=1024 kernelpagesize_kB=4\n");
        divide(7 * MIB, 0);
        assert_int_equal(bytes[0], 1 * MIB);
        assert_int_equal(bytes[1], 2 * MIB);
        assert_int_equal(bytes[2], 4 * MIB);
}

/* After a fork: what the child still shares is on node 0, and none of it is private. */
static void what_others_map_does_not_draw_to_its_node(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f0000 default anon=262144 dirty=262144 mapmax=2 N0=262144 "
                                    "kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7f8000 default anon=25600 dirty=25600 N1=25600 kernelpagesize_kB=4\n");
        memory_spread_line(&spread, "7f9000 default file=/usr/lib/libc.so.6 mapped=400 mapmax=80 "
                                    "N3=400 kernelpagesize_kB=4\n");
        divide(100 * MIB, 0);
        assert_int_equal(bytes[0], 0);
        assert_int_equal(bytes[1], 100 * MIB);
        assert_int_equal(bytes[3], 0);
        /* 50 MiB more are private: only that mapping can hold them */
        divide(150 * MIB, 0);
        assert_int_equal(bytes[0], 50 * MIB);
        assert_int_equal(bytes[1], 100 * MIB);
        assert_int_equal(bytes[3], 0);
}

static void of_a_file_that_many_map_the_process_owns_what_it_wrote_to(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f1000 default file=/usr/lib/x.so anon=10 dirty=10 mapped=100 "
                                    "mapmax=7 N0=100 kernelpagesize_kB=4\n");
        memory_spread_line(&spread, "7f2000 default anon=30 dirty=30 mapmax=2 N1=30 "
                                    "kernelpagesize_kB=4\n");
        divide(160 * KIB, 0);
        assert_int_equal(bytes[0], 40 * KIB);
        assert_int_equal(bytes[1], 120 * KIB);
}

static void what_is_no_line_adds_nothing(void **state)
{
        (void)state;
        memory_spread_line(&spread, "7f1c000 default anon=9 dirty=9 N4=9 kernelpagesize_kB=4\n");
        memory_spread_line(&spread, "7f1c000 default anon=9 dirty=9 N18446744073709551615=9 "
                                    "kernelpagesize_kB=4\n");
        memory_spread_line(&spread,
                           "7fc744000000 default file=/anon_hugepage\\040(deleted) huge\n");
        memory_spread_line(&spread, "garbage anon= N=N1= Nx=3 kernelpagesize_kB=4\n");
        memory_spread_line(&spread, "N0=5\n");
        memory_spread_line(&spread, "");
        memory_spread_line(&spread, "7f default anon=9 N0=18446744073709551615 "
                                    "kernelpagesize_kB=18446744073709551615\n");
        divide(1 * GIB, 1 * GIB);
        for (unsigned int node = 0; node < NNODES; node++)
                assert_int_equal(bytes[node], 0);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup(claim, setup)
        const struct CMUnitTest tests[] = {
                TEST(pages_are_counted_by_node),
                TEST(proportions_hold_when_the_process_has_grown_meanwhile),
                TEST(huge_pages_weigh_as_much_as_they_hold),
                TEST(huge_pages_of_a_shared_mapping_that_nobody_else_maps_are_its_own),
                TEST(huge_pages_that_are_shared_draw_nothing_to_their_node),
                TEST(a_file_or_shared_memory_that_nobody_else_maps_is_its_own),
                TEST(what_others_map_does_not_draw_to_its_node),
                TEST(of_a_file_that_many_map_the_process_owns_what_it_wrote_to),
                TEST(what_is_no_line_adds_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
