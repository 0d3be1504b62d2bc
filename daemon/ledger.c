/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/* Interrupts, where they are not in the time of those whom they interrupt. */
static uint64_t irq_sum_ns(const struct cputime_totals *totals, unsigned int slot)
{
        return totals->irq_known ? totals->irq_ns[slot] : 0;
}

/* Interrupts, and what was busy without a process that was met. */
static uint64_t unowned_sum_ns(const struct cputime_totals *totals, unsigned int slot)
{
        return totals->nobody_ns[slot] + irq_sum_ns(totals, slot);
}

/* ---- the split of a tick ---- */

static int scratch_grow(struct ledger *l, size_t n)
{
        size_t size = l->scratch_size ? l->scratch_size : 256;
        uint64_t *words;

        if (n + 1 <= l->scratch_size)
                return 0;
        while (size < n + 1)
                size *= 2;
        words = calloc(3 * size, sizeof(*words));
        if (!words)
                return -ENOMEM;
        free(l->weights);
        l->weights = words;
        l->shares = words + size;
        l->scratch = words + 2 * size;
        l->scratch_size = size;
        return 0;
}

/* Time of this tick behind an account that is nobody's: its energy is unattributed. */
static uint64_t unowned_time_ns(const struct ledger *l, const struct cputime_totals *totals,
                                const struct account *account)
{
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot < l->accounts.nslots; slot++)
                if (account->slots >> slot & 1)
                        ns += unowned_sum_ns(totals, slot) - l->unowned_before_ns[slot];
        return ns;
}

/* Split what is pending on one package account among the entries of the tick. */
static void split_package(struct ledger *l, const struct cputime_totals *totals,
                          unsigned int number)
{
        const struct account *account = &l->accounts.all[number];
        struct processes *ps = &l->processes;
        uint64_t total = unowned_time_ns(l, totals, account), rest;

        for (uint32_t i = 0; i < ps->nentries; i++) {
                l->weights[i] = account_time_ns(account, processes_entry_ns(ps, i), ps->nslots);
                total += l->weights[i];
        }
        rest = model_split_uj(l->pending_uj[number], l->weights, ps->nentries, total, l->shares,
                              l->scratch);
        *account_sum(&l->accounts, l->accounts.sums, SUM_UNATTRIBUTED_UJ, number) += rest;
        for (uint32_t i = 0; i < ps->nentries; i++) {
                const struct entry *e = &ps->entries[i];

                if (!l->shares[i])
                        continue;
                e->process->share_uj[number] += l->shares[i];
                for (unsigned int t = 0; e->targets && t < e->targets->ntargets; t++)
                        e->targets->targets[t]->used.share_uj[number] += l->shares[i];
        }
}

/* What is pending on a dram account belongs to those who hold memory. */
static void split_dram(struct ledger *l, unsigned int number)
{
        *account_sum(&l->accounts, l->accounts.sums, SUM_UNATTRIBUTED_UJ,
                     number) += memory_split_tick(&l->memory, number, l->pending_uj[number]);
}

static void count_cpu_time(struct ledger *l)
{
        struct processes *ps = &l->processes;

        for (uint32_t i = 0; i < ps->nentries; i++) {
                const struct target_set *set = ps->entries[i].targets;
                const uint64_t *ns = processes_entry_ns(ps, i);

                for (unsigned int t = 0; set && t < set->ntargets; t++)
                        for (unsigned int slot = 0; slot <= ps->nslots; slot++)
                                set->targets[t]->used.cpu_ns[slot] += ns[slot];
        }
}

