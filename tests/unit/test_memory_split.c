/* SPDX-License-Identifier: MIT */
/* The split of dram energy by memory held: exact at every moment, whoever comes and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory_split.h"
#include "random.h"

#define NACCOUNTS 3 /* a package and two dram domains */
#define GIB       (UINT64_C(1) << 30)
#define MAX_PIDS  64

static struct memory_split split;
static struct processes ps;
static uint64_t now_ns;

static uint64_t rest[NACCOUNTS];

static int setup(void **state)
{
        (void)state;
        now_ns = 1000;
        memset(rest, 0, sizeof(rest));
        return processes_init(&ps, 1, NACCOUNTS) < 0 || memory_split_init(&split, NACCOUNTS) < 0;
}

static int teardown(void **state)
{
        (void)state;
        processes_deinit(&ps);
        memory_split_deinit(&split);
        return 0;
}

static struct process *born(pid_t pid, struct process *parent)
{
        struct process *p;

        assert_int_equal(processes_birth(&ps, &p, pid, (uint64_t)pid * 10, "p", false, parent), 0);
        return p;
}

/* What was measured; bytes of accounts 1 and 2. */
static struct memory_holding all[MAX_PIDS];
static uint64_t bytes[MAX_PIDS * NACCOUNTS], used[NACCOUNTS];
static struct memory_holdings holdings = {
        .all = all, .bytes = bytes, .used_bytes = used, .naccounts = NACCOUNTS, .known = true};

static void measured(const struct process *p, uint64_t first, uint64_t second)
{
        size_t i = holdings.n++;

        all[i] = (struct memory_holding){.pid = p->pid, .start_ns = p->start_ns};
        bytes[i * NACCOUNTS] = 0;
        bytes[i * NACCOUNTS + 1] = first;
        bytes[i * NACCOUNTS + 2] = second;
}

/* A new epoch by what was measured. */
static void hold(struct target *targets)
{
        memory_split_settle(&split, &ps, targets, now_ns, rest);
        memory_split_begin(&split, &ps, targets, &holdings, now_ns);
        holdings.n = 0;
}

static void energy_goes_to_those_who_hold_memory(void **state)
{
        struct process *a = born(1, NULL), *b = born(2, NULL);

        (void)state;
        /* before anything is measured it is nobody's */
        assert_int_equal(memory_split_tick(&split, 1, 100), 100);
        used[1] = 4 * GIB;
        used[2] = 1 * GIB;
        measured(a, 1 * GIB, 0);
        measured(b, 2 * GIB, GIB / 2);
        hold(NULL);
        assert_int_equal(rest[1], 0);
        assert_int_equal(memory_split_tick(&split, 1, 1000), 250);
        assert_int_equal(memory_split_tick(&split, 2, 1001), 501);
        memory_split_settle(&split, &ps, NULL, now_ns, rest);
        assert_int_equal(a->share_uj[1], 250);
        assert_int_equal(a->share_uj[2], 0);
        assert_int_equal(b->share_uj[1], 500);
        assert_int_equal(b->share_uj[2], 500);
        assert_int_equal(b->share_uj[0], 0);
        assert_int_equal(rest[1], 0);
        assert_int_equal(rest[2], 0);
}

static void who_dies_keeps_its_part_and_holds_nothing(void **state)
{
        struct process *a = born(1, NULL), *b = born(2, NULL);

        (void)state;
        used[1] = used[2] = 4 * GIB;
        measured(a, 2 * GIB, 0);
        measured(b, 2 * GIB, 0);
        hold(NULL);
        assert_int_equal(memory_split_tick(&split, 1, 1000), 0);
        memory_split_leave(&split, a, now_ns);
        assert_int_equal(a->share_uj[1], 500);
        assert_int_equal(memory_split_tick(&split, 1, 1000), 0);
        memory_split_settle(&split, &ps, NULL, now_ns, rest);
        assert_int_equal(a->share_uj[1], 500);
        assert_int_equal(b->share_uj[1], 1000);
        /* what would have been a's of the second tick */
        assert_int_equal(rest[1], 500);
}

static void more_held_than_in_use_is_split_among_the_holders(void **state)
{
        struct process *a = born(1, NULL), *b = born(2, NULL);

        (void)state;
        used[1] = used[2] = 2 * GIB; /* read before b had grown */
        measured(a, 1 * GIB, 0);
        measured(b, 3 * GIB, 0);
        hold(NULL);
        assert_int_equal(memory_split_tick(&split, 1, 1000), 0);
        memory_split_settle(&split, &ps, NULL, now_ns, rest);
        assert_int_equal(a->share_uj[1], 250);
        assert_int_equal(b->share_uj[1], 750);
}

/* ---- targets ---- */

static struct held held[NACCOUNTS];
static uint64_t target_share[NACCOUNTS];
static struct target target = {.held = held, .used.share_uj = target_share};

static void target_begin(struct process *root)
{
        memset(held, 0, sizeof(held));
        memset(target_share, 0, sizeof(target_share));
        target.held_since_ns = now_ns;
        for (unsigned int i = 0; i < NACCOUNTS; i++)
                held[i].settled_uj = split.epochs[i].energy_uj;
        assert_true(processes_follow(&ps, root, &target) > 0);
        memory_split_join(&split, root, &target, now_ns);
}

