/* SPDX-License-Identifier: MIT */
/* Memory as a load: whose it is, how it is taken, and when it is not. */
#include "calibration_memory.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "tree.h"

#define MIB         ((size_t)1 << 20)
#define GIB_KIB     (1024.0 * 1024)
#define PIECE_PAGES (CALIBRATION_MEMORY_PIECE / (size_t)sysconf(_SC_PAGESIZE))

static struct tree tree;
static struct calibration_memory *memory;

__attribute__((format(printf, 2, 3))) static void say(const char *path, const char *format, ...)
{
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        tree_write(&tree, path, text);
}

static void available(unsigned int mib)
{
        say("proc/meminfo", "MemTotal: 8388608 kB\nMemFree: 2097152 kB\nMemAvailable: %u kB\n",
            mib * 1024);
}

static void cached_node(unsigned int number, double gib, double free_gib, double cache_gib,
                        const char *distances)
{
        char path[64];

        snprintf(path, sizeof(path), "sys/devices/system/node/node%u/meminfo", number);
        say(path,
            "Node %u MemTotal: %.0f kB\nNode %u MemFree: %.0f kB\nNode %u Active: 7 kB\n"
            "Node %u Active(file): %.0f kB\nNode %u Inactive(file): 0 kB\n",
            number, gib * GIB_KIB, number, free_gib * GIB_KIB, number, number, cache_gib * GIB_KIB,
            number);
        snprintf(path, sizeof(path), "sys/devices/system/node/node%u/distance", number);
        say(path, "%s\n", distances);
}

static void node(unsigned int number, double gib, double free_gib, const char *distances)
{
        cached_node(number, gib, free_gib, 0, distances);
}

static void cpu(unsigned int number, unsigned int at, int package)
{
        char path[128];

        snprintf(path, sizeof(path),
                 "sys/devices/system/node/node%u/cpu%u/topology/physical_package_id", at, number);
        say(path, "%d\n", package);
}

static int setup(void **state)
{
        (void)state;
        tree_make(&tree);
        available(2048);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        calibration_memory_free(memory);
        memory = NULL;
        tree_remove(&tree, "");
        return 0;
}

static void begin(void)
{
        assert_int_equal(calibration_memory_new(&memory, tree.root), 0);
}

static bool uses(int package, double gib)
{
        double found = calibration_memory_used_gib(memory, package);

        if (fabs(found - gib) < 1e-9)
                return true;
        print_message("package %d: %g GiB, expected %g\n", package, found, gib);
        return false;
}

static size_t resident_pages(void)
{
        FILE *f = fopen("/proc/self/statm", "re");
        size_t pages = 0;

        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
        fclose(f);
        return pages;
}

static void a_package_has_the_memory_of_its_nodes(void **state)
{
        (void)state;
        node(0, 8, 6, "10 20 30 30");
        node(1, 8, 5, "20 10 30 30");
        node(2, 4, 3.5, "30 30 10 20");
        node(4, 0, 0, "30 30 20 10"); /* no memory; and there is no node 3 */
        cpu(0, 0, 0);
        cpu(1, 1, 0);
        cpu(2, 2, 5);
        cpu(3, 4, 7);
        begin();
        assert_true(uses(0, 2 + 3));
        assert_true(uses(5, 0.5));
        assert_true(isnan(calibration_memory_used_gib(memory, 7)));
        assert_true(isnan(calibration_memory_used_gib(memory, 1)));
        node(1, 8, 1, "20 10 30 30"); /* it is read anew each time */
        assert_true(uses(0, 2 + 7));
}

static void a_node_without_cpus_is_behind_the_nearest_with_some(void **state)
{
        (void)state;
        node(0, 8, 7, "10 17 21");
        node(1, 8, 6, "17 10 14");
        node(2, 8, 5, "21 14 10");
        cpu(0, 0, 0);
        cpu(1, 2, 1);
        begin();
        assert_true(uses(0, 1));
        assert_true(uses(1, 3 + 2));
}

static void packages_of_one_node_share_its_memory(void **state)
{
        (void)state;
        node(0, 8, 6, "10");
        cpu(0, 0, 0);
        cpu(1, 0, 1);
        begin();
        assert_true(uses(0, 1));
        assert_true(uses(1, 1));
}

static void without_nodes_it_is_all_of_the_machine_s(void **state)
{
        (void)state;
        begin();
        assert_true(uses(0, 6));
}

/* Between two pieces signals and the daemon are listened to. */
static void memory_is_taken_piece_by_piece(void **state)
{
        size_t most = 2 * CALIBRATION_MEMORY_PIECE + 3 * MIB, before;

        (void)state;
        begin();
        assert_int_equal(calibration_memory_most(memory), 1024 * MIB); /* half */
        before = resident_pages();
        assert_int_equal(calibration_memory_grow(memory, 0), 0);
        assert_int_equal(calibration_memory_grow(memory, most), 1);
        assert_in_range(resident_pages() - before, PIECE_PAGES * 9 / 10, PIECE_PAGES * 11 / 10);
        assert_int_equal(calibration_memory_grow(memory, most), 1);
        assert_int_equal(calibration_memory_grow(memory, most), 0);
        assert_in_range(resident_pages() - before, PIECE_PAGES * 2, PIECE_PAGES * 22 / 10);
        assert_int_equal(calibration_memory_grow(memory, most), 0);
        calibration_memory_free(memory);
        memory = NULL;
        assert_true(resident_pages() < before + PIECE_PAGES / 10);
}

