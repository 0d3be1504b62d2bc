/* SPDX-License-Identifier: MIT */
/* What a target is told: the difference of two copies of the ledger's sums, and EnergAt's estimate.
 */
#include <string.h>

#include "ledger.h"

static uint64_t max_of(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static void usage_copy(const struct ledger *l, struct usage *to, const struct usage *from)
{
        memcpy(to->cpu_ns, from->cpu_ns, (l->accounts.nslots + 1) * sizeof(uint64_t));
        memcpy(to->share_uj, from->share_uj, l->accounts.n * sizeof(uint64_t));
}

static uint64_t sum_since(const struct ledger *l, uint64_t *before, enum account_column column,
                          unsigned int i)
{
        return *account_sum(&l->accounts, l->accounts.sums, column, i) -
               *account_sum(&l->accounts, before, column, i);
}

/* Time behind an account between two copies of times by slot. */
static uint64_t time_since_ns(const struct ledger *l, const struct account *account,
                              const uint64_t *now, const uint64_t *before)
{
        return account_time_ns(account, now, l->accounts.nslots) -
               account_time_ns(account, before, l->accounts.nslots);
}

/* When the present window of `t` ends: now, or when its last process went. */
static uint64_t window_end_ns(const struct ledger *l, const struct target *t)
{
        return t->over_ns ? t->over_ns : l->now_ns;
}

/* The part of the machine's window, which marks bound, in which a coarse target was followed. */
static double window_part(const struct ledger *l, const struct target *t)
{
        if (!t->coarse || l->now_ns == t->sums_before_ns)
                return 1;
        return (double)(window_end_ns(l, t) - t->before_ns) /
               (double)(l->now_ns - t->sums_before_ns);
}

/* EnergAt's estimate for the interval that ends now, on a package account. */
static double package_attributed_j(const struct ledger *l, const struct target *t, unsigned int i,
                                   double *credit)
{
        const struct accounts *a = &l->accounts;
        const struct account *account = &a->all[i];
        uint64_t busy, own;

        busy = time_since_ns(l, account, busy_sum(a, a->sums, 0), busy_sum(a, t->sums_before, 0));
        own = time_since_ns(l, account, t->used.cpu_ns, t->used_before.cpu_ns);
        *credit = busy ? (double)own / (double)busy : 0;
        return model_attributed((double)sum_since(l, t->sums_before, SUM_DYNAMIC_UJ, i) / 1e6,
                                *credit, t->gamma);
}

/* Mean part of the memory in use over `ns` that end now; negative: it was never measured in them.
 */
static double memory_credit(bool measured, double credit_ns, uint64_t ns)
{
        if (!measured)
                return -1;
        return ns ? credit_ns / (double)ns : 0;
}

/* The same on a dram account: the credit is the mean over the interval's ticks. */
static double dram_attributed_j(const struct ledger *l, struct target *t, unsigned int i,
                                double *credit)
{
        /* Memory is held all the time: what a mark's window has beyond the target's is not its. */
        double dynamic_uj = window_part(l, t) *
                            (double)sum_since(l, t->sums_before, SUM_DYNAMIC_UJ, i);

        *credit = memory_credit(t->held_lately, t->held[i].credit_ns - t->held[i].credit_before_ns,
                                window_end_ns(l, t) - t->before_ns);
        if (*credit < 0)
                return 0;
        return model_attributed(dynamic_uj / 1e6, *credit, t->delta);
}

/*
 * A socket's credit in the window that began with `sums`: that of its domain, or, where its dies
 * have a domain each, theirs by the busy time (package) or memory in use (dram) behind them.
 */
static double socket_credit(const struct ledger *l, uint64_t *sums, const double *credit,
                            const struct account *of)
{
        const struct accounts *a = &l->accounts;
        double own = 0, all = 0, only = 0;
        unsigned int n = 0;

        for (unsigned int i = 0; i < a->n; i++) {
                const struct account *account = &a->all[i];
                uint64_t behind;

                if (account->socket != of->socket || account->kind != of->kind)
                        continue;
                if (credit[i] < 0)
                        return -1;
                behind = of->kind == ENERGY_DRAM
                                 ? l->memory.epochs[i].used_bytes
                                 : time_since_ns(l, account, busy_sum(a, a->sums, 0),
                                                 busy_sum(a, sums, 0));
                own += credit[i] * (double)behind;
                all += (double)behind;
                only = credit[i];
                n++;
        }
        if (n == 1)
                return only;
        return all > 0 ? own / all : 0;
}

static double mean_held_bytes(const struct ledger *l, const struct target *t, bool interval,
                              uint64_t ns)
{
        double byte_ns = 0;

        for (unsigned int i = 0; i < l->accounts.n; i++)
                byte_ns += t->held[i].byte_ns - (interval ? t->held[i].byte_before_ns : 0);
        return ns ? byte_ns / (double)ns : 0;
}

/*
 * Fill in the window from `sums`/`used` (copies at its beginning) to now.  attributed_j and credit
 * are by account.
 */
static void report_fill(const struct ledger *l, const struct target *t, struct report *r,
                        uint64_t *sums, const struct usage *used, const double *attributed_j,
                        const double *credit)
{
        const struct accounts *a = &l->accounts;

        memset(r->sockets, 0, r->nsockets * sizeof(r->sockets[0]));
        for (unsigned int i = 0; i < r->nsockets; i++)
                for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++)
                        r->sockets[i].energy[kind].credit = -1;
        for (unsigned int i = 0; i < a->n; i++) {
                const struct account *account = &a->all[i];
                struct socket_report *socket = &r->sockets[account->socket];
                struct energy_report *e = &socket->energy[account->kind];
                uint64_t unknown_ns = sum_since(l, sums, SUM_UNKNOWN_NS, i);
                uint64_t unbased_ns = sum_since(l, sums, SUM_UNBASED_NS, i);

                e->known |= !account_was_dark(a, i, a->sums, sums, r->machine_ns);
                e->gap |= unknown_ns > 0;
                e->still_ns = max_of(e->still_ns, sum_since(l, sums, SUM_STILL_NS, i));
                e->base_known |= account->base_known && !unbased_ns;
                if (account->base_known)
                        e->unbased_ns = max_of(e->unbased_ns, unbased_ns);
                e->late_ns = max_of(e->late_ns, sum_since(l, sums, SUM_LATE_NS, i));
                e->base_high |= account_base_is_high(sum_since(l, sums, SUM_DROPPED_UJ, i),
                                                     sum_since(l, sums, SUM_STATIC_UJ, i));
                /* of the window's ticks: two dies can fall short in the same */
                e->below_base_ticks = max_of(e->below_base_ticks,
                                             sum_since(l, sums, SUM_BELOW_BASE, i));
                e->energy_uj += sum_since(l, sums, SUM_ENERGY_UJ, i);
                e->static_uj += sum_since(l, sums, SUM_STATIC_UJ, i);
                e->tracer_uj += sum_since(l, sums, SUM_TRACER_UJ, i);
                e->share_uj += t->used.share_uj[i] - used->share_uj[i];
                e->attributed_j += attributed_j[i];
                e->credit = socket_credit(l, sums, credit, account);
        }
        r->cpu_ns = 0;
        for (unsigned int slot = 0; slot <= a->nslots; slot++) {
                uint64_t own = t->used.cpu_ns[slot] - used->cpu_ns[slot];

                r->cpu_ns += own;
                if (slot < a->nslots) {
                        int at = topology_socket_index(l->topology,
                                                       l->topology->slots[slot].socket);

                        r->sockets[at].cpu_ns += own;
                        r->sockets[at].busy_ns += *busy_sum(a, a->sums, slot) -
                                                  *busy_sum(a, sums, slot);
                }
        }
        for (unsigned int i = 0; i < SUM_MACHINE_COLUMNS; i++)
                r->machine[i] = *machine_sum(a, a->sums, (enum machine_column)i) -
                                *machine_sum(a, sums, (enum machine_column)i);
        r->processes = t->max_processes;
        r->threads = t->max_threads;
        r->held_bytes = mean_held_bytes(l, t, used == &t->used_before, r->end_ns - r->start_ns);
        r->held_basis = t->held_basis;
}

