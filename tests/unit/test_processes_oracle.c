/* SPDX-License-Identifier: MIT */
/*
 * A long random walk of the process table against an oracle: the same in arrays, with descent and
 * membership worked out the slow way.  At the end of every tick everything is compared.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "processes.h"
#include "random.h"
#include "target.h"

#define EVENTS       100000
#define NSLOTS       3
#define MAX_LIVING   400
#define NTARGETS     12
#define MAX_STINTS   4096 /* of one tick */
#define NOBODY       (-1)
#define MAX_STINT_NS 1000000
#define PIDS         600 /* they come round again soon, often within a tick */

static struct processes ps;
static struct target *targets; /* NTARGETS */
static uint64_t seed;

/* ---- the oracle ---- */

static struct subject {
        bool living;
        pid_t pid;
        int parent;           /* index, or NOBODY */
        unsigned int targets; /* bit mask */
        unsigned int threads;
        int64_t cpu_ns[NSLOTS + 1], debt_ns[NSLOTS + 1];
        struct process *p;
} subjects[MAX_LIVING];

/* Time given in the present tick. */
static struct stint {
        unsigned int targets;
        unsigned int slot;
        uint64_t ns;
} stints[MAX_STINTS];

static size_t nstints;
static unsigned int nliving, most_living;
static uint64_t ndead, given_ns[NSLOTS + 1], exited_ns[NSLOTS + 1];
static pid_t last_pid;

static unsigned long ndone[6]; /* events of each kind */

static bool is_below(int i, int ancestor)
{
        for (; i != NOBODY; i = subjects[i].parent)
                if (i == ancestor)
                        return true;
        return false;
}

static int random_living(void)
{
        unsigned int k;

        if (!nliving)
                return NOBODY;
        k = (unsigned int)random_below(&seed, nliving);
        for (int i = 0; i < MAX_LIVING; i++)
                if (subjects[i].living && k-- == 0)
                        return i;
        return NOBODY;
}

static pid_t next_pid(void)
{
        for (;;) {
                bool taken = false;

                last_pid = last_pid % PIDS + 1;
                for (int i = 0; i < MAX_LIVING; i++)
                        taken |= subjects[i].living && subjects[i].pid == last_pid;
                if (!taken)
                        return last_pid;
        }
}

/* ---- events: both sides ---- */

static void do_birth(void)
{
        int at = 0, parent = random_below(&seed, 20) ? random_living() : NOBODY;
        struct subject *s;

        while (at < MAX_LIVING && subjects[at].living)
                at++;
        if (at == MAX_LIVING)
                return;
        s = &subjects[at];
        *s = (struct subject){.pid = next_pid(), .living = true, .parent = parent};
        s->targets = parent == NOBODY ? 0 : subjects[parent].targets;
        nliving++;
        if (nliving > most_living)
                most_living = nliving;
        assert_int_equal(processes_birth(&ps, &s->p, s->pid, (uint64_t)s->pid, "walker", false,
                                         parent == NOBODY ? NULL : subjects[parent].p),
                         0);
}

static void do_death(void)
{
        int at = random_living();
        struct subject *s;

        if (at == NOBODY)
                return;
        s = &subjects[at];
        for (int i = 0; i < MAX_LIVING; i++)
                if (subjects[i].living && subjects[i].parent == at)
                        subjects[i].parent = s->parent;
        for (unsigned int slot = 0; slot <= NSLOTS; slot++)
                exited_ns[slot] += (uint64_t)s->cpu_ns[slot];
        s->living = false;
        nliving--;
        ndead++;
        processes_death(&ps, s->p);
}

static void do_run(void)
{
        int at = random_living();
        unsigned int slot = (unsigned int)random_below(&seed, NSLOTS + 1);
        int64_t ns = (int64_t)random_below(&seed, MAX_STINT_NS) - MAX_STINT_NS / 8, debt;
        struct subject *s;

        if (at == NOBODY || nstints == MAX_STINTS)
                return;
        s = &subjects[at];
        assert_int_equal(processes_ran(&ps, s->p, slot, ns), 0);
        debt = s->debt_ns[slot] + ns;
        s->debt_ns[slot] = debt < 0 ? debt : 0;
        if (debt <= 0)
                return;
        s->cpu_ns[slot] += debt;
        given_ns[slot] += (uint64_t)debt;
        stints[nstints++] = (struct stint){s->targets, slot, (uint64_t)debt};
}

static void do_threads(void)
{
        int at = random_living();

        if (at == NOBODY)
                return;
        subjects[at].threads = (unsigned int)random_below(&seed, 20);
        process_set_threads(subjects[at].p, subjects[at].threads);
}

static void do_follow(void)
{
        int root = random_living();
        unsigned int target = (unsigned int)random_below(&seed, NTARGETS);
        int taken_in = 0;

        if (root == NOBODY)
                return;
        for (int i = 0; i < MAX_LIVING; i++) {
                if (!subjects[i].living || !is_below(i, root) || subjects[i].targets >> target & 1)
                        continue;
                subjects[i].targets |= 1u << target;
                taken_in++;
        }
        assert_int_equal(processes_follow(&ps, subjects[root].p, &targets[target]), taken_in);
}

static void do_unfollow(void)
{
        unsigned int target = (unsigned int)random_below(&seed, NTARGETS);

        for (int i = 0; i < MAX_LIVING; i++)
                subjects[i].targets &= ~(1u << target);
        processes_unfollow(&ps, &targets[target]);
}

/* ---- the comparison ---- */

