/* SPDX-License-Identifier: MIT */
#include "sampler.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clock_watch.h"
#include "log.h"

#define NS_PER_S 1000000000ull
/* Above every ordinary thread, below the kernel's own real-time threads: a tick takes some ten us.
 */
#define TICK_PRIORITY 1
/* Power varies; a baseline that was not reached for a twentieth of its energy is worth a word. */
#define BASE_HIGH_FACTOR 20
/* A counter that the highest power takes round in fewer ticks may do it twice unseen when one is
 * late. */
#define WRAP_TICKS 2

struct sampler {
        uint64_t tick_ns;
        struct meter *meter;
        struct cputime *cputime;
        struct processes processes;
        struct accounts accounts;
        struct topology topology; /* a copy; cpus belong to it */
        struct mailbox mailbox;
        pthread_t thread;
        bool started, realtime;
        int timer_fd;
        bool stop;

        uint64_t now_ns, started_ns; /* of the last and of the first reading */
        struct meter_tick tick;
        uint64_t *pending_uj;        /* by account: dynamic energy not split yet */
        uint64_t *unowned_before_ns; /* by slot */
        struct process *self;

        struct target *targets;
        unsigned int ntargets;

        struct clock_watch clocks;
        struct lateness lateness;

        struct fault_news *fault_news;
        enum fault_kind told[SOURCE_MAX_DOMAINS];
        uint64_t domain_uj[SOURCE_MAX_DOMAINS], domain_unknown_ns[SOURCE_MAX_DOMAINS];
        uint64_t second_uj[SOURCE_MAX_DOMAINS], second_unknown_ns[SOURCE_MAX_DOMAINS];
        uint64_t second_ns; /* when the views were made */
        struct domain_view views[SOURCE_MAX_DOMAINS];

        /* scratch of the split, grown when more processes ran than ever before */
        uint64_t *weights, *shares, *scratch;
        size_t scratch_size;
};

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t monotonic_ns(void)
{
        return clock_ns(CLOCK_MONOTONIC);
}

/* Interrupts, and what was busy without a process that was met. */
static uint64_t unowned_sum_ns(const struct cputime_totals *totals, unsigned int slot)
{
        return totals->nobody_ns[slot] + (totals->irq_known ? totals->irq_ns[slot] : 0);
}

/* ---- the split of a tick ---- */

static int scratch_grow(struct sampler *s, size_t n)
{
        size_t size = s->scratch_size ? s->scratch_size : 256;
        uint64_t *words;

        if (n + 1 <= s->scratch_size)
                return 0;
        while (size < n + 1)
                size *= 2;
        words = calloc(3 * size, sizeof(*words));
        if (!words)
                return -ENOMEM;
        free(s->weights);
        s->weights = words;
        s->shares = words + size;
        s->scratch = words + 2 * size;
        s->scratch_size = size;
        return 0;
}

/* Time of this tick behind an account that is nobody's: its energy is unattributed. */
static uint64_t unowned_time_ns(const struct sampler *s, const struct account *account)
{
        const struct cputime_totals *totals = cputime_totals(s->cputime);
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot < s->accounts.nslots; slot++)
                if (account->slots >> slot & 1)
                        ns += unowned_sum_ns(totals, slot) - s->unowned_before_ns[slot];
        return ns;
}

/* Split what is pending on one package account among the entries of the tick. */
static void split_package(struct sampler *s, unsigned int number)
{
        const struct account *account = &s->accounts.all[number];
        struct processes *ps = &s->processes;
        uint64_t total = unowned_time_ns(s, account), rest;

        for (uint32_t i = 0; i < ps->nentries; i++) {
                s->weights[i] = account_time_ns(account, processes_entry_ns(ps, i), ps->nslots);
                total += s->weights[i];
        }
        rest = model_split_uj(s->pending_uj[number], s->weights, ps->nentries, total, s->shares,
                              s->scratch);
        *account_sum(&s->accounts, s->accounts.sums, SUM_UNATTRIBUTED_UJ, number) += rest;
        for (uint32_t i = 0; i < ps->nentries; i++) {
                const struct entry *e = &ps->entries[i];

                if (!s->shares[i])
                        continue;
                e->process->share_uj[number] += s->shares[i];
                for (unsigned int t = 0; e->targets && t < e->targets->ntargets; t++)
                        e->targets->targets[t]->used.share_uj[number] += s->shares[i];
        }
}