/* The interval of `t` ends now; the next one begins. */
void target_close_interval(struct ledger *l, struct target *t, bool last)
{
        struct accounts *a = &l->accounts;
        double attributed_j[SOURCE_MAX_DOMAINS], credit[SOURCE_MAX_DOMAINS];
        struct report *r = NULL;

        memory_split_settle_target(&l->memory, t, l->now_ns);
        if (t->intervals) {
                r = target_report(t, false);
                if (!r && !last) /* the server is slow: a longer interval */
                        return;
        }
        if (!t->held_lately)
                t->memory_unknown_ns += window_end_ns(l, t) - t->before_ns;
        for (unsigned int i = 0; i < a->n; i++) {
                attributed_j[i] = a->all[i].kind == ENERGY_PACKAGE
                                          ? package_attributed_j(l, t, i, &credit[i])
                                          : dram_attributed_j(l, t, i, &credit[i]);
                t->attributed_j[i] += attributed_j[i];
        }
        if (r) {
                r->event = REPORT_INTERVAL;
                r->memory_unknown_ns = 0;
                r->start_ns = t->before_ns;
                r->end_ns = window_end_ns(l, t);
                r->machine_ns = l->now_ns - t->sums_before_ns;
                r->detached = false;
                report_fill(l, t, r, t->sums_before, &t->used_before, attributed_j, credit);
                target_send(t, false);
        }
        memcpy(t->sums_before, a->sums, a->nsums * sizeof(uint64_t));
        usage_copy(l, &t->used_before, &t->used);
        t->before_ns = t->sums_before_ns = l->now_ns;
        t->before_mark = l->now_ns / l->mark_period_ns;
        for (unsigned int i = 0; i < a->n; i++) {
                t->held[i].credit_before_ns = t->held[i].credit_ns;
                t->held[i].byte_before_ns = t->held[i].byte_ns;
        }
        t->held_lately = t->held_known;
        t->most_processes = max_of(t->most_processes, t->max_processes);
        t->most_threads = max_of(t->most_threads, t->max_threads);
        t->max_processes = t->nprocesses;
        t->max_threads = t->nthreads;
}