static unsigned int mask_of(const struct target_set *set)
{
        unsigned int mask = 0;

        for (unsigned int i = 0; set && i < set->ntargets; i++) {
                unsigned int bit = 1u << (set->targets[i] - targets);

                assert_false(mask & bit); /* no target twice */
                mask |= bit;
        }
        return mask;
}

static void compare_entries(void)
{
        uint64_t sums[NTARGETS + 1][NSLOTS + 1] = {0}, expected[NTARGETS + 1][NSLOTS + 1] = {0};

        for (size_t i = 0; i < nstints; i++) {
                const struct stint *s = &stints[i];

                expected[NTARGETS][s->slot] += s->ns;
                for (unsigned int k = 0; k < NTARGETS; k++)
                        expected[k][s->slot] += s->targets >> k & 1 ? s->ns : 0;
        }
        for (uint32_t i = 0; i < ps.nentries; i++) {
                unsigned int mask = mask_of(ps.entries[i].targets);

                for (unsigned int slot = 0; slot <= NSLOTS; slot++) {
                        uint64_t ns = processes_entry_ns(&ps, i)[slot];

                        sums[NTARGETS][slot] += ns;
                        for (unsigned int k = 0; k < NTARGETS; k++)
                                sums[k][slot] += mask >> k & 1 ? ns : 0;
                }
        }
        assert_memory_equal(sums, expected, sizeof(sums));
}

static void compare_children(const struct subject *s, int at)
{
        const struct process *before = NULL;
        int n = 0;

        for (const struct process *c = s->p->children; c; c = c->next_sibling) {
                assert_ptr_equal(c->parent, s->p);
                assert_ptr_equal(c->prev_sibling, before);
                before = c;
                n++;
        }
        for (int i = 0; i < MAX_LIVING; i++)
                n -= subjects[i].living && subjects[i].parent == at;
        assert_int_equal(n, 0);
}

static void compare_processes(void)
{
        unsigned int processes[NTARGETS] = {0}, threads[NTARGETS] = {0};

        assert_int_equal(ps.nprocesses, nliving);
        for (int i = 0; i < MAX_LIVING; i++) {
                const struct subject *s = &subjects[i];

                if (!s->living)
                        continue;
                assert_ptr_equal(processes_find(&ps, s->pid), s->p);
                assert_ptr_equal(s->p->parent, s->parent == NOBODY ? NULL : subjects[s->parent].p);
                assert_int_equal(mask_of(s->p->targets), s->targets);
                assert_memory_equal(s->p->cpu_ns, s->cpu_ns, sizeof(s->cpu_ns));
                assert_memory_equal(s->p->debt_ns, s->debt_ns, sizeof(s->debt_ns));
                assert_int_equal(s->p->threads, s->threads);
                compare_children(s, i);
                for (unsigned int k = 0; k < NTARGETS; k++) {
                        processes[k] += s->targets >> k & 1;
                        threads[k] += s->targets >> k & 1 ? s->threads : 0;
                }
        }
        for (unsigned int k = 0; k < NTARGETS; k++) {
                assert_int_equal(targets[k].nprocesses, processes[k]);
                assert_int_equal(targets[k].nthreads, threads[k]);
        }
}

/* What everybody used in all, the dead included, is what was given. */
static void compare_totals(void)
{
        uint64_t total[NSLOTS + 1];

        assert_int_equal(ps.exited.count, ndead);
        assert_memory_equal(ps.exited.cpu_ns, exited_ns, sizeof(exited_ns));
        memcpy(total, exited_ns, sizeof(total));
        for (int i = 0; i < MAX_LIVING; i++)
                for (unsigned int slot = 0; subjects[i].living && slot <= NSLOTS; slot++)
                        total[slot] += subjects[i].p->cpu_ns[slot];
        assert_memory_equal(total, given_ns, sizeof(total));
}

static void do_tick(void)
{
        compare_processes();
        compare_entries();
        processes_bury(&ps);
        nstints = 0;
        assert_int_equal(ps.nentries, 0);
        assert_null(ps.graveyard);
        compare_totals();
        if (random_below(&seed, 3) == 0)
                do_unfollow();
        compare_processes();
}

static void a_hundred_thousand_events_agree_with_the_oracle(void **state)
{
        static void (*const events[])(void) = {do_run,     do_birth,  do_death,
                                               do_threads, do_follow, do_tick};
        /* cumulative, in percent; towards the end more die than are born */
        static const unsigned int growing[] = {45, 66, 85, 90, 96, 100};
        static const unsigned int shrinking[] = {45, 60, 85, 90, 96, 100};

        targets = calloc(NTARGETS, sizeof(*targets));
        assert_non_null(targets);
        assert_int_equal(processes_init(&ps, NSLOTS, 1), 0);
        seed = RANDOM_SEED;
        for (int i = 0; i < EVENTS; i++) {
                const unsigned int *upto = i / 10000 % 2 ? shrinking : growing;
                unsigned int dice = (unsigned int)random_below(&seed, 100), kind = 0;

                while (dice >= upto[kind])
                        kind++;
                ndone[kind]++;
                events[kind]();
        }
        do_tick();
        /* the walk has been through crowds and through silence */
        assert_true(ndead > EVENTS / 10);
        assert_true(most_living > MAX_LIVING / 4);
        for (size_t kind = 0; kind < sizeof(ndone) / sizeof(ndone[0]); kind++)
                assert_true(ndone[kind] > EVENTS / 50);
        processes_deinit(&ps);
        free(targets);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_hundred_thousand_events_agree_with_the_oracle),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