/* Sums that are counted elsewhere. */
static void copy_sums(struct ledger *l, const struct cputime *cputime)
{
        const struct cputime_totals *totals = cputime_totals(cputime);
        const struct cputime_losses *losses = cputime_losses(cputime);
        struct accounts *a = &l->accounts;

        for (unsigned int slot = 0; slot <= a->nslots; slot++) {
                *busy_sum(a, a->sums, slot) = totals->busy_ns[slot] + irq_sum_ns(totals, slot);
                l->unowned_before_ns[slot] = unowned_sum_ns(totals, slot);
        }
        *machine_sum(a, a->sums, SUM_LOST_NS) = losses->lost_ns + losses->unseen_ns;
        *machine_sum(a, a->sums, SUM_LOST_THREADS) = losses->lost_threads;
        *machine_sum(a, a->sums, SUM_MERGED) = losses->merged;
        *machine_sum(a, a->sums, SUM_UNPLACED_NS) = losses->unplaced_ns;
        if (l->self && l->self->dead)
                l->self = NULL; /* it is about to be freed */
        if (!l->self)
                l->self = processes_find(&l->processes, getpid());
        if (l->self)
                memory_split_settle_process(&l->memory, l->self);
        for (unsigned int i = 0; l->self && i < a->n; i++) {
                uint64_t *tracer_uj = account_sum(a, a->sums, SUM_TRACER_UJ, i);

                /* Sums only grow, also when the accounting met us anew. */
                if (l->self->share_uj[i] > *tracer_uj)
                        *tracer_uj = l->self->share_uj[i];
        }
}

/* ---- targets ---- */

static void target_unlink(struct ledger *l, struct target *t)
{
        if (t->prev)
                t->prev->next = t->next;
        else
                l->targets = t->next;
        if (t->next)
                t->next->prev = t->prev;
        l->ntargets--;
}

static bool has_left(const struct target *t)
{
        return t->left;
}

/* Is an interval of `t` over?  For a coarse one marks are counted: none is cut short by a late one.
 */
static bool interval_is_over(const struct ledger *l, const struct target *t)
{
        uint64_t mark = l->now_ns / l->mark_period_ns;

        if (t->coarse)
                return mark > t->before_mark &&
                       (mark - t->before_mark) * l->mark_period_ns >= t->interval_ns;
        return l->now_ns - t->before_ns + l->tick_ns / 2 >= t->interval_ns;
}

static void targets_serve(struct ledger *l)
{
        bool living = false, any = false;

        for (struct target *t = l->targets; t; t = t->next) {
                if (t->nprocesses == 0 && !t->over_ns)
                        t->over_ns = l->now_ns;
                if (t->coarse && !l->at_mark && !t->abandoned)
                        continue;
                if (t->detach || t->nprocesses == 0) {
                        any = true;
                        living |= t->nprocesses > 0;
                        target_finish(l, t);
                } else if (interval_is_over(l, t)) {
                        target_close_interval(l, t, false);
                }
        }
        if (!any)
                return;
        /* However many end at once, their processes are told in one pass. */
        if (living)
                processes_unfollow_those(&l->processes, has_left);
        for (struct target *t = l->targets, *next; t; t = next) {
                next = t->next;
                if (!t->left)
                        continue;
                target_unlink(l, t);
                target_send(t, true); /* from here on it is the server's */
        }
}

/* ---- the tick ---- */

static void mark_set(struct ledger *l)
{
        memcpy(l->mark_sums, l->accounts.sums, l->accounts.nsums * sizeof(uint64_t));
        l->mark_ns = l->now_ns;
}

/* Is this tick a mark?  The last tick of all is one: everybody gets what there is. */
static void mark_check(struct ledger *l)
{
        l->at_mark = l->last || l->now_ns / l->mark_period_ns != l->mark_ns / l->mark_period_ns;
        if (l->at_mark)
                mark_set(l);
}

void ledger_book(struct ledger *l, const struct meter_tick *tick, bool slept)
{
        l->now_ns = tick->now_ns;
        for (unsigned int i = 0; i < l->accounts.n; i++)
                l->pending_uj[i] += account_book(&l->accounts, i, tick, slept);
}

void ledger_split(struct ledger *l, const struct cputime *cputime, bool counted)
{
        struct accounts *a = &l->accounts;

        if (!counted || scratch_grow(l, l->processes.nentries) < 0) {
                /* The tick's energy is nobody's, and that shows. */
                *machine_sum(a, a->sums, SUM_UNCOUNTED) += 1;
                for (unsigned int i = 0; i < a->n; i++)
                        *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ, i) += l->pending_uj[i];
        } else {
                for (unsigned int i = 0; i < a->n; i++) {
                        if (a->all[i].kind == ENERGY_PACKAGE)
                                split_package(l, cputime_totals(cputime), i);
                        else
                                split_dram(l, i);
                }
                count_cpu_time(l);
        }
        memset(l->pending_uj, 0, a->n * sizeof(l->pending_uj[0]));
        memory_split_leave_dead(&l->memory, &l->processes, l->now_ns);
        copy_sums(l, cputime);
        mark_check(l);
        processes_bury(&l->processes);
        targets_serve(l);
}

