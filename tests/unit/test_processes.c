/* SPDX-License-Identifier: MIT */
/*
 * The process table: descent, targets, entries, and memory that runs out.  Linked with
 * --wrap=malloc, calloc and reallocarray, so that the n-th allocation can be made to fail.
 * A long random walk against a second implementation is in test_processes_oracle.c.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "processes.h"
#include "target.h"

#define NSLOTS    2
#define NACCOUNTS 1

static struct processes ps;
static struct target targets[4];
static struct target *const t = &targets[0], *const u = &targets[1];

/* ---- memory that runs out ---- */

static int allocations_left = -1; /* then they fail; negative: never */

static bool refused(void)
{
        if (allocations_left < 0)
                return false;
        if (allocations_left == 0)
                return true;
        allocations_left--;
        return false;
}

/* the linker's names: NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
        return refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
        return refused() ? NULL : __real_reallocarray(old, n, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- what the tests say ---- */

static int setup(void **state)
{
        memset(targets, 0, sizeof(targets));
        return processes_init(&ps, NSLOTS, NACCOUNTS);
}

static int teardown(void **state)
{
        allocations_left = -1;
        processes_deinit(&ps);
        return 0;
}

static struct process *born(pid_t pid, struct process *parent)
{
        struct process *p = NULL;
        char comm[PROCESS_COMM_MAX];

        snprintf(comm, sizeof(comm), "p%d", pid);
        assert_int_equal(processes_birth(&ps, &p, pid, (uint64_t)pid * 1000, comm, false, parent),
                         0);
        return p;
}

static bool is_in(const struct process *p, const struct target *target)
{
        for (unsigned int i = 0; p->targets && i < p->targets->ntargets; i++)
                if (p->targets->targets[i] == target)
                        return true;
        return false;
}

/* Time of the present tick: of a target, or (NULL) of everybody. */
static uint64_t tick_ns(const struct target *target)
{
        uint64_t ns = 0;

        for (uint32_t i = 0; i < ps.nentries; i++) {
                const struct target_set *set = ps.entries[i].targets;
                bool counts = !target;

                for (unsigned int k = 0; set && k < set->ntargets; k++)
                        counts |= set->targets[k] == target;
                for (unsigned int slot = 0; counts && slot <= NSLOTS; slot++)
                        ns += processes_entry_ns(&ps, i)[slot];
        }
        return ns;
}

static void ran(struct process *p, unsigned int slot, int64_t ns)
{
        assert_int_equal(processes_ran(&ps, p, slot, ns), 0);
}

/* ---- descent ---- */

static void births_inherit_targets_however_deep(void **state)
{
        struct process *root = born(1, NULL), *p = root;

        assert_int_equal(processes_follow(&ps, root, t), 1);
        for (pid_t pid = 2; pid <= 3000; pid++)
                p = born(pid, p);
        assert_true(is_in(p, t));
        assert_int_equal(t->nprocesses, 3000);
        ran(p, 0, 5);
        assert_int_equal(tick_ns(t), 5);
}

static void orphans_stay_below_their_nearest_living_ancestor(void **state)
{
        struct process *a = born(1, NULL), *b = born(2, a), *c = born(3, b), *d = born(4, b),
                       *e = born(5, d);

        processes_death(&ps, b);
        assert_ptr_equal(c->parent, a);
        assert_ptr_equal(d->parent, a);
        assert_ptr_equal(e->parent, d);
        processes_death(&ps, d);
        assert_ptr_equal(e->parent, a);
        /* both are found from above, too */
        assert_int_equal(processes_follow(&ps, a, t), 3);
        assert_true(is_in(c, t) && is_in(e, t));
        processes_death(&ps, a);
        assert_null(c->parent);
        assert_null(e->parent);
        processes_bury(&ps);
        assert_int_equal(processes_follow(&ps, e, u), 1);
}

