/* SPDX-License-Identifier: MIT */
/*
 * The ledger, with a meter and an accounting of this test's own: the tables of drivers below take
 * the place of source.c, cputime_bpf.c and cputime_proc.c.
 */
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "random.h"

#define TICK_NS   UINT64_C(10000000)
#define SECOND_NS UINT64_C(1000000000)
#define GIB       (UINT64_C(1) << 30)
#define MAX_PID   40
#define ROOT_PID  1

/* ---- the machine: a socket of two dies, each with a package and a dram domain ---- */

enum { PACKAGE_0, DRAM_0, PACKAGE_1, DRAM_1, NACCOUNTS };

static const struct domain domains[NACCOUNTS] = {
        {.kind = DOMAIN_PACKAGE, .die = 0, .label = "package-0-die-0"},
        {.kind = DOMAIN_DRAM, .die = 0, .label = "package-0-die-0/dram"},
        {.kind = DOMAIN_PACKAGE, .die = 1, .label = "package-0-die-1"},
        {.kind = DOMAIN_DRAM, .die = 1, .label = "package-0-die-1/dram"},
};

static const struct topology topology = {
        .slots = {{.node = 0, .die = 0}, {.node = 1, .die = 1}}, .nslots = 2, .nsockets = 1};

static int source_probe(const struct source_config *config, const struct topology *t, char *why)
{
        (void)config;
        (void)t;
        (void)why;
        return 0;
}

static int source_open(struct source **ret, const struct source_config *config,
                       const struct topology *t, char *why)
{
        (void)config;
        (void)t;
        (void)why;
        *ret = NULL;
        return 0;
}

static size_t source_domains(const struct source *source, const struct domain **ret)
{
        (void)source;
        *ret = domains;
        return NACCOUNTS;
}

static void source_read(struct source *source, const struct source_input *input,
                        struct reading *readings)
{
        (void)source;
        (void)input;
        memset(readings, 0, NACCOUNTS * sizeof(*readings));
}

static void source_close(struct source *source)
{
        (void)source;
}

static const struct source_driver source = {
        .name = "test",
        .probe = source_probe,
        .open = source_open,
        .domains = source_domains,
        .read = source_read,
        .close = source_close,
};

const struct source_driver *const source_drivers[] = {&source, NULL};

/* ---- who runs: what the test has noted down is collected at the tick ---- */

static struct ledger ledger;
static uint64_t ran_ns[MAX_PID][2], nobody_ns[2], irq_ns[2];

static int accounting_open(void **state, const struct cputime_config *config,
                           const struct topology *t, struct processes *ps, char *why,
                           size_t why_size)
{
        (void)config;
        (void)t;
        (void)ps;
        (void)why;
        (void)why_size;
        *state = NULL;
        return 0;
}

static int accounting_collect(void *state, bool force, struct cputime_totals *totals,
                              struct cputime_losses *losses)
{
        (void)state;
        (void)force;
        (void)losses;
        for (unsigned int slot = 0; slot < 2; slot++) {
                for (pid_t pid = ROOT_PID; pid < MAX_PID; pid++) {
                        struct process *p = processes_find(&ledger.processes, pid);

                        if (!p || !ran_ns[pid][slot])
                                continue;
                        assert_int_equal(processes_ran(&ledger.processes, p, slot,
                                                       (int64_t)ran_ns[pid][slot]),
                                         0);
                        totals->busy_ns[slot] += ran_ns[pid][slot];
                        ran_ns[pid][slot] = 0;
                }
                totals->busy_ns[slot] += nobody_ns[slot];
                totals->nobody_ns[slot] += nobody_ns[slot];
                nobody_ns[slot] = 0;
                totals->irq_ns[slot] += irq_ns[slot];
                irq_ns[slot] = 0;
        }
        totals->irq_known = true;
        return 1;
}

static void accounting_close(void *state)
{
        (void)state;
}

const struct cputime_driver cputime_bpf = {
        .name = "test",
        .open = accounting_open,
        .collect = accounting_collect,
        .close = accounting_close,
        .exact = true,
};
const struct cputime_driver cputime_proc = {.name = "none", .open = accounting_open};

/* ---- a test ---- */

static struct meter *meter;
static struct cputime *cputime;
static struct mailbox mailbox;
static struct target *target;
static struct meter_tick now;

