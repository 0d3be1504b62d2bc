/* SPDX-License-Identifier: MIT */
#include "learn.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "clock.h"
#include "learn_points.h"
#include "log.h"

#define REFRESH_EVERY 120 /* points: a minute, when there is something in force */
#define ACCURACY_US   10000

struct learner {
        struct server *server;
        sd_event_source *timer;
        struct letter take, taken;
        bool waiting, closing, have_before;
        uint64_t *sums, *before;
        uint64_t now_ns, before_ns;
        unsigned int since_fit;
        struct learn_points *points;
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
        learn_points_free(l->points);
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

void learner_state(const struct learner *l, bool dram, struct learned *state)
{
        const struct accounts *a = sampler_accounts(l->server->sampler);

        *state = (struct learned){.trusted = true, .base_w = NAN, .half_width_w = NAN};
        for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++) {
                if (kind == ENERGY_DRAM && !dram)
                        continue;
                for (unsigned int i = 0; i < a->n; i++) {
                        const struct base_fit *fit = learn_points_of(l->points, i);
                        const char *missing = learn_points_lacking(l->points, i);

                        if (a->all[i].kind != kind)
                                continue;
                        if (missing && state->trusted) {
                                state->trusted = false;
                                state->lacking = missing;
                                state->account = i;
                        }
                        state->packages += kind == ENERGY_PACKAGE;
                        if (kind == ENERGY_PACKAGE && fit &&
                            !(state->half_width_w > fit->half_width_w)) {
                                state->worst = i;
                                state->base_w = fit->base_w;
                                state->half_width_w = fit->half_width_w;
                        }
                }
        }
}

void learner_fit(struct learner *l)
{
        learn_points_fit(l->points);
}

void learner_powers(const struct learner *l, bool trusted, struct baseline *b)
{
        learn_points_base(l->points, trusted, b);
}

void learner_baseline(const struct learner *l, struct baseline *b)
{
        baseline_begin(b, l->server, BASELINE_ONLINE);
        b->period_s = (double)LEARN_PERIOD_NS / NS_PER_S;
        b->windows = (unsigned int)learn_points_count(l->points, 0);
        learn_points_base(l->points, true, b);
}

/* ---- in the main thread ---- */

/* Dram of a baseline that was learned may have been left out, because it was not to be trusted
 * then. */
static bool lacks_dram(const struct baseline *kept, const struct accounts *a)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].kind == ENERGY_DRAM && isnan(kept->dram_w[a->all[i].socket]))
                        return true;
        return false;
}

static bool fill_in_dram(struct baseline *b, const struct baseline *learned)
{
        bool filled = false;

        for (unsigned int i = 0; i < b->nsockets; i++) {
                if (!isnan(b->dram_w[i]) || isnan(learned->dram_w[i]))
                        continue;
                b->dram_w[i] = learned->dram_w[i];
                filled = true;
        }
        return filled;
}

static void say_learned(const struct learner *l, const struct learned *state)
{
        const struct domain *domains;

        (void)meter_domains(sampler_meter(l->server->sampler), &domains);
        log_notice("base power learned from the machine in use: %.2f W +- %.2f W of %s%s",
                   state->base_w, state->half_width_w,
                   domains[sampler_accounts(l->server->sampler)->all[state->worst].domain].label,
                   state->packages > 1 ? ", and that of the others more exactly" : "");
}

/* What there is to put in force.  false: nothing that is not in force already. */
static bool is_news(struct learner *l, struct baseline *b)
{
        const struct baseline *kept = l->server->baseline;
        struct baseline learned;
        struct learned state;

        if (kept && (kept->method != BASELINE_ONLINE ||
                     !lacks_dram(kept, sampler_accounts(l->server->sampler))))
                return false;
        learner_fit(l);
        if (kept) {
                learner_powers(l, true, &learned);
                *b = *kept;
                return fill_in_dram(b, &learned);
        }
        learner_state(l, false, &state);
        if (!state.trusted)
                return false;
        if (!l->in_force)
                say_learned(l, &state);
        b->nsockets = sampler_accounts(l->server->sampler)->nsockets;
        b->method = BASELINE_ONLINE;
        learner_powers(l, true, b); /* all else is for the file */
        return true;
}

/* Use what has been learned, unless there is a calibration. */
static void put_in_force(struct learner *l)
{
        struct baseline news = {0};
        int r;

        if (!is_news(l, &news))
                return;
        r = baseline_put_in_force(l->server, &news);
        if (r < 0)
                log_error("the base power that was learned is not used yet: %s", strerror(-r));
        else
                l->in_force = true;
}

static unsigned int pace(const struct learner *l)
{
        return l->in_force || l->server->baseline ? REFRESH_EVERY : LEARN_FIT_EVERY;
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
                learn_points_add(l->points, l->sums, l->before,
                                 (double)(l->now_ns - l->before_ns) / NS_PER_S);
        l->have_before = true;
        l->before = l->sums;
        l->sums = before;
        l->before_ns = l->now_ns;
        if (++l->since_fit >= pace(l)) {
                l->since_fit = 0;
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
        if (s->learner->in_force)
                return "learned";
        learner_state(s->learner, false, &state);
        *lacking = state.lacking;
        return "learning";
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
        l->take.deliver = run_take;
        l->taken.deliver = on_taken;
        l->sums = calloc(a->nsums, sizeof(*l->sums));
        l->before = calloc(a->nsums, sizeof(*l->before));
        r = l->sums && l->before ? learn_points_new(&l->points, a, server->topology) : -ENOMEM;
        if (r >= 0)
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