static void count_cpu_time(struct sampler *s)
{
        struct processes *ps = &s->processes;

        for (uint32_t i = 0; i < ps->nentries; i++) {
                const struct target_set *set = ps->entries[i].targets;
                const uint64_t *ns = processes_entry_ns(ps, i);

                for (unsigned int t = 0; set && t < set->ntargets; t++)
                        for (unsigned int slot = 0; slot <= ps->nslots; slot++)
                                set->targets[t]->used.cpu_ns[slot] += ns[slot];
        }
}

/* Sums that are counted elsewhere. */
static void copy_sums(struct sampler *s)
{
        const struct cputime_totals *totals = cputime_totals(s->cputime);
        const struct cputime_losses *losses = cputime_losses(s->cputime);
        struct accounts *a = &s->accounts;

        for (unsigned int slot = 0; slot <= a->nslots; slot++) {
                *busy_sum(a, a->sums, slot) = totals->busy_ns[slot];
                s->unowned_before_ns[slot] = unowned_sum_ns(totals, slot);
        }
        *machine_sum(a, a->sums, SUM_LOST_NS) = losses->lost_ns + losses->unseen_ns;
        *machine_sum(a, a->sums, SUM_LOST_THREADS) = losses->lost_threads;
        *machine_sum(a, a->sums, SUM_MERGED) = losses->merged;
        *machine_sum(a, a->sums, SUM_HIDDEN) = losses->hidden_switches;
        *machine_sum(a, a->sums, SUM_UNPLACED_NS) = losses->unplaced_ns;
        if (!s->self)
                s->self = processes_find(&s->processes, getpid());
        for (unsigned int i = 0; s->self && i < a->n; i++)
                *account_sum(a, a->sums, SUM_TRACER_UJ, i) = s->self->share_uj[i];
}

/* ---- reports ---- */

static unsigned int max_of(unsigned int a, unsigned int b)
{
        return a > b ? a : b;
}

static void usage_copy(const struct sampler *s, struct usage *to, const struct usage *from)
{
        memcpy(to->cpu_ns, from->cpu_ns, (s->accounts.nslots + 1) * sizeof(uint64_t));
        memcpy(to->share_uj, from->share_uj, s->accounts.n * sizeof(uint64_t));
}

static uint64_t sum_since(const struct sampler *s, uint64_t *before, enum account_column column,
                          unsigned int i)
{
        return *account_sum(&s->accounts, s->accounts.sums, column, i) -
               *account_sum(&s->accounts, before, column, i);
}

/* Time behind an account between two copies of times by slot. */
static uint64_t time_since_ns(const struct sampler *s, const struct account *account,
                              const uint64_t *now, const uint64_t *before)
{
        return account_time_ns(account, now, s->accounts.nslots) -
               account_time_ns(account, before, s->accounts.nslots);
}

/* EnergAt's estimate for the interval that ends now, on a package account. */
static double package_attributed_j(const struct sampler *s, const struct target *t, unsigned int i,
                                   double *credit)
{
        const struct accounts *a = &s->accounts;
        const struct account *account = &a->all[i];
        uint64_t busy, own;

        busy = time_since_ns(s, account, busy_sum(a, a->sums, 0), busy_sum(a, t->sums_before, 0));
        own = time_since_ns(s, account, t->used.cpu_ns, t->used_before.cpu_ns);
        *credit = busy ? (double)own / (double)busy : 0;
        return model_attributed((double)sum_since(s, t->sums_before, SUM_DYNAMIC_UJ, i) / 1e6,
                                *credit, t->gamma);
}

/*
 * The same on a dram account: the credit is the mean of what memory.h found in the interval, or,
 * where it found nothing new, what it was before.  The share of dram is booked here too, once an
 * interval.
 */