static void nothing_is_taken_that_others_need_by_now(void **state)
{
        size_t before;

        (void)state;
        begin();
        assert_int_equal(calibration_memory_grow(memory, 1024 * MIB), 1);
        assert_int_equal(calibration_memory_check(memory), 0);
        before = resident_pages();
        available(512 + 63); /* a quarter, and not quite a piece */
        assert_int_equal(calibration_memory_check(memory), 0);
        assert_int_equal(calibration_memory_grow(memory, 1024 * MIB), -ENOMEM);
        assert_true(resident_pages() < before + PIECE_PAGES / 10);
        available(511);
        assert_int_equal(calibration_memory_check(memory), -ENOMEM);
        available(2048); /* and there it is again */
        assert_int_equal(calibration_memory_grow(memory, 1024 * MIB), 1);
}

/* Each gives the same: half of what the least has free, page cache not included. */
static void the_node_with_the_least_free_memory_says_how_much(void **state)
{
        (void)state;
        node(0, 8, 6, "10 20 20");
        cached_node(1, 8, 0.25, 7, "20 10 20");
        node(2, 0, 0, "20 20 10"); /* has none to give */
        begin();
        assert_int_equal(calibration_memory_most(memory), 256 * MIB);
}

static void a_node_is_not_emptied(void **state)
{
        (void)state;
        node(0, 8, 6, "10 20");
        cached_node(1, 8, 2, 2, "20 10");
        begin();
        assert_int_equal(calibration_memory_check(memory), 0);
        cached_node(1, 8, 0, 1, "20 10"); /* a quarter, and all of it page cache */
        assert_int_equal(calibration_memory_check(memory), 0);
        assert_int_equal(calibration_memory_grow(memory, 64 * MIB), -ENOMEM);
        cached_node(1, 8, 0, 0.99, "20 10");
        assert_int_equal(calibration_memory_check(memory), -ENOMEM);
}

static void a_node_that_is_not_allowed_is_left_alone(void **state)
{
        (void)state;
        node(0, 8, 6, "10 20 20 20");
        node(1, 8, 0.25, "20 10 20 20");
        node(2, 8, 6, "20 20 10 20");
        node(3, 8, 6, "20 20 20 10");
        for (unsigned int i = 0; i < 4; i++)
                cpu(i, i, (int)i);
        say("proc/self/status", "Mems_allowed:\t0000000d\nMems_allowed_list:\t0,2-3\n");
        begin();
        assert_int_equal(calibration_memory_most(memory), 1024 * MIB);
        assert_true(uses(0, 2));
        assert_true(isnan(calibration_memory_used_gib(memory, 1)));
        assert_true(uses(2, 2));
        assert_true(uses(3, 2));
        calibration_memory_free(memory);
        memory = NULL;
        say("proc/self/status", "Mems_allowed_list:\t4\n"); /* and that has none */
        assert_int_equal(calibration_memory_new(&memory, tree.root), -ENOMEM);
}

static void limits_of_control_groups_are_kept(void **state)
{
        (void)state;
        say("proc/self/mountinfo", "30 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        say("proc/self/cgroup", "0::/a\n");
        say("sys/fs/cgroup/a/memory.max", "%zu\n", 1000 * MIB);
        say("sys/fs/cgroup/a/memory.current", "%zu\n", 200 * MIB);
        begin();
        assert_int_equal(calibration_memory_most(memory), 400 * MIB);
        assert_int_equal(calibration_memory_check(memory), 0);
        say("sys/fs/cgroup/a/memory.current", "%zu\n", 801 * MIB); /* a quarter is 200 */
        assert_int_equal(calibration_memory_check(memory), -ENOMEM);
}

static void what_is_not_told_is_not_taken(void **state)
{
        (void)state;
        say("proc/meminfo", "MemTotal: 8388608 kB\n");
        assert_int_equal(calibration_memory_new(&memory, tree.root), -ENOMEM);
        assert_null(memory);
}

/* The kernel's own word for it, where it knows nodes at all: of those named it takes what there is.
 */
static void memory_is_spread_over_all_nodes_alike(void **state)
{
        bool interleaved = false;
        char line[512];
        FILE *f;

        (void)state;
        node(0, 8, 6, "10 20");
        node(1, 8, 5, "20 10");
        cpu(0, 0, 0);
        cpu(1, 1, 1);
        f = fopen("/proc/self/numa_maps", "re");
        if (!f)
                skip();
        begin();
        assert_int_equal(calibration_memory_grow(memory, 4 * MIB), 0);
        while (fgets(line, sizeof(line), f))
                interleaved |= strstr(line, " interleave:0") && strstr(line, " anon=");
        fclose(f);
        assert_true(interleaved);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(a_package_has_the_memory_of_its_nodes),
                TEST(a_node_without_cpus_is_behind_the_nearest_with_some),
                TEST(packages_of_one_node_share_its_memory),
                TEST(without_nodes_it_is_all_of_the_machine_s),
                TEST(memory_is_taken_piece_by_piece),
                TEST(nothing_is_taken_that_others_need_by_now),
                TEST(the_node_with_the_least_free_memory_says_how_much),
                TEST(a_node_is_not_emptied),
                TEST(a_node_that_is_not_allowed_is_left_alone),
                TEST(limits_of_control_groups_are_kept),
                TEST(what_is_not_told_is_not_taken),
                TEST(memory_is_spread_over_all_nodes_alike),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