static void take_news(struct letter *letter)
{
        (void)letter;
}

static int setup(void **state)
{
        static const struct source_config sources;
        const struct cputime_config accounting = {.probe = "test"};
        char why[1024];

        (void)state;
        memset(ran_ns, 0, sizeof(ran_ns));
        now = (struct meter_tick){
                .now_ns = 100 * SECOND_NS, .elapsed_ns = TICK_NS, .ndomains = NACCOUNTS};
        for (unsigned int i = 0; i < NACCOUNTS; i++) {
                now.known[i] = true;
                now.covered_ns[i] = TICK_NS;
        }
        if (meter_open(&meter, "test", &sources, &topology, why, sizeof(why)) < 0 ||
            ledger_init(&ledger, meter, &topology, TICK_NS, SECOND_NS) < 0 ||
            cputime_open(&cputime, &accounting, &topology, &ledger.processes, why, sizeof(why)) <
                    0 ||
            mailbox_init(&mailbox) < 0)
                return -1;
        ledger_begin(&ledger, cputime, now.now_ns);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        target_free(target);
        target = NULL;
        cputime_close(cputime);
        ledger_deinit(&ledger);
        meter_close(meter);
        mailbox_deinit(&mailbox);
        return 0;
}

static struct process *born(pid_t pid)
{
        struct process *p;

        assert_int_equal(processes_birth(&ledger.processes, &p, pid, (uint64_t)pid, "p", false,
                                         processes_find(&ledger.processes, ROOT_PID)),
                         0);
        return p;
}

static void follow(pid_t pid, bool coarse)
{
        assert_int_equal(target_new(&target, &ledger.accounts, &mailbox, NULL), 0);
        target->news.deliver = target->farewell.deliver = take_news;
        target->pid = pid;
        target->gamma = target->delta = 1;
        target->interval_ns = SECOND_NS;
        target->coarse = coarse;
        assert_true(ledger_follow(&ledger, target) > 0);
}

/* Process 2, beside its parent. */
static void follow_child(bool coarse)
{
        born(ROOT_PID);
        follow(born(2)->pid, coarse);
}

static void tick(void)
{
        now.now_ns += TICK_NS;
        assert_int_equal(cputime_collect(cputime, false), 1);
        ledger_book(&ledger, &now, false);
        ledger_split(&ledger, cputime, true);
}

static const struct report * final(void)
{
        const struct report *r;

        for (unsigned int i = 0; i < 2 * SECOND_NS / TICK_NS; i++) {
                if ((r = target_peek(target)))
                        return r;
                tick();
        }
        fail_msg("no final report within two seconds");
        return NULL;
}

/* Memory by die: of process `pid`, and in use. */
static void hold(pid_t pid, uint64_t bytes_0, uint64_t bytes_1, uint64_t used_0, uint64_t used_1)
{
        struct memory_holding holding = {.pid = pid, .start_ns = (uint64_t)pid};
        uint64_t bytes[NACCOUNTS] = {[DRAM_0] = bytes_0, [DRAM_1] = bytes_1};
        uint64_t used[NACCOUNTS] = {[DRAM_0] = used_0, [DRAM_1] = used_1};
        const struct memory_holdings holdings = {.all = &holding,
                                                 .n = 1,
                                                 .naccounts = NACCOUNTS,
                                                 .bytes = bytes,
                                                 .used_bytes = used,
                                                 .known = true};

        ledger_hold(&ledger, &holdings);
}

static bool near(double value, double expected)
{
        return fabs(value - expected) < 1e-9;
}

/* ---- claims ---- */

static void energy_of_a_tick_goes_to_who_ran_in_it(void **state)
{
        const struct process *first, *second;

        (void)state;
        first = born(ROOT_PID);
        second = born(2);
        now.energy_uj[PACKAGE_0] = 300;
        ran_ns[ROOT_PID][0] = 5000000;
        tick();
        now.energy_uj[PACKAGE_0] = 100;
        ran_ns[2][0] = 5000000;
        nobody_ns[0] = 5000000;
        tick();
        assert_int_equal(first->share_uj[PACKAGE_0], 300);
        assert_int_equal(second->share_uj[PACKAGE_0], 50);
        assert_int_equal(*account_sum(&ledger.accounts, ledger.accounts.sums, SUM_UNATTRIBUTED_UJ,
                                      PACKAGE_0),
                         50);
}