static double dram_attributed_j(const struct sampler *s, struct target *t, unsigned int i,
                                double *credit)
{
        uint64_t dynamic_uj = sum_since(s, t->sums_before, SUM_DYNAMIC_UJ, i);

        *credit = t->memory_credit[i];
        if (*credit >= 0 && t->memory_samples)
                *credit = t->memory_sum[i] / t->memory_samples;
        if (*credit < 0) {
                t->memory_unknown |= sum_since(s, t->sums_before, SUM_ENERGY_UJ, i) > 0;
                return 0;
        }
        if (*credit > 1) /* the target's and the node's memory are not read at one instant */
                *credit = 1;
        t->used.share_uj[i] += (uint64_t)((double)dynamic_uj * *credit);
        return model_attributed((double)dynamic_uj / 1e6, *credit, t->delta);
}

/*
 * Fill in the window from `sums`/`used` (copies at its beginning) to now.  attributed_j and credit
 * are by account.
 */
static void report_fill(const struct sampler *s, const struct target *t, struct report *r,
                        uint64_t *sums, const struct usage *used, const double *attributed_j,
                        const double *credit)
{
        const struct accounts *a = &s->accounts;

        memset(r->sockets, 0, r->nsockets * sizeof(r->sockets[0]));
        for (unsigned int i = 0; i < r->nsockets; i++)
                for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++)
                        r->sockets[i].energy[kind].credit = -1;
        for (unsigned int i = 0; i < a->n; i++) {
                const struct account *account = &a->all[i];
                struct socket_report *socket = &r->sockets[account->socket];
                struct energy_report *e = &socket->energy[account->kind];
                uint64_t unknown_ns = sum_since(s, sums, SUM_UNKNOWN_NS, i);

                e->known |= unknown_ns < r->end_ns - r->start_ns || r->end_ns == r->start_ns;
                e->gap |= unknown_ns > 0;
                e->base_known |= account->base_known;
                e->base_high |= sum_since(s, sums, SUM_DROPPED_UJ, i) * BASE_HIGH_FACTOR >
                                sum_since(s, sums, SUM_STATIC_UJ, i);
                e->energy_uj += sum_since(s, sums, SUM_ENERGY_UJ, i);
                e->static_uj += sum_since(s, sums, SUM_STATIC_UJ, i);
                e->tracer_uj += sum_since(s, sums, SUM_TRACER_UJ, i);
                e->share_uj += t->used.share_uj[i] - used->share_uj[i];
                e->attributed_j += attributed_j[i];
                e->credit = credit[i];
        }
        r->cpu_ns = 0;
        for (unsigned int slot = 0; slot <= a->nslots; slot++) {
                uint64_t own = t->used.cpu_ns[slot] - used->cpu_ns[slot];

                r->cpu_ns += own;
                if (slot < a->nslots) {
                        int at = topology_socket_index(&s->topology,
                                                       s->topology.slots[slot].socket);

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
}

/* The interval of `t` ends now; the next one begins. */
static void interval_close(struct sampler *s, struct target *t, bool last)
{
        struct accounts *a = &s->accounts;
        double attributed_j[SOURCE_MAX_DOMAINS], credit[SOURCE_MAX_DOMAINS];
        struct report *r = NULL;

        if (t->intervals) {
                r = target_report(t, false);
                if (!r && !last) /* the server is slow: a longer interval */
                        return;
        }
        for (unsigned int i = 0; i < a->n; i++) {
                attributed_j[i] = a->all[i].kind == ENERGY_PACKAGE
                                          ? package_attributed_j(s, t, i, &credit[i])
                                          : dram_attributed_j(s, t, i, &credit[i]);
                t->attributed_j[i] += attributed_j[i];
        }
        if (r) {
                r->event = REPORT_INTERVAL;
                r->start_ns = t->before_ns;
                r->end_ns = s->now_ns;
                r->detached = false;
                report_fill(s, t, r, t->sums_before, &t->used_before, attributed_j, credit);
                target_send(t, false);
        }
        memcpy(t->sums_before, a->sums, a->nsums * sizeof(uint64_t));
        usage_copy(s, &t->used_before, &t->used);
        t->before_ns = s->now_ns;
        memset(t->memory_sum, 0, a->n * sizeof(t->memory_sum[0]));
        t->memory_samples = 0;
        t->most_processes = max_of(t->most_processes, t->max_processes);
        t->most_threads = max_of(t->most_threads, t->max_threads);
        t->max_processes = t->nprocesses;
        t->max_threads = t->nthreads;
}

static void target_unlink(struct sampler *s, struct target *t)
{
        if (t->prev)
                t->prev->next = t->next;
        else
                s->targets = t->next;
        if (t->next)
                t->next->prev = t->prev;
        s->ntargets--;
}

/* Fill in the last report of `t`. */
static void target_finish(struct sampler *s, struct target *t)
{
        struct accounts *a = &s->accounts;
        double credit[SOURCE_MAX_DOMAINS];
        struct usage nothing = {0};
        struct report *r;
        uint64_t *zero;

        if (s->now_ns != t->before_ns)
                interval_close(s, t, true);
        r = target_report(t, true); /* its place is kept free by target_report(false) */
        zero = s->scratch;          /* at least as long: see sampler_new() */
        memset(zero, 0, (a->n + a->nslots + 1) * sizeof(*zero));
        nothing.cpu_ns = zero;
        nothing.share_uj = zero + a->nslots + 1;
        for (unsigned int i = 0; i < a->n; i++) {
                const struct account *account = &a->all[i];
                uint64_t busy = time_since_ns(s, account, busy_sum(a, a->sums, 0),
                                              busy_sum(a, t->sums_begin, 0));
                uint64_t own = account_time_ns(account, t->used.cpu_ns, a->nslots);

                if (account->kind == ENERGY_PACKAGE)
                        credit[i] = busy ? (double)own / (double)busy : 0;
                else
                        credit[i] = t->memory_unknown ? -1 : t->memory_credit[i];
        }
        r->event = REPORT_FINAL;
        r->start_ns = t->begin_ns;
        r->end_ns = s->now_ns;
        r->detached = t->nprocesses > 0;
        report_fill(s, t, r, t->sums_begin, &nothing, t->attributed_j, credit);
        r->processes = max_of(t->most_processes, t->max_processes);
        r->threads = max_of(t->most_threads, t->max_threads);
        t->left = true;
}

static bool has_left(const struct target *t)
{
        return t->left;
}

static void targets_serve(struct sampler *s)
{
        bool living = false, any = false;

        for (struct target *t = s->targets; t; t = t->next) {
                if (t->detach || t->nprocesses == 0) {
                        any = true;
                        living |= t->nprocesses > 0;
                        target_finish(s, t);
                } else if (s->now_ns - t->before_ns + s->tick_ns / 2 >= t->interval_ns) {
                        interval_close(s, t, false);
                }
        }
        if (!any)
                return;
        /* However many end at once, their processes are told in one pass. */
        if (living)
                processes_unfollow_those(&s->processes, has_left);
        for (struct target *t = s->targets, *next; t; t = next) {
                next = t->next;
                if (!t->left)
                        continue;
                target_unlink(s, t);
                target_send(t, true); /* from here on it is the server's */
        }
}

/* ---- domains ---- */

/* Tell of faults that have begun or ended since they were last told. */
static void faults_tell(struct sampler *s)
{
        struct fault_news *news = s->fault_news;
        bool changed = false;

        if (!news || __atomic_load_n(&news->pending, __ATOMIC_ACQUIRE))
                return;
        for (size_t i = 0; i < s->tick.ndomains; i++)
                changed |= meter_fault_kind(s->meter, i) != s->told[i];
        if (!changed)
                return;
        news->ndomains = s->tick.ndomains;
        for (size_t i = 0; i < s->tick.ndomains; i++) {
                meter_fault(s->meter, i, &news->faults[i]);
                s->told[i] = news->faults[i].kind;
        }
        __atomic_store_n(&news->pending, true, __ATOMIC_RELEASE);
        mailbox_push(news->mailbox, &news->letter);
}

void fault_news_taken(struct fault_news *news)
{
        __atomic_store_n(&news->pending, false, __ATOMIC_RELEASE);
}

void sampler_tell_faults(struct sampler *s, struct fault_news *news)
{
        s->fault_news = news;
}

static void domains_count(struct sampler *s)
{
        double second;

        for (size_t i = 0; i < s->tick.ndomains; i++) {
                if (s->tick.known[i])
                        s->domain_uj[i] += s->tick.energy_uj[i];
                else
                        s->domain_unknown_ns[i] += s->tick.elapsed_ns;
        }
        if (s->now_ns - s->second_ns < NS_PER_S)
                return;
        second = (double)(s->now_ns - s->second_ns) / (double)NS_PER_S;
        for (size_t i = 0; i < s->tick.ndomains; i++) {
                bool gap = s->domain_unknown_ns[i] != s->second_unknown_ns[i];

                s->views[i].power_w = gap ? NAN
                                          : (double)(s->domain_uj[i] - s->second_uj[i]) / 1e6 /
                                                      second;
                s->views[i].energy_uj = s->domain_uj[i];
                s->second_uj[i] = s->domain_uj[i];
                s->second_unknown_ns[i] = s->domain_unknown_ns[i];
                if (meter_wrap_s(s->meter, i) * (double)NS_PER_S < WRAP_TICKS * (double)s->tick_ns)
                        *machine_sum(&s->accounts, s->accounts.sums, SUM_WRAP_RISK) += 1;
        }
        s->second_ns = s->now_ns;
}

/* ---- the tick ---- */

static void read_meter(struct sampler *s)
{
        const struct cputime_totals *totals = cputime_totals(s->cputime);
        struct source_input input = {.now_ns = monotonic_ns(),
                                     .slot_busy_ns = totals->busy_ns,
                                     .nslots = s->accounts.nslots};

        meter_read(s->meter, &input, &s->tick);
}

/* Did the machine sleep, or did somebody set the clock? */
static bool clocks_check(struct sampler *s)
{
        struct accounts *a = &s->accounts;
        struct clock_event event;

        clock_watch_tick(&s->clocks, monotonic_ns(), clock_ns(CLOCK_BOOTTIME),
                         clock_ns(CLOCK_REALTIME), &event);
        *machine_sum(a, a->sums, SUM_SUSPENDED_NS) += event.suspended_ns;
        *machine_sum(a, a->sums, SUM_CLOCK_SET) += event.set_ns != 0;
        return event.suspended_ns > 0;
}

static void tick(struct sampler *s, uint64_t missed)
{
        struct accounts *a = &s->accounts;
        bool slept = clocks_check(s);
        bool estimated = meter_estimated(s->meter);
        int r;

        /* A model is driven by busy time; a meter is read first, because its instant matters. */
        if (!estimated)
                read_meter(s);
        r = cputime_collect(s->cputime, false);
        if (estimated)
                read_meter(s);
        s->now_ns = s->tick.now_ns;
        domains_count(s);
        faults_tell(s);
        *machine_sum(a, a->sums, SUM_TICKS) += 1;
        *machine_sum(a, a->sums, SUM_MISSED_TICKS) += missed;
        for (unsigned int i = 0; i < a->n; i++)
                s->pending_uj[i] += account_book(a, i, &s->tick, slept);
        if (r == 0) /* /proc is read more slowly: the energy waits for it */
                return;
        if (r < 0 || scratch_grow(s, s->processes.nentries) < 0) {
                /* Out of memory: the tick's energy is nobody's, and that shows. */
                for (unsigned int i = 0; i < a->n; i++)
                        *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ, i) += s->pending_uj[i];
        } else {
                for (unsigned int i = 0; i < a->n; i++) {
                        if (a->all[i].kind == ENERGY_PACKAGE)
                                split_package(s, i);
                        else
                                *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ,
                                             i) += s->pending_uj[i];
                }
                count_cpu_time(s);
        }
        memset(s->pending_uj, 0, a->n * sizeof(s->pending_uj[0]));
        copy_sums(s);
        processes_bury(&s->processes);
        targets_serve(s);
}