static void a_double_forked_daemon_is_in_the_target(void **state)
{
        struct process *init = born(1, NULL), *shell = born(10, init), *between, *server, *child;

        processes_follow(&ps, shell, t);
        between = born(11, shell);
        server = born(12, between);
        processes_death(&ps, between);
        processes_bury(&ps);
        assert_true(is_in(server, t));
        assert_ptr_equal(server->parent, shell);
        processes_death(&ps, shell);
        processes_bury(&ps);
        /* now below init, and still of the target, like what it makes */
        assert_ptr_equal(server->parent, init);
        child = born(13, server);
        assert_true(is_in(server, t) && is_in(child, t));
        assert_false(is_in(init, t));
        assert_int_equal(t->nprocesses, 2);
        assert_int_equal(t->max_processes, 3);
}

static void a_daemon_that_forked_before_is_found_below_its_shell(void **state)
{
        struct process *shell = born(10, NULL), *between = born(11, shell),
                       *server = born(12, between);

        processes_death(&ps, between);
        processes_bury(&ps);
        assert_int_equal(processes_follow(&ps, shell, t), 2);
        assert_true(is_in(server, t));
}

/* ---- targets ---- */

static void follow_takes_in_existing_descendants_and_not_siblings(void **state)
{
        struct process *top = born(1, NULL), *root = born(2, top), *sibling = born(3, top),
                       *child = born(4, root), *second = born(5, root),
                       *grandchild = born(6, child), *nephew = born(7, sibling),
                       *stranger = born(8, NULL);

        assert_int_equal(processes_follow(&ps, root, t), 4);
        assert_true(is_in(root, t) && is_in(child, t) && is_in(second, t) && is_in(grandchild, t));
        assert_false(is_in(top, t) || is_in(sibling, t) || is_in(nephew, t) || is_in(stranger, t));
        assert_int_equal(t->nprocesses, 4);
        /* once is enough */
        assert_int_equal(processes_follow(&ps, root, t), 0);
        assert_int_equal(processes_follow(&ps, top, t), 3); /* those that were left out */
        assert_int_equal(t->nprocesses, 7);
}

static void who_is_adopted_joins_its_parents_targets(void **state)
{
        struct process *parent = born(10, NULL), *child = born(11, NULL), *below = born(12, child);

        process_set_threads(child, 2);
        process_set_threads(below, 1);
        assert_int_equal(processes_follow(&ps, parent, t), 1);
        assert_int_equal(processes_follow(&ps, below, u), 1);
        assert_int_equal(processes_adopt(&ps, child, parent), 0);
        assert_ptr_equal(child->parent, parent);
        assert_true(is_in(child, t) && is_in(below, t) && is_in(below, u));
        assert_false(is_in(child, u) || is_in(parent, u));
        assert_int_equal(t->nprocesses, 3);
        assert_int_equal(t->nthreads, 3);
        assert_int_equal(u->nprocesses, 1);
        /* nobody is above itself */
        assert_int_equal(processes_adopt(&ps, parent, below), -ELOOP);
        assert_int_equal(processes_adopt(&ps, parent, parent), -ELOOP);
        assert_null(parent->parent);
}

static void nested_targets_both_count(void **state)
{
        struct process *outer = born(1, NULL), *inner = born(2, outer), *late;

        processes_follow(&ps, inner, u);
        processes_follow(&ps, outer, t);
        late = born(3, inner);
        ran(outer, 0, 100);
        ran(inner, 1, 10);
        ran(late, 0, 1);
        assert_int_equal(tick_ns(t), 111);
        assert_int_equal(tick_ns(u), 11);
        assert_int_equal(tick_ns(NULL), 111);
        assert_int_equal(t->nprocesses, 3);
        assert_int_equal(u->nprocesses, 2);
}

