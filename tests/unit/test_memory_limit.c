/* SPDX-License-Identifier: MIT */
/* What control groups leave a process of memory. */
#include "memory_limit.h"

#include <math.h>

#include "tree.h"

#define SECOND "30 23 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define FIRST                                               \
        "31 23 0:28 / /sys/cpu rw - cgroup cgroup rw,cpu\n" \
        "32 23 0:29 / /sys/memory rw - cgroup cgroup rw,memory\n"

static struct tree tree;

static int setup(void **state)
{
        (void)state;
        tree_make(&tree);
        tree_write(&tree, "proc/self/mountinfo", SECOND);
        tree_write(&tree, "proc/self/cgroup", "0::/a/b\n");
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        tree_remove(&tree, "");
        return 0;
}

static void group(const char *path, const char *max, const char *high, const char *current)
{
        char file[128];

        snprintf(file, sizeof(file), "sys/fs/cgroup%s/memory.max", path);
        tree_write(&tree, file, max);
        snprintf(file, sizeof(file), "sys/fs/cgroup%s/memory.high", path);
        tree_write(&tree, file, high);
        snprintf(file, sizeof(file), "sys/fs/cgroup%s/memory.current", path);
        tree_write(&tree, file, current);
}

static void without_limits_there_is_no_bound(void **state)
{
        (void)state;
        assert_true(isinf(memory_limit_room(tree.root))); /* no such files */
        group("/a", "max\n", "max\n", "1000\n");
        group("/a/b", "max\n", "max\n", "1000\n");
        assert_true(isinf(memory_limit_room(tree.root)));
        tree_remove(&tree, "proc/self/mountinfo");
        assert_true(isinf(memory_limit_room(tree.root)));
}

static void the_tightest_limit_up_to_the_root_counts(void **state)
{
        (void)state;
        group("/a", "9000\n", "max\n", "2000\n");
        group("/a/b", "max\n", "max\n", "1000\n");
        assert_true(memory_limit_room(tree.root) == 7000);
        group("/a/b", "5000\n", "max\n", "1000\n");
        assert_true(memory_limit_room(tree.root) == 4000);
        group("/a/b", "5000\n", "3000\n", "1000\n");
        assert_true(memory_limit_room(tree.root) == 2000);
        group("", "2500\n", "max\n", "2000\n"); /* the root of a container's namespace */
        assert_true(memory_limit_room(tree.root) == 500);
}

static void a_group_beside_ours_does_not_count(void **state)
{
        (void)state;
        group("/a/b", "max\n", "max\n", "1000\n");
        group("/a/b/c", "10\n", "max\n", "5\n");
        group("/c", "10\n", "max\n", "5\n");
        assert_true(isinf(memory_limit_room(tree.root)));
        group("/a", "10\n", "max\n", "5\n"); /* where another part of the tree is mounted */
        tree_write(&tree, "proc/self/cgroup", "0::/../other\n");
        assert_true(isinf(memory_limit_room(tree.root)));
}

static void page_cache_that_is_not_in_use_can_be_had(void **state)
{
        (void)state;
        group("/a", "9000\n", "max\n", "8000\n");
        tree_write(&tree, "sys/fs/cgroup/a/memory.stat",
                   "anon 3000\ninactive_file 4000\nactive_file 1000\n");
        assert_true(memory_limit_room(tree.root) == 5000);
}

static void groups_of_the_first_version_have_limits_too(void **state)
{
        (void)state;
        tree_write(&tree, "proc/self/mountinfo", FIRST);
        tree_write(&tree, "proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/a/b\n0::/\n");
        tree_write(&tree, "sys/memory/a/memory.limit_in_bytes", "9000\n");
        tree_write(&tree, "sys/memory/a/memory.usage_in_bytes", "2000\n");
        tree_write(&tree, "sys/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
        assert_true(memory_limit_room(tree.root) == 7500);
        tree_write(&tree, "sys/cpu/x/memory.limit_in_bytes", "9\n");
        tree_write(&tree, "sys/cpu/x/memory.usage_in_bytes", "1\n");
        assert_true(memory_limit_room(tree.root) == 7500);
}

/* As containers see it without a namespace of their own. */
static void a_part_of_the_tree_may_be_mounted(void **state)
{
        (void)state;
        tree_write(&tree, "proc/self/mountinfo",
                   "30 23 0:27 /a /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
        group("", "9000\n", "max\n", "2000\n");
        group("/b", "4000\n", "max\n", "2000\n");
        assert_true(memory_limit_room(tree.root) == 2000);
        tree_write(&tree, "proc/self/cgroup", "0::/a\n");
        assert_true(memory_limit_room(tree.root) == 7000);
        tree_write(&tree, "proc/self/cgroup", "0::/ab/b\n");
        assert_true(isinf(memory_limit_room(tree.root)));
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(without_limits_there_is_no_bound),
                TEST(the_tightest_limit_up_to_the_root_counts),
                TEST(a_group_beside_ours_does_not_count),
                TEST(page_cache_that_is_not_in_use_can_be_had),
                TEST(groups_of_the_first_version_have_limits_too),
                TEST(a_part_of_the_tree_may_be_mounted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