static void *run(void *arg)
{
        struct sampler *s = arg;
        struct pollfd fds[2] = {{.fd = s->timer_fd, .events = POLLIN},
                                {.fd = s->mailbox.fd, .events = POLLIN}};

        prctl(PR_SET_NAME, "energatd/tick");
        prctl(PR_SET_TIMERSLACK, 1);
        while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
                if (poll(fds, 2, -1) < 0)
                        continue; /* EINTR */
                if (fds[0].revents) {
                        uint64_t expirations;

                        if (read(s->timer_fd, &expirations, sizeof(expirations)) ==
                            sizeof(expirations)) {
                                /* Ticks are at whole multiples of the period. */
                                lateness_add(&s->lateness, monotonic_ns() % s->tick_ns +
                                                                   (expirations - 1) * s->tick_ns);
                                tick(s, expirations - 1);
                        }
                }
                if (fds[1].revents)
                        mailbox_deliver(&s->mailbox);
        }
        /* Everybody gets what there is. */
        for (struct target *t = s->targets; t; t = t->next)
                t->detach = true;
        tick(s, 0);
        return NULL;
}

/* ---- requests ---- */

void sampler_memory_credits(struct sampler *s, const struct memory_credits *credits)
{
        for (struct target *t = s->targets; t; t = t->next) {
                if (t->id != credits->target)
                        continue;
                for (unsigned int i = 0; i < s->accounts.n; i++) {
                        t->memory_credit[i] = credits->credit[i];
                        t->memory_sum[i] += credits->credit[i] > 0 ? credits->credit[i] : 0;
                }
                t->memory_samples++;
                return;
        }
}

