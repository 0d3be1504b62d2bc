/* SPDX-License-Identifier: MIT */
#include "topology.h"
#include "tree.h"

#define CPU  "devices/system/cpu"
#define NODE "devices/system/node"

static struct tree tree;

static int setup(void **state)
{
        tree_make(&tree);
        return 0;
}

static int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

/* Write a file of the tree whose path has a number in it. */
static void put(const char *format, int number, const char *text)
{
        char path[128];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(path, sizeof(path), format, number);
#pragma GCC diagnostic pop
        tree_write(&tree, path, text);
}

static void put_id(const char *format, int number, int id)
{
        char text[32];

        snprintf(text, sizeof(text), "%d\n", id);
        put(format, number, text);
}

static void put_cpu(int cpu, int socket, int die)
{
        put_id(CPU "/cpu%d/topology/physical_package_id", cpu, socket);
        put_id(CPU "/cpu%d/topology/die_id", cpu, die);
}

static void put_lists(const char *possible, const char *online)
{
        tree_write(&tree, CPU "/possible", possible);
        tree_write(&tree, CPU "/online", online);
        /* neighbours of the CPU directories on a real machine */
        tree_write(&tree, CPU "/cpufreq/boost", "1\n");
        tree_write(&tree, CPU "/cpuidle/current_driver", "none\n");
}

static void put_node(int node, const char *cpulist)
{
        put(NODE "/node%d/cpulist", node, cpulist);
}

static void assert_slot(const struct topology *t, unsigned int slot, int socket, int die, int node)
{
        assert_in_range(slot, 0, t->nslots - 1);
        assert_int_equal(t->slots[slot].socket, socket);
        assert_int_equal(t->slots[slot].die, die);
        assert_int_equal(t->slots[slot].node, node);
}