/* Fill in the last report of `t`. */
void target_finish(struct ledger *l, struct target *t)
{
        struct accounts *a = &l->accounts;
        double credit[SOURCE_MAX_DOMAINS];
        struct usage nothing = {0};
        struct report *r;
        uint64_t *zero;

        if (l->now_ns != t->sums_before_ns)
                target_close_interval(l, t, true);
        r = target_report(t, true); /* its place is kept free by target_report(false) */
        zero = l->scratch;          /* at least as long: see ledger_init() */
        memset(zero, 0, (a->n + a->nslots + 1) * sizeof(*zero));
        nothing.cpu_ns = zero;
        nothing.share_uj = zero + a->nslots + 1;
        for (unsigned int i = 0; i < a->n; i++) {
                const struct account *account = &a->all[i];
                uint64_t busy = time_since_ns(l, account, busy_sum(a, a->sums, 0),
                                              busy_sum(a, t->sums_begin, 0));
                uint64_t own = account_time_ns(account, t->used.cpu_ns, a->nslots);

                if (account->kind == ENERGY_PACKAGE)
                        credit[i] = busy ? (double)own / (double)busy : 0;
                else
                        credit[i] = memory_credit(t->held_once, t->held[i].credit_ns,
                                                  window_end_ns(l, t) - t->begin_ns);
        }
        r->event = REPORT_FINAL;
        r->memory_unknown_ns = t->memory_unknown_ns;
        r->start_ns = t->begin_ns;
        r->end_ns = window_end_ns(l, t);
        r->machine_ns = l->now_ns - t->sums_begin_ns;
        r->detached = t->nprocesses > 0;
        report_fill(l, t, r, t->sums_begin, &nothing, t->attributed_j, credit);
        r->processes = max_of(t->most_processes, t->max_processes);
        r->threads = max_of(t->most_threads, t->max_threads);
        t->left = true;
}