int sampler_follow(struct sampler *s, struct target *t)
{
        struct process *p;
        int r;

        /* All that has run until now is not the target's. */
        r = cputime_collect(s->cputime, true);
        if (r < 0)
                return r;
        p = processes_find(&s->processes, t->pid);
        if (!p)
                return -ESRCH;
        if (t->start_ticks) {
                uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

                if (p->start_ns / (NS_PER_S / hz) != t->start_ticks)
                        return -ESRCH;
        }
        r = processes_follow(&s->processes, p, t);
        if (r < 0)
                return r;
        memcpy(t->sums_begin, s->accounts.sums, s->accounts.nsums * sizeof(uint64_t));
        memcpy(t->sums_before, s->accounts.sums, s->accounts.nsums * sizeof(uint64_t));
        t->begin_ns = t->before_ns = s->now_ns;
        t->prev = NULL;
        t->next = s->targets;
        if (t->next)
                t->next->prev = t;
        s->targets = t;
        s->ntargets++;
        return r;
}

void sampler_unfollow(struct sampler *s, struct target *target)
{
        (void)s;
        target->detach = true;
}

const struct processes *sampler_processes(const struct sampler *s)
{
        return &s->processes;
}

const uint64_t *sampler_sums(const struct sampler *s, uint64_t *now_ns, uint64_t *started_ns)
{
        *now_ns = s->now_ns;
        *started_ns = s->started_ns;
        return s->accounts.sums;
}

