/* SPDX-License-Identifier: MIT */
/* What the probe can know, by types of kernels that are not this one, and by a /proc of our own. */
#include <bpf/btf.h>
#include <errno.h>

#include "probe_kernel.h"
#include "tree.h"

/* A kernel's types: sched_entity, with a pointer to its cfs_rq or without. */
static struct btf *types(bool group_scheduling, bool irq_time)
{
        struct btf *btf = btf__new_empty();
        int u64_id, entity_id;

        assert_non_null(btf);
        u64_id = btf__add_int(btf, "u64", 8, 0);
        assert_true(u64_id > 0);
        entity_id = btf__add_struct(btf, "sched_entity", group_scheduling ? 16 : 8);
        assert_true(entity_id > 0);
        assert_int_equal(btf__add_field(btf, "exec_start", u64_id, 0, 0), 0);
        if (group_scheduling)
                assert_int_equal(btf__add_field(btf, "cfs_rq", u64_id, 64, 0), 0);
        if (irq_time)
                assert_true(btf__add_var(btf, "cpu_irqtime", BTF_VAR_GLOBAL_ALLOCATED, u64_id) > 0);
        return btf;
}

static void a_kernel_says_what_it_has(void **state)
{
        for (int with = 0; with < 4; with++) {
                bool group_scheduling = with & 1, irq_time = with & 2;
                struct btf *btf = types(group_scheduling, irq_time);
                struct probe_kernel k = probe_kernel_of(btf);

                assert_int_equal(k.has_clocks, group_scheduling);
                assert_int_equal(k.accounts_irq, irq_time);
                btf__free(btf);
        }
}

static void of_an_unknown_kernel_nothing_is_known(void **state)
{
        struct probe_kernel k = probe_kernel_of(NULL);

        assert_false(k.has_clocks);
        assert_false(k.accounts_irq);
}

static void runqueues_can_be_named_when_the_kernel_lists_them(void **state)
{
        static struct tree tree;

        tree_make(&tree);
        assert_true(probe_kernel_names_runqueues(tree.root)); /* hidden: loading tells */
        tree_write(&tree, "kallsyms", "");                    /* hidden, too, by systemd */
        assert_true(probe_kernel_names_runqueues(tree.root));
        tree_write(&tree, "kallsyms", "0000 T start_kernel\n0000 d runqueues_of_others\n");
        assert_false(probe_kernel_names_runqueues(tree.root));
        tree_write(&tree, "kallsyms", "0000 T start_kernel\n0000 d runqueues\n");
        assert_true(probe_kernel_names_runqueues(tree.root));
        tree_remove(&tree, "");
}

static void another_pid_namespace_is_refused(void **state)
{
        static struct tree tree;
        char why[512] = "";

        tree_make(&tree);
        assert_int_equal(probe_kernel_check_namespace(tree.root, why, sizeof(why)), 0);
        /* a file of this tree is not the initial namespace */
        tree_write(&tree, "self/ns/pid", "");
        assert_int_equal(probe_kernel_check_namespace(tree.root, why, sizeof(why)), -EOPNOTSUPP);
        assert_non_null(strstr(why, "pid namespace"));
        tree_remove(&tree, "");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_kernel_says_what_it_has),
                cmocka_unit_test(of_an_unknown_kernel_nothing_is_known),
                cmocka_unit_test(runqueues_can_be_named_when_the_kernel_lists_them),
                cmocka_unit_test(another_pid_namespace_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