/* With exponent 1 EnergAt's estimate is the share, also where interrupts are nobody's. */
static void interrupts_are_busy_time_for_both_models(void **state)
{
        const struct energy_report *energy;
        const struct report *r;

        (void)state;
        follow_child(false);
        now.energy_uj[PACKAGE_0] = 1000;
        ran_ns[2][0] = 4000000;
        ran_ns[ROOT_PID][0] = 2000000;
        irq_ns[0] = 2000000;
        tick();
        now.energy_uj[PACKAGE_0] = 0;
        target->detach = true;
        tick();
        r = final();
        energy = &r->sockets[0].energy[ENERGY_PACKAGE];
        assert_int_equal(energy->share_uj, 500);
        assert_true(near(energy->attributed_j, 500e-6));
        assert_true(near(energy->credit, 0.5));
        assert_int_equal(r->sockets[0].busy_ns, 8000000);
}

/* Most of a target's life is known, and its last process was born after the last measurement. */
static void memory_that_was_known_before_is_not_forgotten_at_the_end(void **state)
{
        const struct report *r;

        (void)state;
        follow_child(false);
        hold(2, 1 * GIB, 0, 4 * GIB, 4 * GIB);
        now.energy_uj[DRAM_0] = 1000;
        for (int i = 0; i < 9; i++)
                tick();
        hold(ROOT_PID, 1 * GIB, 0, 4 * GIB, 4 * GIB); /* without process 2 */
        target->detach = true;
        tick();
        r = final();
        assert_true(near(r->sockets[0].energy[ENERGY_DRAM].credit, 0.125 * 9 / 10));
        assert_int_equal(r->sockets[0].energy[ENERGY_DRAM].share_uj, 9 * 250);
        assert_true(r->sockets[0].energy[ENERGY_DRAM].attributed_j > 0);
        assert_int_equal(r->memory_unknown_ns, 0);
}

static void a_sockets_credit_is_of_all_its_dies(void **state)
{
        const struct energy_report *energy;

        (void)state;
        follow_child(false);
        hold(2, 1 * GIB, 6 * GIB, 4 * GIB, 12 * GIB);
        ran_ns[2][0] = 3000000;
        ran_ns[ROOT_PID][0] = 3000000;
        ran_ns[2][1] = 1000000;
        ran_ns[ROOT_PID][1] = 3000000;
        tick();
        target->detach = true;
        tick();
        energy = final()->sockets[0].energy;
        assert_true(near(energy[ENERGY_PACKAGE].credit, 0.4));
        assert_true(near(energy[ENERGY_DRAM].credit, 7.0 / 16));
}

/* Two dies, both below their baselines all the time. */
static void a_socket_is_below_its_baseline_in_no_more_ticks_than_there_are(void **state)
{
        static const struct baseline baseline = {.nsockets = 1, .package_w = {40}, .dram_w = {1}};
        const struct energy_report *package;
        const struct report *r;

        (void)state;
        accounts_set_baseline(&ledger.accounts, meter, &baseline);
        follow_child(false);
        for (unsigned int i = 0; i < NACCOUNTS; i++)
                now.energy_uj[i] = 100000; /* 10 W: half a die's baseline of package, all of dram */
        for (int i = 0; i < 50; i++)
                tick();
        target->detach = true;
        tick();
        r = final();
        package = &r->sockets[0].energy[ENERGY_PACKAGE];
        assert_true(package->base_high);
        assert_in_range(package->below_base_ticks, 49, (r->end_ns - r->start_ns) / TICK_NS);
        assert_false(r->sockets[0].energy[ENERGY_DRAM].base_high);
        assert_int_equal(r->sockets[0].energy[ENERGY_DRAM].below_base_ticks, 0);
}

static void memory_is_told_by_the_time_it_was_held_not_by_the_mark(void **state)
{
        const struct report *r;

        (void)state;
        follow_child(true);
        hold(2, 1 * GIB, 0, 4 * GIB, 4 * GIB);
        for (int i = 0; i < 10; i++)
                tick();
        processes_death(&ledger.processes, processes_find(&ledger.processes, 2));
        r = final();
        assert_int_equal(r->end_ns - r->start_ns, 11 * TICK_NS);
        assert_true(r->machine_ns > SECOND_NS / 2); /* to the mark */
        /* an eighth of all; dead in the last of its eleven ticks */
        assert_true(fabs(r->sockets[0].energy[ENERGY_DRAM].credit - 0.125) < 1e-9);
        assert_int_equal(r->memory_unknown_ns, 0);
}

