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

#include "clock.h"
#include "clock_watch.h"

/* A counter that the highest power takes round in fewer ticks may do it twice unseen when one is
 * late. */
#define WRAP_TICKS 2
/* Of a package, microwatts: the range of a real counter lasts for minutes at that. */
#define ORDINARY_UW UINT64_C(200000000)
/* Reading three clocks takes a us, or some ten where each is a system call. */
#define CLOCK_MOMENT_NS 1000000
#define CLOCK_TRIES     3

struct sampler {
        uint64_t tick_ns;
        struct meter *meter;
        struct cputime *cputime;
        struct ledger ledger;
        struct topology topology; /* a copy; cpus belong to it */
        struct mailbox mailbox;
        pthread_t thread;
        bool started, realtime;
        int timer_fd;
        bool stop;
        struct letter *followers; /* who wait for the next tick; newest first */
        bool followers_turn;
        bool forced; /* CPU time was collected for a target since the last tick */

        uint64_t started_ns; /* of the first reading */
        struct meter_tick tick;

        struct clock_watch clocks;
        bool slept_late; /* in the last tick, perhaps after its reading */
        struct lateness lateness;

        struct fault_news *fault_news;
        enum fault_kind told[SOURCE_MAX_DOMAINS];
        uint64_t domain_uj[SOURCE_MAX_DOMAINS], domain_unknown_ns[SOURCE_MAX_DOMAINS];
        uint64_t second_uj[SOURCE_MAX_DOMAINS], second_unknown_ns[SOURCE_MAX_DOMAINS];
        uint64_t second_ns; /* when the views were made */
        struct domain_view views[SOURCE_MAX_DOMAINS];
};

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
        for (size_t i = 0; i < s->tick.ndomains; i++) {
                if (s->tick.known[i])
                        s->domain_uj[i] += s->tick.energy_uj[i];
                else
                        s->domain_unknown_ns[i] += s->tick.elapsed_ns;
        }
}

/* At a mark: what everybody may see of the domains.  Power is over a second at least, however short
 * the time between two marks. */
static void domains_show(struct sampler *s)
{
        uint64_t elapsed_ns = s->ledger.now_ns - s->second_ns;
        bool second = elapsed_ns + s->tick_ns / 2 >= NS_PER_S;

        for (size_t i = 0; i < s->tick.ndomains; i++) {
                bool gap = s->domain_unknown_ns[i] != s->second_unknown_ns[i];

                s->views[i].energy_uj = s->domain_uj[i];
                if (!second)
                        continue;
                s->views[i].power_w = gap ? NAN
                                          : (double)(s->domain_uj[i] - s->second_uj[i]) / 1e6 *
                                                      (double)NS_PER_S / (double)elapsed_ns;
                s->second_uj[i] = s->domain_uj[i];
                s->second_unknown_ns[i] = s->domain_unknown_ns[i];
                if (meter_wrap_s(s->meter, i) * (double)NS_PER_S < WRAP_TICKS * (double)s->tick_ns)
                        *machine_sum(&s->ledger.accounts, s->ledger.accounts.sums,
                                     SUM_WRAP_RISK) += 1;
        }
        if (second)
                s->second_ns = s->ledger.now_ns;
}

/* ---- the tick ---- */

static void read_meter(struct sampler *s)
{
        const struct cputime_totals *totals = cputime_totals(s->cputime);
        struct source_input input = {.now_ns = monotonic_ns(),
                                     .slot_busy_ns = totals->busy_ns,
                                     .nslots = s->ledger.accounts.nslots};

        meter_read(s->meter, &input, &s->tick);
}

/* Did the machine sleep, or did somebody set the clock?  Between two of the clocks this thread can
 * be kept waiting, above all in a virtual machine: then they are read again, and if that goes on,
 * the next look tells. */