static void time_before_follow_in_the_same_tick_is_not_the_targets(void **state)
{
        struct process *p = born(1, NULL), *child = born(2, p);

        ran(p, 0, 100);
        ran(child, 0, 10);
        processes_follow(&ps, p, t);
        assert_int_equal(tick_ns(t), 0);
        ran(p, 0, 7);
        ran(p, 1, 3);
        assert_int_equal(ps.nentries, 3); /* two of p, one of its child */
        assert_int_equal(tick_ns(t), 10);
        assert_int_equal(tick_ns(NULL), 120);
        assert_int_equal(p->cpu_ns[0], 107); /* the process has it all */
        processes_bury(&ps);
        /* the next tick begins with nothing */
        assert_int_equal(ps.nentries, 0);
        ran(p, 0, 5);
        assert_int_equal(ps.nentries, 1);
        assert_int_equal(tick_ns(t), 5);
}

static void unfollow_strikes_only_that_target(void **state)
{
        struct process *outer = born(1, NULL), *inner = born(2, outer), *late;

        processes_follow(&ps, outer, t);
        processes_follow(&ps, inner, u);
        processes_follow(&ps, inner, &targets[2]);
        processes_unfollow(&ps, u);
        assert_int_equal(u->nprocesses, 0);
        assert_int_equal(t->nprocesses, 2);
        assert_int_equal(targets[2].nprocesses, 1);
        late = born(3, inner);
        assert_true(is_in(late, t) && is_in(late, &targets[2]));
        assert_false(is_in(late, u) || is_in(inner, u));
        processes_unfollow(&ps, t);
        processes_unfollow(&ps, &targets[2]);
        ran(inner, 0, 9);
        assert_int_equal(tick_ns(t), 0);
        assert_int_equal(tick_ns(NULL), 9);
        /* and it can be followed again */
        assert_int_equal(processes_follow(&ps, outer, u), 3);
        ran(inner, 0, 1);
        assert_int_equal(tick_ns(u), 1);
}

static void threads_count_for_every_target(void **state)
{
        struct process *outer = born(1, NULL), *inner = born(2, outer);

        process_set_threads(outer, 2);
        process_set_threads(inner, 5);
        processes_follow(&ps, outer, t);
        processes_follow(&ps, inner, u);
        assert_int_equal(t->nthreads, 7);
        assert_int_equal(u->nthreads, 5);
        process_set_threads(inner, 1);
        assert_int_equal(t->nthreads, 3);
        assert_int_equal(u->nthreads, 1);
        assert_int_equal(t->max_threads, 7);
        processes_death(&ps, inner);
        assert_int_equal(t->nthreads, 2);
        assert_int_equal(u->nthreads, 0);
        processes_bury(&ps);
        processes_unfollow(&ps, t);
        assert_int_equal(t->nthreads, 0);
        assert_int_equal(outer->threads, 2);
}

/* ---- time ---- */

static uint64_t machine_cpu_ns(void)
{
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                ns += ps.exited.cpu_ns[slot];
        for (size_t i = 0; i < ps.hash_size; i++)
                for (const struct process *p = ps.hash[i]; p; p = p->next_in_hash)
                        for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                                ns += p->cpu_ns[slot];
        return ns;
}

static void exited_accounts_are_folded_and_totals_never_decrease(void **state)
{
        struct process *parent = born(1, NULL);
        uint64_t cpu_ns = 0, share_uj = 0;

        for (pid_t pid = 2; pid <= 101; pid++) {
                struct process *p = born(pid, parent);

                ran(p, (unsigned int)pid % (NSLOTS + 1), pid);
                p->share_uj[0] += 1000;
                cpu_ns += (uint64_t)pid;
                share_uj += 1000;
                processes_death(&ps, p);
                /* dead: it still stands for its entries */
                assert_int_equal(ps.exited.count, pid - 2);
                assert_ptr_equal(ps.entries[ps.nentries - 1].process, p);
                assert_int_equal(tick_ns(NULL), pid);
                processes_bury(&ps);
                assert_int_equal(machine_cpu_ns(), cpu_ns);
                assert_int_equal(ps.exited.share_uj[0], share_uj);
                assert_int_equal(ps.exited.count, pid - 1);
        }
        assert_int_equal(ps.nprocesses, 1);
        assert_null(parent->children);
}