static void one_socket_is_one_slot(void **state)
{
        struct topology t;

        for (int cpu = 0; cpu < 4; cpu++)
                put_cpu(cpu, 0, 0);
        put_lists("0-3\n", "0-3\n");
        put_node(0, "0-3\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.ncpus, 4);
        assert_int_equal(t.nsockets, 1);
        assert_int_equal(t.nslots, 1);
        assert_int_equal(t.max_node, 0);
        for (int cpu = 0; cpu < 4; cpu++) {
                assert_true(t.cpus[cpu].online);
                assert_int_equal(t.cpus[cpu].slot, 0);
        }
        topology_deinit(&t);
}

static void without_a_node_directory_the_node_is_0(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_cpu(1, 1, 0);
        put_lists("0-1\n", "0-1\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nslots, 2);
        assert_slot(&t, 0, 0, 0, 0);
        assert_slot(&t, 1, 1, 0, 0);
        assert_int_equal(t.max_node, 0);
        topology_deinit(&t);
}

/* CPUs go round the sockets, as firmware often numbers them; each socket is two nodes. */
static void several_nodes_of_a_socket_are_slots_of_it(void **state)
{
        struct topology t;

        for (int cpu = 0; cpu < 8; cpu++)
                put_cpu(cpu, cpu % 2, 0);
        put_lists("0-7\n", "0-7\n");
        put_node(0, "0,4\n");
        put_node(1, "2,6\n");
        put_node(2, "1,5\n");
        put_node(3, "3,7\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nsockets, 2);
        assert_int_equal(t.nslots, 4);
        assert_slot(&t, 0, 0, 0, 0);
        assert_slot(&t, 1, 0, 0, 1);
        assert_slot(&t, 2, 1, 0, 2);
        assert_slot(&t, 3, 1, 0, 3);
        assert_int_equal(t.cpus[6].slot, 1);
        assert_int_equal(t.cpus[3].slot, 3);
        assert_int_equal(topology_slots_of(&t, 0, -1), 0x3);
        assert_int_equal(topology_slots_of(&t, 1, -1), 0xc);
        assert_int_equal(topology_slots_of(&t, 1, 1), 0);
        assert_int_equal(topology_slots_of(&t, 2, -1), 0);
        topology_deinit(&t);
}

static void several_sockets_of_a_node_are_slots_of_it(void **state)
{
        struct topology t;

        put_cpu(0, 3, 0);
        put_cpu(1, 1, 0);
        put_lists("0-1\n", "0-1\n");
        put_node(0, "0-1\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nslots, 2);
        assert_slot(&t, 0, 1, 0, 0);
        assert_slot(&t, 1, 3, 0, 0);
        assert_int_equal(t.sockets[0], 1);
        assert_int_equal(t.sockets[1], 3);
        assert_int_equal(topology_socket_index(&t, 3), 1);
        assert_int_equal(topology_socket_index(&t, 0), -1);
        topology_deinit(&t);
}

static void dies_of_a_socket_are_slots_of_it(void **state)
{
        struct topology t;

        for (int cpu = 0; cpu < 4; cpu++)
                put_cpu(cpu, 0, 3 - cpu);
        put_lists("0-3\n", "0-3\n");
        put_node(0, "0-3\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nslots, 4);
        for (int die = 0; die < 4; die++) {
                assert_slot(&t, (unsigned int)die, 0, die, 0);
                assert_int_equal(topology_slots_of(&t, 0, die), 1 << die);
                assert_int_equal(t.cpus[3 - die].slot, die);
        }
        assert_int_equal(topology_slots_of(&t, 0, -1), 0xf);
        topology_deinit(&t);
}

static void nodes_without_cpus_count_but_have_no_slot(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_lists("0\n", "0\n");
        put_node(0, "0\n");
        put_node(4, "\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.max_node, 4);
        assert_int_equal(t.nslots, 1);
        topology_deinit(&t);
}

static void holes_in_cpu_numbers_stay_holes(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_cpu(9, 1, 0);
        put_lists("0-11\n", "0,9\n");
        put_node(0, "0\n");
        put_node(1, "9\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.ncpus, 12);
        assert_int_equal(t.cpus[9].slot, 1);
        for (int cpu = 1; cpu < 12; cpu++) {
                if (cpu == 9)
                        continue;
                assert_false(t.cpus[cpu].online);
                assert_int_equal(t.cpus[cpu].slot, TOPOLOGY_NO_SLOT);
                assert_int_equal(t.cpus[cpu].socket, -1);
        }
        topology_deinit(&t);
}

static void a_cpu_gets_its_slot_when_it_comes_online_and_keeps_it(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_cpu(2, 2, 0);
        tree_mkdir(&tree, CPU "/cpu1");
        put_lists("0-2\n", "0,2\n");
        put_node(0, "0\n");
        put_node(1, "2\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.cpus[1].slot, TOPOLOGY_NO_SLOT);
        assert_int_equal(topology_refresh(&t, tree.root), 0);

        /* its slot stands between the two that there are, and is numbered after them */
        put_cpu(1, 1, 0);
        put_node(2, "1\n");
        tree_write(&tree, CPU "/online", "0-2\n");
        assert_int_equal(topology_refresh(&t, tree.root), 1);
        assert_int_equal(t.cpus[1].slot, 2);
        assert_int_equal(t.cpus[2].slot, 1);
        assert_slot(&t, 2, 1, 0, 2);
        assert_int_equal(t.nsockets, 3);
        assert_int_equal(t.sockets[1], 1);
        assert_int_equal(t.max_node, 2);
        assert_int_equal(topology_refresh(&t, tree.root), 0);

        tree_write(&tree, CPU "/online", "0,2\n");
        tree_remove(&tree, CPU "/cpu1/topology");
        put_node(2, "\n");
        assert_int_equal(topology_refresh(&t, tree.root), 1);
        assert_false(t.cpus[1].online);
        assert_int_equal(t.cpus[1].slot, 2);
        topology_deinit(&t);
}

static void a_socket_that_firmware_does_not_tell_is_0(void **state)
{
        struct topology t;

        put_cpu(0, -1, -1);
        /* nothing at all for this one */
        tree_mkdir(&tree, CPU "/cpu1");
        put_lists("0-1\n", "0-1\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nsockets, 1);
        assert_int_equal(t.sockets[0], 0);
        assert_int_equal(t.nslots, 1);
        assert_slot(&t, 0, 0, 0, 0);
        assert_int_equal(t.cpus[1].slot, 0);
        topology_deinit(&t);
}

static void a_node_without_a_list_is_found_by_the_cpus_link(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_cpu(1, 0, 0);
        put_lists("0-1\n", "0-1\n");
        put_node(0, "0\n");
        tree_mkdir(&tree, NODE "/node1");
        tree_mkdir(&tree, CPU "/cpu1/node1");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.cpus[1].node, 1);
        assert_int_equal(t.nslots, 2);
        topology_deinit(&t);
}

static void a_nodes_list_goes_before_the_cpus_link(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_lists("0\n", "0\n");
        put_node(0, "\n");
        put_node(1, "0\n");
        tree_mkdir(&tree, CPU "/cpu0/node0");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.cpus[0].node, 1);
        topology_deinit(&t);
}

static void a_cpu_that_no_node_claims_has_no_node(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_lists("0\n", "0\n");
        put_node(0, "\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.cpus[0].node, -1);
        assert_slot(&t, 0, 0, 0, -1);
        topology_deinit(&t);
}

static void without_the_lists_each_cpu_tells_for_itself(void **state)
{
        struct topology t;

        for (int cpu = 0; cpu < 3; cpu++)
                put_cpu(cpu, 0, 0);
        put(CPU "/cpu%d/online", 1, "0\n");
        put(CPU "/cpu%d/online", 2, "1\n");
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.ncpus, 3);
        assert_true(t.cpus[0].online);
        assert_false(t.cpus[1].online);
        assert_true(t.cpus[2].online);
        topology_deinit(&t);
}

static void no_cpu_directory_is_enoent(void **state)
{
        struct topology t;

        assert_int_equal(topology_init(&t, tree_path(&tree, "nowhere")), -ENOENT);
        assert_int_equal(topology_init(&t, tree.root), -ENOENT);
        put_lists("0-3\n", "0-3\n");
        assert_int_equal(topology_init(&t, tree.root), -ENOENT);
        assert_null(t.cpus);
}

static void garbage_is_an_error(void **state)
{
        static const char *const ids[] = {"abc\n", "", "1x\n", "99999999999\n", " 1\n", "-\n"};
        static const char *const lists[] = {"0-\n", "1-0\n", "0-4000000000\n", "0,,1\n", "0,\n",
                                            "x\n",  "-1\n",  "0-1:2\n",        "0\n1\n", "0 1\n",
                                            "2\n",  ",0\n"};
        struct topology t;

        put_cpu(0, 0, 0);
        put_cpu(1, 0, 0);
        for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
                put_lists("0-1\n", "0-1\n");
                put(CPU "/cpu%d/topology/physical_package_id", 1, ids[i]);
                assert_int_equal(topology_init(&t, tree.root), -EBADMSG);
                put_id(CPU "/cpu%d/topology/physical_package_id", 1, 0);
                put(CPU "/cpu%d/topology/die_id", 1, ids[i]);
                assert_int_equal(topology_init(&t, tree.root), -EBADMSG);
                put_id(CPU "/cpu%d/topology/die_id", 1, 0);
        }
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
                put_lists("0-1\n", lists[i]);
                assert_int_equal(topology_init(&t, tree.root), -EBADMSG);
                put_lists("0-1\n", "0-1\n");
                put_node(0, lists[i]);
                assert_int_equal(topology_init(&t, tree.root), -EBADMSG);
                put_node(0, "0-1\n");
        }
        /* and all was well but for the garbage */
        assert_int_equal(topology_init(&t, tree.root), 0);
        topology_deinit(&t);
}

static void a_nul_byte_is_garbage(void **state)
{
        struct topology t;

        put_cpu(0, 0, 0);
        put_lists("0\n", "0\n");
        tree_write_bytes(&tree, CPU "/online", "0\0\n", 3);
        assert_int_equal(topology_init(&t, tree.root), -EBADMSG);
}

static void too_many_sockets_or_slots_are_told(void **state)
{
        struct topology t;

        for (int cpu = 0; cpu < TOPOLOGY_MAX_SOCKETS; cpu++)
                put_cpu(cpu, cpu, 0);
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.nsockets, TOPOLOGY_MAX_SOCKETS);
        topology_deinit(&t);

        put_cpu(TOPOLOGY_MAX_SOCKETS, TOPOLOGY_MAX_SOCKETS, 0);
        assert_int_equal(topology_init(&t, tree.root), -E2BIG);

        for (int cpu = 0; cpu < TOPOLOGY_MAX_SLOTS; cpu++)
                put_cpu(cpu, 0, cpu);
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(topology_slots_of(&t, 0, -1), UINT64_MAX);
        topology_deinit(&t);

        put_cpu(TOPOLOGY_MAX_SLOTS, 0, TOPOLOGY_MAX_SLOTS);
        assert_int_equal(topology_init(&t, tree.root), -E2BIG);
}

static void a_long_cpu_list_is_read_whole(void **state)
{
        struct topology t;
        static char list[64 * 1024];
        size_t used = 0;

        /* every other one of 8192 CPUs, the kernel's limit, one by one */
        for (int cpu = 0; cpu < 8192; cpu += 2)
                used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%d", used ? "," : "",
                                         cpu);
        put_cpu(0, 0, 0);
        put_lists("0-8191\n", list);
        assert_int_equal(topology_init(&t, tree.root), 0);
        assert_int_equal(t.ncpus, 8192);
        assert_true(t.cpus[8190].online);
        assert_false(t.cpus[8191].online);
        topology_deinit(&t);
}

static void this_machine_is_read(void **state)
{
        struct topology t;
        unsigned int online = 0;

        assert_int_equal(topology_init(&t, "/sys"), 0);
        for (unsigned int cpu = 0; cpu < t.ncpus; cpu++) {
                online += t.cpus[cpu].online;
                if (t.cpus[cpu].online)
                        assert_in_range(t.cpus[cpu].slot, 0, t.nslots - 1);
        }
        assert_int_equal(online, sysconf(_SC_NPROCESSORS_ONLN));
        topology_deinit(&t);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(one_socket_is_one_slot),
                TEST(without_a_node_directory_the_node_is_0),
                TEST(several_nodes_of_a_socket_are_slots_of_it),
                TEST(several_sockets_of_a_node_are_slots_of_it),
                TEST(dies_of_a_socket_are_slots_of_it),
                TEST(nodes_without_cpus_count_but_have_no_slot),
                TEST(holes_in_cpu_numbers_stay_holes),
                TEST(a_cpu_gets_its_slot_when_it_comes_online_and_keeps_it),
                TEST(a_socket_that_firmware_does_not_tell_is_0),
                TEST(a_node_without_a_list_is_found_by_the_cpus_link),
                TEST(a_nodes_list_goes_before_the_cpus_link),
                TEST(a_cpu_that_no_node_claims_has_no_node),
                TEST(without_the_lists_each_cpu_tells_for_itself),
                TEST(no_cpu_directory_is_enoent),
                TEST(garbage_is_an_error),
                TEST(a_nul_byte_is_garbage),
                TEST(too_many_sockets_or_slots_are_told),
                TEST(a_long_cpu_list_is_read_whole),
                TEST(this_machine_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