static bool clocks_check(struct sampler *s)
{
        struct accounts *a = &s->ledger.accounts;
        struct clock_event event;

        for (int i = 0; i < CLOCK_TRIES; i++) {
                uint64_t now_ns = monotonic_ns(), boot_ns = clock_ns(CLOCK_BOOTTIME);
                uint64_t real_ns = clock_ns(CLOCK_REALTIME);

                if (monotonic_ns() - now_ns > CLOCK_MOMENT_NS)
                        continue;
                clock_watch_tick(&s->clocks, now_ns, boot_ns, real_ns, &event);
                *machine_sum(a, a->sums, SUM_SUSPENDED_NS) += event.suspended_ns;
                *machine_sum(a, a->sums, SUM_CLOCK_SET) += event.set_ns != 0;
                return event.suspended_ns > 0;
        }
        return false;
}

static void tick(struct sampler *s, uint64_t missed)
{
        struct accounts *a = &s->ledger.accounts;
        bool slept = clocks_check(s) || s->slept_late;
        bool estimated = meter_estimated(s->meter);
        int r;

        /* A model is driven by busy time; a meter is read first, because its instant matters. */
        if (!estimated)
                read_meter(s);
        r = cputime_collect(s->cputime, s->ledger.last);
        if (estimated)
                read_meter(s);
        /* A sleep since the first look may be in this reading or in the next: both say so. */
        s->slept_late = clocks_check(s);
        ledger_book(&s->ledger, &s->tick, slept || s->slept_late);
        domains_count(s);
        faults_tell(s);
        *machine_sum(a, a->sums, SUM_TICKS) += 1;
        *machine_sum(a, a->sums, SUM_MISSED_TICKS) += missed;
        if (r == 0) /* /proc is read more slowly: the energy waits for it */
                return;
        ledger_split(&s->ledger, s->cputime, r > 0);
        if (s->ledger.at_mark)
                domains_show(s);
}

/* However many are to be followed, CPU time is collected once in a tick for all of them. */
static void followers_serve(struct sampler *s)
{
        struct letter *list = s->followers, *next;

        s->followers = NULL;
        s->followers_turn = true;
        for (; list; list = next) {
                next = list->next;
                list->deliver(list);
        }
        s->followers_turn = false;
}

static void *run(void *arg)
{
        struct sampler *s = arg;
        struct pollfd fds[2] = {{.fd = s->timer_fd, .events = POLLIN},
                                {.fd = s->mailbox.fd, .events = POLLIN}};

        bool more = false;

        prctl(PR_SET_NAME, "energatd/tick");
        prctl(PR_SET_TIMERSLACK, 1);
        /* However many letters there are, a tick waits for one of them at most. */
        while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
                if (poll(fds, 2, more ? 0 : -1) < 0)
                        continue; /* EINTR */
                if (fds[0].revents) {
                        uint64_t expirations;

                        if (read(s->timer_fd, &expirations, sizeof(expirations)) ==
                            sizeof(expirations)) {
                                /* Ticks are at whole multiples of the period. */
                                lateness_add(&s->lateness, monotonic_ns() % s->tick_ns +
                                                                   (expirations - 1) * s->tick_ns);
                                tick(s, expirations - 1);
                                s->forced = false;
                                followers_serve(s);
                        }
                }
                if (more || fds[1].revents)
                        more = mailbox_deliver_one(&s->mailbox);
        }
        /* Everybody gets what there is. */
        mailbox_deliver(&s->mailbox); /* what was taken, */
        mailbox_deliver(&s->mailbox); /* and what has come since */
        followers_serve(s);
        for (struct target *t = s->ledger.targets; t; t = t->next)
                t->detach = true;
        s->ledger.last = true;
        tick(s, 0);
        return NULL;
}

/* ---- requests ---- */

void sampler_hold(struct sampler *s, const struct memory_holdings *holdings)
{
        ledger_hold(&s->ledger, holdings);
}

void sampler_settle(struct sampler *s)
{
        ledger_settle(&s->ledger);
}