static void negative_time_is_a_debt(void **state)
{
        struct process *p = born(1, NULL);

        ran(p, 0, 100);
        processes_bury(&ps);
        /* 30 of them were an estimate that the scheduler did not confirm */
        ran(p, 0, -30);
        assert_int_equal(ps.nentries, 0);
        assert_int_equal(p->cpu_ns[0], 100);
        assert_int_equal(p->debt_ns[0], -30);
        /* another place owes nothing */
        ran(p, 1, 5);
        assert_int_equal(p->cpu_ns[1], 5);
        /* paid in two parts */
        ran(p, 0, 20);
        assert_int_equal(p->cpu_ns[0], 100);
        ran(p, 0, 25);
        assert_int_equal(p->cpu_ns[0], 115);
        assert_int_equal(p->debt_ns[0], 0);
        assert_int_equal(tick_ns(NULL), 5 + 15);
}

/* ---- identity ---- */

static void only_the_living_are_found(void **state)
{
        struct process *first = born(7, NULL), *second;

        assert_ptr_equal(processes_find(&ps, 7), first);
        assert_null(processes_find(&ps, 8));
        /* a number used again before the death of its first owner was read */
        second = born(7, NULL);
        assert_ptr_equal(processes_find(&ps, 7), second);
        /* also after the table has grown */
        for (size_t size = ps.hash_size; ps.hash_size == size;)
                born(8, NULL);
        assert_ptr_equal(processes_find(&ps, 7), second);
        processes_death(&ps, first);
        assert_ptr_equal(processes_find(&ps, 7), second);
        processes_bury(&ps);
        processes_death(&ps, second);
        assert_null(processes_find(&ps, 7));
}

static void names_are_cut_to_what_the_kernel_keeps(void **state)
{
        static const char full[PROCESS_COMM_MAX] = {"0123456789abcdef"}; /* without a NUL */
        struct process *p = born(1, NULL);

        process_rename(p, full);
        assert_string_equal(p->comm, "0123456789abcde");
        process_rename(p, "");
        assert_string_equal(p->comm, "");
}

static void count_visit(const struct process *p, void *arg)
{
        ((unsigned char *)arg)[p->pid]++;
}

static void each_visits_every_living_process_once(void **state)
{
        unsigned char visits[5001] = {0};

        for (pid_t pid = 1; pid <= 5000; pid++)
                born(pid, NULL);
        for (pid_t pid = 1; pid <= 5000; pid += 2)
                processes_death(&ps, processes_find(&ps, pid));
        processes_each(&ps, count_visit, visits);
        for (pid_t pid = 1; pid <= 5000; pid++)
                assert_int_equal(visits[pid], pid % 2 == 0);
        assert_int_equal(ps.nprocesses, 2500);
}

/* ---- without memory ---- */

static void out_of_memory_in_follow_changes_nothing(void **state)
{
        struct process *all[8] = {born(1, NULL)};
        struct target_set *sets[8];
        unsigned int refs[8];

        for (int i = 1; i < 8; i++)
                all[i] = born(i + 1, all[(i - 1) / 2]);
        processes_follow(&ps, all[1], t);
        processes_follow(&ps, all[2], u);
        processes_follow(&ps, all[3], &targets[2]);
        ran(all[3], 0, 50);
        /* four different sets: each of four allocations fails once */
        for (int allowed = 0; allowed < 4; allowed++) {
                uint32_t entry = all[3]->entry;

                for (int i = 0; i < 8; i++) {
                        sets[i] = all[i]->targets;
                        refs[i] = sets[i] ? sets[i]->refs : 0;
                }
                allocations_left = allowed;
                assert_int_equal(processes_follow(&ps, all[0], &targets[3]), -ENOMEM);
                allocations_left = -1;
                for (int i = 0; i < 8; i++) {
                        assert_ptr_equal(all[i]->targets, sets[i]);
                        assert_int_equal(sets[i] ? sets[i]->refs : 0, refs[i]);
                        assert_true(!sets[i] || !sets[i]->grown);
                }
                assert_int_equal(all[3]->entry, entry);
                assert_int_equal(targets[3].nprocesses, 0);
                assert_int_equal(t->nprocesses, 4);
        }
        assert_int_equal(processes_follow(&ps, all[0], &targets[3]), 8);
        assert_int_equal(targets[3].nprocesses, 8);
        assert_int_equal(t->nprocesses, 4);
}