static void who_began_after_memory_was_measured_is_not_known_yet(void **state)
{
        const struct report *r;

        (void)state;
        follow_child(false);
        hold(ROOT_PID, 1 * GIB, 0, 4 * GIB, 4 * GIB); /* without process 2 */
        now.energy_uj[DRAM_0] = 1000;
        tick();
        target->detach = true;
        tick();
        r = final();
        assert_true(r->sockets[0].energy[ENERGY_DRAM].credit < 0);
        assert_true(r->memory_unknown_ns > 0);
}

/* Invariants 1 and 3 of the model's documentation, with everything that may happen. */
static void at_every_tick_parts_are_the_whole_and_no_total_falls(void **state)
{
        const struct accounts *a = &ledger.accounts;
        uint64_t seed = RANDOM_SEED, energy[NACCOUNTS] = {0}, before[NACCOUNTS] = {0};
        struct baseline base = {
                .nsockets = 1, .package_w = {5}, .dram_w = {1}}; /* 25 mJ and 5 mJ a tick and die */

        (void)state;
        born(ROOT_PID);
        accounts_set_baseline(&ledger.accounts, meter, &base);
        for (unsigned int step = 0; step < 6000; step++) {
                pid_t pid = 2 + (pid_t)random_below(&seed, MAX_PID - 2);
                struct process *p = processes_find(&ledger.processes, pid);

                if (!p && random_below(&seed, 2))
                        born(pid);
                else if (p && random_below(&seed, 4) == 0 && !ran_ns[pid][0] && !ran_ns[pid][1])
                        processes_death(&ledger.processes, p);
                for (pid = ROOT_PID; pid < MAX_PID; pid++)
                        if (processes_find(&ledger.processes, pid) && random_below(&seed, 3) == 0)
                                ran_ns[pid][random_below(&seed, 2)] = random_below(&seed, TICK_NS);
                nobody_ns[random_below(&seed, 2)] = random_below(&seed, TICK_NS);
                irq_ns[random_below(&seed, 2)] = random_below(&seed, TICK_NS / 4);
                for (unsigned int i = 0; i < NACCOUNTS; i++) {
                        now.energy_uj[i] = random_below(&seed, 200000);
                        energy[i] += now.energy_uj[i];
                }
                tick();
                if (random_below(&seed, 8) == 0)
                        hold(2, random_of_bits(&seed, 36), random_of_bits(&seed, 36),
                             random_of_bits(&seed, 40), random_of_bits(&seed, 40));
                ledger_settle(&ledger);
                for (unsigned int i = 0; i < NACCOUNTS; i++) {
                        uint64_t shares = ledger.processes.exited.share_uj[i];

                        for (pid = ROOT_PID; pid < MAX_PID; pid++)
                                if ((p = processes_find(&ledger.processes, pid)))
                                        shares += p->share_uj[i];
                        assert_int_equal(*account_sum(a, a->sums, SUM_ENERGY_UJ, i), energy[i]);
                        assert_int_equal(*account_sum(a, a->sums, SUM_STATIC_UJ, i) + shares +
                                                 *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ, i),
                                         energy[i]);
                        assert_true(shares >= before[i]);
                        before[i] = shares;
                }
        }
        for (unsigned int i = 0; i < NACCOUNTS; i++) /* and there was something to split */
                assert_true(before[i] > energy[i] / 100);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(energy_of_a_tick_goes_to_who_ran_in_it),
                TEST(interrupts_are_busy_time_for_both_models),
                TEST(memory_that_was_known_before_is_not_forgotten_at_the_end),
                TEST(a_sockets_credit_is_of_all_its_dies),
                TEST(a_socket_is_below_its_baseline_in_no_more_ticks_than_there_are),
                TEST(memory_is_told_by_the_time_it_was_held_not_by_the_mark),
                TEST(who_began_after_memory_was_measured_is_not_known_yet),
                TEST(at_every_tick_parts_are_the_whole_and_no_total_falls),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