int sampler_follow(struct sampler *s, struct target *t, struct letter *letter)
{
        int r;

        if (s->forced && !s->followers_turn) {
                letter->next = s->followers;
                s->followers = letter;
                return -EAGAIN;
        }
        /* What it has run until now is not the target's. */
        if (!s->forced) {
                r = cputime_meet(s->cputime, t->pid);
                if (r < 0)
                        return r;
                s->forced = r > 0; /* so has everybody's */
        }
        return ledger_follow(&s->ledger, t);
}

void sampler_unfollow(struct sampler *s, struct target *target)
{
        (void)s;
        target->detach = true;
}

const struct processes *sampler_processes(const struct sampler *s)
{
        return &s->ledger.processes;
}

const uint64_t *sampler_sums(const struct sampler *s, uint64_t *now_ns, uint64_t *started_ns)
{
        *now_ns = s->ledger.now_ns;
        *started_ns = s->started_ns;
        return s->ledger.accounts.sums;
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

const uint64_t *sampler_energy_uj(const struct sampler *s)
{
        return s->domain_uj;
}

const char *sampler_domain_doubt(const struct sampler *s, size_t domain, char *text, size_t size)
{
        const struct domain *domains, *d;

        (void)meter_domains(s->meter, &domains);
        d = &domains[domain];
        if (!accounts_have(&s->ledger.accounts, d, domain)) {
                snprintf(text, size,
                         "none of this machine's CPUs is of its socket: its energy is in no figure "
                         "of the machine");
                return "bring the CPUs of that socket online, and restart energatd";
        }
        if (d->range_uj && d->kind == DOMAIN_PACKAGE &&
            d->range_uj < ORDINARY_UW * s->tick_ns / NS_PER_S) {
                snprintf(text, size,
                         "its counter begins anew every %.2f J, perhaps more than once between two "
                         "readings: energy can be missing",
                         (double)d->range_uj / 1e6);
                return "choose a shorter sampling.period";
        }
        return NULL;
}

const uint64_t *sampler_pending_uj(const struct sampler *s)
{
        return s->ledger.pending_uj;
}

const uint64_t *sampler_mark_sums(const struct sampler *s)
{
        return s->ledger.mark_sums;
}

void sampler_set_baseline(struct sampler *s, const struct baseline *baseline)
{
        accounts_set_baseline(&s->ledger.accounts, s->meter, baseline);
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
        if (meter_estimated(s->meter)) /* what CPUs use idle goes and comes with them */
                accounts_set_baseline(&s->ledger.accounts, s->meter, NULL);
}

const struct target *sampler_first_target(const struct sampler *s)
{
        return s->ledger.targets;
}

unsigned int sampler_targets(const struct sampler *s)
{
        return s->ledger.ntargets;
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
        return &s->ledger.accounts;
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
        ledger_deinit(&s->ledger);
        meter_close(s->meter);
        topology_deinit(&s->topology);
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
        r = ledger_init(&s->ledger, s->meter, &s->topology, s->tick_ns, config->access_interval_ns);
        if (r == -ENOENT)
                snprintf(why, why_size, "%s: there is no package domain to attribute",
                         meter_source_name(s->meter));
        if (r < 0 || (r = cputime_open(&s->cputime, &accounting, &s->topology, &s->ledger.processes,
                                       why, why_size)) < 0)
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
        struct sched_param param = {.sched_priority = SAMPLER_PRIORITY};
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
        read_meter(s);
        ledger_begin(&s->ledger, s->cputime, s->tick.now_ns);
        s->started_ns = s->second_ns = s->tick.now_ns;
        for (size_t i = 0; i < s->tick.ndomains; i++)
                s->views[i].power_w = NAN;
        first = (monotonic_ns() / s->tick_ns + 1) * s->tick_ns;
        every.it_value = clock_timespec(first);
        every.it_interval = clock_timespec(s->tick_ns);
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
