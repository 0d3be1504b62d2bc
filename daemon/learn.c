/* SPDX-License-Identifier: MIT */
#include "learn.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"
#include "regress.h"

#define POINTS      240 /* two minutes */
#define FIT_EVERY   10  /* points */
#define ACCURACY_US 10000

struct domain_points {
        double x[POINTS], y[POINTS]; /* busy CPUs, W */
        size_t n, next;
        struct line_fit fit;
        bool fitted;
        unsigned int ncpus; /* behind it */
};

struct learner {
        struct server *server;
        sd_event_source *timer;
        struct letter take, taken;
        bool waiting, closing, have_before;
        uint64_t *sums, *before;
        uint64_t now_ns, before_ns;
        unsigned int naccounts, since_fit;
        bool fit_due;                  /* there are points that the lines were not fitted to */
        struct domain_points *domains; /* by account */
        bool in_force;
};

static struct learner *learner_of(struct letter *letter, size_t offset)
{
        return (struct learner *)(void *)((char *)letter - offset);
}

static void really_free(struct learner *l)
{
        sd_event_source_disable_unref(l->timer);
        free(l->sums);
        free(l->before);
        free(l->domains);
        free(l);
}

/* In the sampler. */
static void run_take(struct letter *letter)
{
        struct learner *l = learner_of(letter, offsetof(struct learner, take));
        uint64_t started_ns;
        const uint64_t *sums = sampler_sums(l->server->sampler, &l->now_ns, &started_ns);

        memcpy(l->sums, sums, sampler_accounts(l->server->sampler)->nsums * sizeof(*sums));
        mailbox_push(&l->server->mailbox, &l->taken);
}

static void point_add(struct learner *l, unsigned int i)
{
        const struct accounts *a = sampler_accounts(l->server->sampler);
        struct domain_points *d = &l->domains[i];
        double s = (double)(l->now_ns - l->before_ns) / NS_PER_S;

        if (*account_sum(a, l->sums, SUM_UNKNOWN_NS, i) !=
            *account_sum(a, l->before, SUM_UNKNOWN_NS, i))
                return;
        d->x[d->next] = (double)(account_time_ns(&a->all[i], busy_sum(a, l->sums, 0), a->nslots) -
                                 account_time_ns(&a->all[i], busy_sum(a, l->before, 0),
                                                 a->nslots)) /
                        NS_PER_S / s;
        d->y[d->next] = (double)(*account_sum(a, l->sums, SUM_ENERGY_UJ, i) -
                                 *account_sum(a, l->before, SUM_ENERGY_UJ, i)) /
                        1e6 / s;
        d->next = (d->next + 1) % POINTS;
        if (d->n < POINTS)
                d->n++;
}

static const char *lacking(const struct domain_points *d)
{
        if (d->n < LEARN_MIN_POINTS || !d->fitted)
                return "more time";
        if (d->fit.x_high - d->fit.x_low < LEARN_MIN_SPREAD * d->ncpus)
                return "a load that varies more";
        if (!(d->fit.intercept > 0))
                return "a load to which power is in proportion";
        if (d->fit.half_width > LEARN_MAX_WIDTH * d->fit.intercept)
                return "a narrower confidence interval";
        return NULL;
}

static void fit_all(struct learner *l)
{
        l->fit_due = false;
        for (unsigned int i = 0; i < l->naccounts; i++) {
                struct domain_points *d = &l->domains[i];

                d->fitted = regress_line(&d->fit, d->x, d->y, d->n) == 0;
        }
}

void learner_state(struct learner *l, struct learned *state)
{
        const struct accounts *a = sampler_accounts(l->server->sampler);

        if (l->fit_due)
                fit_all(l);
        *state = (struct learned){.trusted = true, .base_w = NAN, .half_width_w = NAN};
        for (unsigned int i = 0; i < l->naccounts; i++) {
                const struct domain_points *d = &l->domains[i];
                const char *missing = lacking(d);

                if (a->all[i].kind != ENERGY_PACKAGE)
                        continue;
                if (missing && state->trusted) {
                        state->trusted = false;
                        state->lacking = missing;
                }
                if (d->fitted && !(state->half_width_w > d->fit.half_width)) {
                        state->base_w = d->fit.intercept;
                        state->half_width_w = d->fit.half_width;
                }
        }
}