const struct lateness *sampler_lateness(const struct sampler *s)
{
        return &s->lateness;
}

uint64_t sampler_cpu_ns(const struct sampler *s)
{
        (void)s;
        return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

const struct domain_view *sampler_domains(const struct sampler *s)
{
        return s->views;
}

void sampler_set_baseline(struct sampler *s, const struct baseline *baseline)
{
        accounts_set_baseline(&s->accounts, s->meter, baseline);
}

void sampler_set_topology(struct sampler *s, const struct topology *topology)
{
        unsigned int n = topology->ncpus < s->topology.ncpus ? topology->ncpus : s->topology.ncpus;

        for (unsigned int cpu = 0; cpu < n; cpu++) {
                s->topology.cpus[cpu] = topology->cpus[cpu];
                /* A place that no CPU had at the start has no account. */
                if (s->topology.cpus[cpu].slot >= (int)s->topology.nslots)
                        s->topology.cpus[cpu].slot = TOPOLOGY_NO_SLOT;
        }
        cputime_set_topology(s->cputime, &s->topology);
}

unsigned int sampler_targets(const struct sampler *s)
{
        return s->ntargets;
}

/* ---- life ---- */

const struct meter *sampler_meter(const struct sampler *s)
{
        return s->meter;
}

const struct cputime *sampler_cputime(const struct sampler *s)
{
        return s->cputime;
}

const struct accounts *sampler_accounts(const struct sampler *s)
{
        return &s->accounts;
}

bool sampler_realtime(const struct sampler *s)
{
        return s->realtime;
}

void sampler_post(struct sampler *s, struct letter *letter)
{
        mailbox_push(&s->mailbox, letter);
}

void sampler_free(struct sampler *s)
{
        if (!s)
                return;
        if (s->timer_fd >= 0)
                close(s->timer_fd);
        mailbox_deinit(&s->mailbox);
        cputime_close(s->cputime);
        processes_deinit(&s->processes);
        accounts_deinit(&s->accounts);
        meter_close(s->meter);
        topology_deinit(&s->topology);
        free(s->pending_uj);
        free(s->unowned_before_ns);
        free(s->weights);
        free(s);
}

int sampler_new(struct sampler **ret, const struct config *config, const struct topology *topology,
                const struct source_config *sources, char *why, size_t why_size)
{
        struct cputime_config accounting = {.probe = config->probe,
                                            .max_processes = config->max_processes,
                                            .irq = config->irq,
                                            .proc_root = "/proc"};
        struct sampler *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->timer_fd = s->mailbox.fd = -1;
        s->tick_ns = config->tick_ns;
        why[0] = '\0';
        if ((r = topology_copy(&s->topology, topology)) < 0 ||
            (r = mailbox_init(&s->mailbox)) < 0 ||
            (r = meter_open(&s->meter, config->source, sources, &s->topology, why, why_size)) < 0)
                goto fail;
        r = accounts_init(&s->accounts, s->meter, &s->topology);
        if (r == -ENOENT)
                snprintf(why, why_size, "%s: there is no package domain to attribute",
                         meter_source_name(s->meter));
        if (r < 0 || (r = processes_init(&s->processes, topology->nslots, s->accounts.n)) < 0 ||
            (r = cputime_open(&s->cputime, &accounting, &s->topology, &s->processes, why,
                              why_size)) < 0)
                goto fail;
        s->pending_uj = calloc(s->accounts.n, sizeof(s->pending_uj[0]));
        s->unowned_before_ns = calloc(s->accounts.nslots + 1, sizeof(s->unowned_before_ns[0]));
        if (!s->pending_uj || !s->unowned_before_ns) {
                r = -ENOMEM;
                goto fail;
        }
        /* target_finish() borrows the scratch for one zero of each account and slot. */
        r = scratch_grow(s, s->accounts.n + s->accounts.nslots + 1);
        if (r < 0)
                goto fail;
        *ret = s;
        return 0;
fail:
        if (!why[0])
                snprintf(why, why_size, "%s", strerror(-r));
        sampler_free(s);
        return r;
}

static int thread_make(struct sampler *s)
{
        struct sched_param param = {.sched_priority = TICK_PRIORITY};
        pthread_attr_t attr;
        int r;

        pthread_attr_init(&attr);
        pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
        pthread_attr_setschedparam(&attr, &param);
        r = pthread_create(&s->thread, &attr, run, s);
        s->realtime = r == 0;
        if (r == EPERM)
                r = pthread_create(&s->thread, NULL, run, s);
        pthread_attr_destroy(&attr);
        return -r;
}

int sampler_start(struct sampler *s)
{
        struct itimerspec every = {0};
        uint64_t first;
        int r;

        s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        if (s->timer_fd < 0)
                return -errno;
        /* The first reading: where all differences begin. */
        r = cputime_collect(s->cputime, true);
        if (r < 0)
                return r;
        processes_bury(&s->processes);
        read_meter(s);
        copy_sums(s);
        s->now_ns = s->started_ns = s->second_ns = s->tick.now_ns;
        for (size_t i = 0; i < s->tick.ndomains; i++)
                s->views[i].power_w = NAN;
        first = (monotonic_ns() / s->tick_ns + 1) * s->tick_ns;
        every.it_value.tv_sec = (time_t)(first / NS_PER_S);
        every.it_value.tv_nsec = (long)(first % NS_PER_S);
        every.it_interval.tv_sec = (time_t)(s->tick_ns / NS_PER_S);
        every.it_interval.tv_nsec = (long)(s->tick_ns % NS_PER_S);
        if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &every, NULL) < 0)
                return -errno;
        r = thread_make(s);
        if (r < 0)
                return r;
        s->started = true;
        return 0;
}

/* Only to wake the thread: it looks at `stop` after every letter. */
static void wake(struct letter *letter)
{
        (void)letter;
}

void sampler_stop(struct sampler *s)
{
        struct letter letter = {.deliver = wake};

        if (!s->started)
                return;
        __atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
        mailbox_push(&s->mailbox, &letter);
        pthread_join(s->thread, NULL);
        s->started = false;
}