/* ---- memory ---- */

void ledger_settle(struct ledger *l)
{
        struct accounts *a = &l->accounts;

        memory_split_settle(&l->memory, &l->processes, l->targets, l->now_ns, l->rest_uj);
        for (unsigned int i = 0; i < a->n; i++)
                *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ, i) += l->rest_uj[i];
}

void ledger_hold(struct ledger *l, const struct memory_holdings *holdings)
{
        ledger_settle(l);
        memory_split_begin(&l->memory, &l->processes, l->targets, holdings, l->now_ns);
}

/* ---- life ---- */

struct joining {
        struct ledger *ledger;
        struct target *target;
};

static void join(struct process *p, void *arg)
{
        const struct joining *j = arg;

        memory_split_join(&j->ledger->memory, p, j->target, j->ledger->now_ns);
}

int ledger_follow(struct ledger *l, struct target *t)
{
        struct process *p = processes_find(&l->processes, t->pid);
        const uint64_t *sums;
        int r;

        if (!p)
                return -ESRCH;
        if (t->start_ticks) {
                uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

                if (p->start_ns / (NS_PER_S / hz) != t->start_ticks)
                        return -ESRCH;
        }
        r = processes_follow(&l->processes, p, t);
        if (r < 0)
                return r;
        sums = t->coarse ? l->mark_sums : l->accounts.sums;
        memcpy(t->sums_begin, sums, l->accounts.nsums * sizeof(uint64_t));
        memcpy(t->sums_before, sums, l->accounts.nsums * sizeof(uint64_t));
        t->begin_ns = t->before_ns = t->held_since_ns = l->now_ns;
        t->sums_begin_ns = t->sums_before_ns = t->coarse ? l->mark_ns : l->now_ns;
        t->before_mark = l->now_ns / l->mark_period_ns + 1; /* what is begun counts from the next */
        for (unsigned int i = 0; i < l->accounts.n; i++)
                t->held[i].settled_uj = l->memory.epochs[i].energy_uj;
        processes_below(p, join, &(struct joining){.ledger = l, .target = t});
        t->prev = NULL;
        t->next = l->targets;
        if (t->next)
                t->next->prev = t;
        l->targets = t;
        l->ntargets++;
        return r;
}

void ledger_begin(struct ledger *l, const struct cputime *cputime, uint64_t now_ns)
{
        processes_bury(&l->processes);
        copy_sums(l, cputime);
        l->now_ns = now_ns;
        mark_set(l);
}

void ledger_deinit(struct ledger *l)
{
        processes_deinit(&l->processes);
        memory_split_deinit(&l->memory);
        accounts_deinit(&l->accounts);
        free(l->pending_uj);
        free(l->rest_uj);
        free(l->unowned_before_ns);
        free(l->mark_sums);
        free(l->weights);
        *l = (struct ledger){0};
}

int ledger_init(struct ledger *l, const struct meter *meter, const struct topology *topology,
                uint64_t tick_ns, uint64_t mark_period_ns)
{
        int r;

        *l = (struct ledger){
                .topology = topology, .tick_ns = tick_ns, .mark_period_ns = mark_period_ns};
        r = accounts_init(&l->accounts, meter, topology);
        if (r < 0)
                return r;
        l->pending_uj = calloc(l->accounts.n, sizeof(l->pending_uj[0]));
        l->rest_uj = calloc(l->accounts.n, sizeof(l->rest_uj[0]));
        l->unowned_before_ns = calloc(l->accounts.nslots + 1, sizeof(l->unowned_before_ns[0]));
        l->mark_sums = calloc(l->accounts.nsums, sizeof(l->mark_sums[0]));
        r = l->pending_uj && l->rest_uj && l->unowned_before_ns && l->mark_sums
                    ? processes_init(&l->processes, topology->nslots, l->accounts.n)
                    : -ENOMEM;
        if (r == 0)
                r = memory_split_init(&l->memory, l->accounts.n);
        /* target_finish() borrows the scratch for one zero of each account and slot. */
        if (r == 0)
                r = scratch_grow(l, l->accounts.n + l->accounts.nslots + 1);
        if (r < 0)
                ledger_deinit(l);
        return r;
}