bool learner_baseline(struct learner *l, struct baseline *b)
{
        const struct accounts *a = sampler_accounts(l->server->sampler);
        time_t now = time(NULL);
        struct learned state;
        struct tm utc;

        learner_state(l, &state);
        if (!state.trusted)
                return false;
        *b = (struct baseline){.nsockets = a->nsockets,
                               .period_s = (double)LEARN_PERIOD_NS / NS_PER_S,
                               .windows = (unsigned int)l->domains[0].n};
        baseline_describe_machine(b);
        snprintf(b->source, sizeof(b->source), "%s",
                 meter_source_name(sampler_meter(l->server->sampler)));
        strftime(b->date, sizeof(b->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
        for (unsigned int i = 0; i < a->nsockets; i++) {
                b->package_w[i] = b->package_mad_w[i] = b->package_percent[i] = NAN;
                b->dram_w[i] = b->dram_mad_w[i] = b->dram_percent[i] = NAN;
        }
        for (unsigned int i = 0; i < l->naccounts; i++) {
                const struct domain_points *d = &l->domains[i];
                double *w = (a->all[i].kind == ENERGY_PACKAGE ? b->package_w : b->dram_w) +
                            a->all[i].socket;

                if (lacking(d)) /* dram alone can still be learning */
                        continue;
                *w = (isnan(*w) ? 0 : *w) + d->fit.intercept;
        }
        return true;
}

/* ---- in the main thread ---- */

struct learned_letter {
        struct letter letter;
        struct server *server;
        struct baseline baseline;
};

static void free_letter(struct letter *letter)
{
        free(letter);
}

static void run_set(struct letter *letter)
{
        struct learned_letter *n = (struct learned_letter *)(void *)letter;

        sampler_set_baseline(n->server->sampler, &n->baseline);
        n->letter.deliver = free_letter;
        mailbox_push(&n->server->mailbox, &n->letter);
}

/* Use what has been learned, unless there is a calibration. */
static void put_in_force(struct learner *l)
{
        struct learned_letter *n;
        struct learned state;

        if (l->server->baseline)
                return;
        n = calloc(1, sizeof(*n));
        if (!n)
                return;
        if (!learner_baseline(l, &n->baseline)) {
                free(n);
                return;
        }
        learner_state(l, &state);
        if (!l->in_force)
                log_notice("base power learned from the machine in use: %.2f W +- %.2f W",
                           state.base_w, state.half_width_w);
        l->in_force = true;
        n->server = l->server;
        n->letter.deliver = run_set;
        sampler_post(l->server->sampler, &n->letter);
}

static void on_taken(struct letter *letter)
{
        struct learner *l = learner_of(letter, offsetof(struct learner, taken));
        uint64_t *before = l->before;

        l->waiting = false;
        if (l->closing) {
                really_free(l);
                return;
        }
        if (l->have_before && l->now_ns > l->before_ns)
                for (unsigned int i = 0; i < l->naccounts; i++)
                        point_add(l, i);
        l->have_before = true;
        l->before = l->sums;
        l->sums = before;
        l->before_ns = l->now_ns;
        if (++l->since_fit >= FIT_EVERY) {
                l->since_fit = 0;
                l->fit_due = true; /* sorting some ten thousand slopes: when somebody asks */
                if (!l->server->baseline)
                        put_in_force(l);
        }
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct learner *l = userdata;

        sd_event_source_set_time(timer, usec + LEARN_PERIOD_NS / 1000);
        sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        if (!l->waiting) {
                l->waiting = true;
                sampler_post(l->server->sampler, &l->take);
        }
        return 0;
}

const char *server_baseline(const struct server *s, const char **lacking)
{
        struct learned state;

        *lacking = NULL;
        if (meter_estimated(sampler_meter(s->sampler)))
                return "known";
        if (s->baseline)
                return s->baseline->method == BASELINE_ONLINE ? "learned" : "measured";
        if (!s->learner)
                return "none";
        learner_state(s->learner, &state);
        *lacking = state.lacking;
        return s->learner->in_force ? "learned" : "learning";
}

int learner_new(struct learner **ret, struct server *server)
{
        const struct accounts *a = sampler_accounts(server->sampler);
        struct learner *l = calloc(1, sizeof(*l));
        uint64_t now;
        int r;

        if (!l)
                return -ENOMEM;
        l->server = server;
        l->naccounts = a->n;
        l->take.deliver = run_take;
        l->taken.deliver = on_taken;
        l->sums = calloc(a->nsums, sizeof(*l->sums));
        l->before = calloc(a->nsums, sizeof(*l->before));
        l->domains = calloc(a->n, sizeof(*l->domains));
        if (!l->sums || !l->before || !l->domains) {
                really_free(l);
                return -ENOMEM;
        }
        for (unsigned int i = 0; i < a->n; i++)
                for (unsigned int cpu = 0; cpu < server->topology->ncpus; cpu++)
                        l->domains[i].ncpus +=
                                server->topology->cpus[cpu].slot >= 0 &&
                                (a->all[i].slots >> server->topology->cpus[cpu].slot & 1);
        r = sd_event_now(server->event, CLOCK_MONOTONIC, &now);
        if (r >= 0)
                r = sd_event_add_time(server->event, &l->timer, CLOCK_MONOTONIC,
                                      now + LEARN_PERIOD_NS / 1000, ACCURACY_US, on_timer, l);
        if (r < 0) {
                really_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

void learner_free(struct learner *l)
{
        if (!l)
                return;
        l->timer = sd_event_source_disable_unref(l->timer);
        if (l->waiting)
                l->closing = true; /* its letter is on the way */
        else
                really_free(l);
}
