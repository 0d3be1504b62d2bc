/* SPDX-License-Identifier: MIT */
/* Which dram domain measures the memory of a node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "memory_nodes.h"

#define MAX_ACCOUNTS 8

static struct account all[MAX_ACCOUNTS];
static struct accounts accounts = {.all = all};
static struct topology topology;
static struct memory_nodes nodes;
static uint64_t amounts[MAX_ACCOUNTS];

/* Node 2 is nearer to 1 than to 0; of node 9 nothing is known. */
static int distance(int from, int to)
{
        if (from == 9 || to == 9)
                return 0;
        if (from == to)
                return 10;
        return from + to == 3 ? 14 : 21;
}

static void slot(int node, int socket, int die)
{
        topology.slots[topology.nslots++] = (struct topology_slot){node, socket, die};
}

static void account(enum energy_kind kind, int socket, int die)
{
        all[accounts.n++] = (struct account){.kind = kind,
                                             .slots = topology_slots_of(&topology, socket, die)};
}

static int setup(void **state)
{
        (void)state;
        memset(&topology, 0, sizeof(topology));
        memset(amounts, 0, sizeof(amounts));
        accounts.n = 0;
        return 0;
}

static void a_node_is_behind_its_socket_and_one_without_cpus_behind_the_nearest(void **state)
{
        (void)state;
        slot(0, 0, 0);
        slot(1, 1, 0);
        account(ENERGY_PACKAGE, 0, -1);
        account(ENERGY_DRAM, 0, -1);
        account(ENERGY_PACKAGE, 1, -1);
        account(ENERGY_DRAM, 1, -1);
        memory_nodes_init(&nodes, 10, &accounts, &topology, distance);
        assert_true(memory_nodes_add(&nodes, 0, 100, amounts));
        assert_true(memory_nodes_add(&nodes, 1, 20, amounts));
        assert_true(memory_nodes_add(&nodes, 2, 3, amounts));
        assert_false(memory_nodes_add(&nodes, 9, 1000, amounts));
        assert_int_equal(amounts[1], 100);
        assert_int_equal(amounts[3], 23);
        assert_int_equal(amounts[0] + amounts[2], 0);
}

static void dies_with_nodes_of_their_own_have_their_own_memory(void **state)
{
        (void)state;
        slot(0, 0, 0);
        slot(1, 0, 1);
        account(ENERGY_DRAM, 0, 0);
        account(ENERGY_DRAM, 0, 1);
        memory_nodes_init(&nodes, 2, &accounts, &topology, distance);
        assert_true(memory_nodes_add(&nodes, 0, 7, amounts));
        assert_true(memory_nodes_add(&nodes, 1, 11, amounts));
        assert_int_equal(amounts[0], 7);
        assert_int_equal(amounts[1], 11);
}

static void several_nodes_of_one_socket_are_behind_its_domain(void **state)
{
        (void)state;
        slot(0, 0, 0);
        slot(1, 0, 0);
        slot(3, 1, 0);
        account(ENERGY_DRAM, 0, -1);
        account(ENERGY_DRAM, 1, -1);
        memory_nodes_init(&nodes, 4, &accounts, &topology, distance);
        assert_true(memory_nodes_add(&nodes, 0, 7, amounts));
        assert_true(memory_nodes_add(&nodes, 1, 11, amounts));
        assert_true(memory_nodes_add(&nodes, 3, 100, amounts));
        assert_true(memory_nodes_add(&nodes, 3, 0, amounts)); /* a node without memory */
        assert_int_equal(amounts[0], 18);
        assert_int_equal(amounts[1], 100);
}

static void dies_of_one_node_share_its_memory_and_nothing_is_lost(void **state)
{
        (void)state;
        slot(0, 0, 0);
        slot(0, 0, 1);
        slot(0, 0, 2);
        slot(1, 1, 0);
        account(ENERGY_DRAM, 0, 0);
        account(ENERGY_DRAM, 0, 1);
        account(ENERGY_DRAM, 0, 2);
        memory_nodes_init(&nodes, 2, &accounts, &topology, distance);
        assert_true(memory_nodes_add(&nodes, 0, 101, amounts));
        assert_int_equal(amounts[0] + amounts[1] + amounts[2], 101);
        for (int i = 0; i < 3; i++)
                assert_in_range(amounts[i], 33, 34);
        /* the other socket has no domain: its memory is nobody's */
        assert_false(memory_nodes_add(&nodes, 1, 50, amounts));
        assert_int_equal(amounts[0] + amounts[1] + amounts[2], 101);
}

static void without_numa_all_memory_is_behind_all_domains(void **state)
{
        (void)state;
        slot(-1, 0, 0);
        account(ENERGY_DRAM, 0, -1);
        memory_nodes_init(&nodes, 1, &accounts, &topology, distance);
        assert_true(memory_nodes_add(&nodes, 0, 5, amounts));
        assert_int_equal(amounts[0], 5);
}

/* Node 0: 3/4 of 8 GiB in use; 1: 1/4 of 4 GiB; 2: not told */
static long long node_size(int node, long long *available)
{
        static const long long gib[] = {8, 4}, available_gib[] = {2, 3};

        if (node > 1)
                return -1;
        *available = available_gib[node] << 30;
        return gib[node] << 30;
}

static void memory_in_use_at_a_socket_is_that_of_all_its_nodes(void **state)
{
        (void)state;
        slot(0, 5, 0);
        slot(0, 5, 1); /* a node of two dies is one node */
        slot(1, 5, 1);
        slot(1, 6, 0);
        slot(2, 7, 0);
        slot(-1, 8, 0);
        topology.max_node = 2;
        assert_true(fabs(memory_nodes_percent(&topology, 5, node_size) - 100 * 7.0 / 12) < 1e-9);
        assert_true(fabs(memory_nodes_percent(&topology, 6, node_size) - 25) < 1e-9);
        assert_true(isnan(memory_nodes_percent(&topology, 7, node_size)));
        assert_true(isnan(memory_nodes_percent(&topology, 8, node_size)));
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup(claim, setup)
        const struct CMUnitTest tests[] = {
                TEST(a_node_is_behind_its_socket_and_one_without_cpus_behind_the_nearest),
                TEST(dies_with_nodes_of_their_own_have_their_own_memory),
                TEST(several_nodes_of_one_socket_are_behind_its_domain),
                TEST(dies_of_one_node_share_its_memory_and_nothing_is_lost),
                TEST(without_numa_all_memory_is_behind_all_domains),
                TEST(memory_in_use_at_a_socket_is_that_of_all_its_nodes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