static void a_target_has_the_parts_of_its_processes_while_it_is_followed(void **state)
{
        struct process *a, *child;

        (void)state;
        a = born(1, NULL);
        used[1] = used[2] = 4 * GIB;
        measured(a, 1 * GIB, 0);
        hold(NULL);
        memory_split_tick(&split, 1, 1000); /* before */
        target_begin(a);
        memory_split_tick(&split, 1, 1000);
        now_ns += 500;
        memory_split_settle_target(&split, &target, now_ns);
        assert_int_equal(target_share[1], 250);
        assert_true(fabs(held[1].credit_ns - 0.25 * 500) < 1e-9);

        child = born(2, a); /* is measured with the next round */
        measured(a, 1 * GIB, 0);
        measured(child, 2 * GIB, 0);
        hold(&target);
        memory_split_tick(&split, 1, 1000);
        now_ns += 500;
        memory_split_leave(&split, child, now_ns);
        memory_split_tick(&split, 1, 1000);
        now_ns += 1000;
        memory_split_settle_target(&split, &target, now_ns);
        assert_int_equal(target_share[1], 250 + 750 + 250);
        assert_true(fabs(held[1].credit_ns - (0.25 * 500 + 0.75 * 500 + 0.25 * 1000)) < 1e-9);
        processes_unfollow(&ps, &target);
}

static void settling_often_loses_nothing_of_a_target(void **state)
{
        struct process *a = born(1, NULL);

        (void)state;
        used[1] = used[2] = 3 * GIB;
        measured(a, 1 * GIB, 0);
        hold(NULL);
        target_begin(a);
        for (unsigned int i = 0; i < 3000; i++) {
                memory_split_tick(&split, 1, 1); /* a third of a microjoule each */
                memory_split_settle_target(&split, &target, ++now_ns);
        }
        assert_int_equal(target_share[1], 1000);
        processes_unfollow(&ps, &target);
}

static void who_dies_between_two_ticks_takes_nothing_along(void **state)
{
        struct process *a = born(1, NULL), *child = born(2, a);

        (void)state;
        used[1] = used[2] = 4 * GIB;
        measured(a, 1 * GIB, 0);
        measured(child, 1 * GIB, 0);
        target_begin(a);
        hold(&target);
        memory_split_tick(&split, 1, 1000);
        now_ns += 500;
        processes_death(&ps, child);
        measured(a, 1 * GIB, 0);
        hold(&target); /* before any tick has seen the death */
        assert_int_equal(child->share_uj[1], 250);
        memory_split_leave_dead(&split, &ps, now_ns);
        processes_bury(&ps);
        memory_split_tick(&split, 1, 1000);
        now_ns += 500;
        memory_split_settle_target(&split, &target, now_ns);
        assert_int_equal(target_share[1], 500 + 250);
        processes_unfollow(&ps, &target);
}

/* ---- whatever happens ---- */

static uint64_t shares_uj(unsigned int account)
{
        uint64_t sum = 0;

        for (pid_t pid = 1; pid < MAX_PIDS; pid++) {
                const struct process *p = processes_find(&ps, pid);

                sum += p ? p->share_uj[account] : 0;
        }
        for (const struct process *p = ps.graveyard; p; p = p->next_sibling)
                sum += p->share_uj[account];
        return sum + ps.exited.share_uj[account];
}

static void parts_and_rest_are_the_energy_whatever_happens(void **state)
{
        uint64_t seed = RANDOM_SEED, energy[NACCOUNTS] = {0}, unowned[NACCOUNTS] = {0};
        uint64_t settled = 0;

        (void)state;
        for (unsigned int step = 0; step < 20000; step++) {
                pid_t pid = 1 + (pid_t)random_below(&seed, MAX_PIDS - 1);
                struct process *p = processes_find(&ps, pid);

                now_ns += 1 + random_below(&seed, 1000);
                switch (random_below(&seed, 12)) {
                case 0:
                        if (!p)
                                born(pid, NULL);
                        break;
                case 1:
                        if (!p)
                                break;
                        processes_death(&ps, p);
                        break;
                case 2:
                        memory_split_leave_dead(&split, &ps, now_ns);
                        processes_bury(&ps);
                        break;
                case 3: /* a measurement, not of everybody */
                        used[1] = random_of_bits(&seed, 42);
                        used[2] = random_of_bits(&seed, 42);
                        for (pid = 1; pid < MAX_PIDS; pid++)
                                if ((p = processes_find(&ps, pid)) && random_below(&seed, 4))
                                        measured(p, random_of_bits(&seed, 38),
                                                 random_of_bits(&seed, 38));
                        hold(NULL);
                        for (unsigned int i = 0; i < NACCOUNTS; i++)
                                unowned[i] += rest[i];
                        break;
                case 4:
                        memory_split_settle(&split, &ps, NULL, now_ns, rest);
                        for (unsigned int i = 0; i < NACCOUNTS; i++) {
                                unowned[i] += rest[i];
                                assert_int_equal(shares_uj(i) + unowned[i], energy[i]);
                        }
                        settled++;
                        break;
                default:
                        for (unsigned int i = 1; i < NACCOUNTS; i++) {
                                uint64_t uj = random_of_bits(&seed, 26);

                                energy[i] += uj;
                                unowned[i] += memory_split_tick(&split, i, uj);
                                assert_true(shares_uj(i) + unowned[i] <= energy[i]);
                        }
                }
        }
        assert_true(settled > 1000);
        assert_true(shares_uj(1) > energy[1] / 100 && unowned[1] > energy[1] / 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(energy_goes_to_those_who_hold_memory, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(who_dies_keeps_its_part_and_holds_nothing, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(more_held_than_in_use_is_split_among_the_holders,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(
                        a_target_has_the_parts_of_its_processes_while_it_is_followed, setup,
                        teardown),
                cmocka_unit_test_setup_teardown(settling_often_loses_nothing_of_a_target, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(who_dies_between_two_ticks_takes_nothing_along,
                                                setup, teardown),
                cmocka_unit_test_setup_teardown(parts_and_rest_are_the_energy_whatever_happens,
                                                setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