static void out_of_memory_at_birth_changes_nothing(void **state)
{
        struct process *parent = born(1, NULL), *p = NULL;
        size_t size = ps.hash_size;

        processes_follow(&ps, parent, t);
        allocations_left = 0;
        assert_int_equal(processes_birth(&ps, &p, 2, 0, "x", false, parent), -ENOMEM);
        assert_int_equal(t->nprocesses, 1);
        assert_null(parent->children);
        allocations_left = -1;
        /* the table itself must grow */
        for (pid_t pid = 2; ps.nprocesses < size; pid++)
                born(pid, parent);
        allocations_left = 0;
        assert_int_equal(processes_birth(&ps, &p, 9999, 0, "x", false, parent), -ENOMEM);
        allocations_left = -1;
        assert_int_equal(ps.nprocesses, size);
        assert_int_equal(t->nprocesses, size);
        assert_null(processes_find(&ps, 9999));
        assert_non_null(processes_find(&ps, (pid_t)size));
        born(9999, parent);
        assert_true(ps.hash_size > size);
        for (pid_t pid = 1; pid <= (pid_t)size; pid++)
                assert_non_null(processes_find(&ps, pid));
}

static void out_of_memory_for_entries_keeps_those_there_are(void **state)
{
        uint32_t max = ps.max_entries;
        struct process *p = NULL;

        for (uint32_t i = 0; i <= max; i++) {
                p = born((pid_t)i + 1, NULL);
                if (i < max)
                        ran(p, 0, 1);
        }
        /* two arrays: the first or the second cannot grow */
        for (int allowed = 0; allowed < 2; allowed++) {
                allocations_left = allowed;
                assert_int_equal(processes_ran(&ps, p, 0, 1), -ENOMEM);
                allocations_left = -1;
                assert_int_equal(ps.nentries, max);
                assert_int_equal(tick_ns(NULL), max);
                assert_int_equal(p->entry, PROCESS_NO_ENTRY);
                assert_int_equal(p->cpu_ns[0], 0);
        }
        ran(p, 0, 1);
        assert_int_equal(tick_ns(NULL), max + 1);
}

static void out_of_memory_at_the_start_is_said(void **state)
{
        for (int allowed = 0; allowed < 5; allowed++) {
                struct processes none;

                allocations_left = allowed;
                assert_int_equal(processes_init(&none, NSLOTS, NACCOUNTS), -ENOMEM);
                allocations_left = -1;
        }
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(births_inherit_targets_however_deep),
                TEST(orphans_stay_below_their_nearest_living_ancestor),
                TEST(a_double_forked_daemon_is_in_the_target),
                TEST(a_daemon_that_forked_before_is_found_below_its_shell),
                TEST(follow_takes_in_existing_descendants_and_not_siblings),
                TEST(who_is_adopted_joins_its_parents_targets),
                TEST(nested_targets_both_count),
                TEST(time_before_follow_in_the_same_tick_is_not_the_targets),
                TEST(unfollow_strikes_only_that_target),
                TEST(threads_count_for_every_target),
                TEST(exited_accounts_are_folded_and_totals_never_decrease),
                TEST(negative_time_is_a_debt),
                TEST(only_the_living_are_found),
                TEST(names_are_cut_to_what_the_kernel_keeps),
                TEST(each_visits_every_living_process_once),
                TEST(out_of_memory_in_follow_changes_nothing),
                TEST(out_of_memory_at_birth_changes_nothing),
                TEST(out_of_memory_for_entries_keeps_those_there_are),
                TEST(out_of_memory_at_the_start_is_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
