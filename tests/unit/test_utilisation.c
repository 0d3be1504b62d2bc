/* SPDX-License-Identifier: MIT */
/* How busy a socket is and how full its memory: two sockets, and a node with memory alone. */
#include "utilisation.h"

#include <errno.h>
#include <math.h>

#include "tree.h"

#define GIB_KIB 1048576

static struct tree tree;
static struct utilisation *machine;

static void cpu(unsigned int number, unsigned int node, const char *package)
{
        char path[128];

        snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/physical_package_id",
                 number);
        tree_write(&tree, path, package);
        snprintf(path, sizeof(path),
                 "devices/system/node/node%u/cpu%u/topology/physical_package_id", node, number);
        tree_write(&tree, path, package);
}

static void node(unsigned int number, unsigned int gib, unsigned int free_gib,
                 const char *distances)
{
        char path[128], text[256];

        snprintf(path, sizeof(path), "devices/system/node/node%u/meminfo", number);
        snprintf(text, sizeof(text), "Node %u MemTotal: %u kB\nNode %u MemFree: %u kB\n", number,
                 gib * GIB_KIB, number, free_gib * GIB_KIB);
        tree_write(&tree, path, text);
        snprintf(path, sizeof(path), "devices/system/node/node%u/distance", number);
        tree_write(&tree, path, distances);
}

static int setup(void **state)
{
        (void)state;
        tree_make(&tree);
        tree_write(&tree, "devices/system/cpu/online", "0-1,3\n");
        cpu(0, 0, "0\n");
        cpu(1, 0, "0\n");
        cpu(3, 1, "1\n");
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        utilisation_free(machine);
        machine = NULL;
        tree_remove(&tree, "");
        return 0;
}

static void cpus_of_a_socket_are_busy_together(void **state)
{
        (void)state;
        assert_int_equal(utilisation_new(&machine, tree.root), 0);
        assert_true(utilisation_cpu_percent(machine, 0, 1.5, 3) == 25);
        assert_true(utilisation_cpu_percent(machine, 1, 1.5, 3) == 50);
        assert_true(isnan(utilisation_cpu_percent(machine, 2, 1.5, 3)));
}

static void memory_without_cpus_is_the_nearest_socket_s(void **state)
{
        (void)state;
        node(0, 8, 6, "10 20 30\n");
        node(1, 8, 4, "20 10 15\n");
        node(2, 8, 8, "30 15 10\n");
        assert_int_equal(utilisation_new(&machine, tree.root), 0);
        assert_true(utilisation_memory_percent(machine, 0) == 25);
        assert_true(utilisation_memory_percent(machine, 1) == 25);
        assert_true(isnan(utilisation_memory_percent(machine, 2)));
        node(1, 8, 0, "20 10 15\n"); /* it is read anew each time */
        assert_true(utilisation_memory_percent(machine, 1) == 50);
}

static void without_nodes_memory_is_not_known(void **state)
{
        (void)state;
        tree_remove(&tree, "devices/system/node");
        assert_int_equal(utilisation_new(&machine, tree.root), 0);
        assert_true(isnan(utilisation_memory_percent(machine, 0)));
        assert_true(utilisation_cpu_percent(machine, 0, 1.5, 3) == 25);
}

static void a_list_that_is_none_is_refused(void **state)
{
        static const char *const bad[] = {"0-\n", "3-1\n", "x\n", "0;1\n", "8192\n"};

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                tree_write(&tree, "devices/system/cpu/online", bad[i]);
                assert_int_equal(utilisation_new(&machine, tree.root), -EINVAL);
        }
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(cpus_of_a_socket_are_busy_together),
                TEST(memory_without_cpus_is_the_nearest_socket_s),
                TEST(without_nodes_memory_is_not_known),
                TEST(a_list_that_is_none_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
