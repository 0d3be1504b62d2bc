/* SPDX-License-Identifier: MIT */
/*
 * Calibrate with "online": keep what the learner knows (learn.h), as soon as it is to be trusted,
 * at the latest when the time given is over.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "learn.h"
#include "report_json.h"

#define STEP_US     1000000ull
#define ACCURACY_US 10000

struct online {
        struct call *call;
        sd_event_source *timer;
        unsigned int step, steps;
};

static void online_free(struct online *o)
{
        sd_event_source_disable_unref(o->timer);
        free(o);
}

static void on_gone(struct call *call)
{
        online_free(call->state);
        call_free(call);
}

/* Would keeping `b` take away what is known of dram? */
static bool loses_dram(const struct server *s, const struct baseline *b)
{
        for (unsigned int i = 0; s->baseline && i < b->nsockets; i++)
                if (isnan(b->dram_w[i]) && !isnan(s->baseline->dram_w[i]))
                        return true;
        return false;
}

/* The time is over. */
static void end(struct online *o, const struct learned *all)
{
        struct call *call = o->call;
        struct server *s = call->server;
        const struct domain *domains;
        struct learned packages;
        struct baseline b;
        const char *label;
        char reason[512];

        learner_state(s->learner, false, &packages);
        learner_baseline(s->learner, &b);
        online_free(o);
        (void)meter_domains(sampler_meter(s->sampler), &domains);
        label = domains[sampler_accounts(s->sampler)->all[all->account].domain].label;
        if (packages.trusted && !loses_dram(s, &b)) { /* dram goes on being learned */
                snprintf(reason, sizeof(reason), "%s needs %s", label, all->lacking);
                baseline_keep(call, &b, NAN, reason);
                return;
        }
        snprintf(reason, sizeof(reason),
                 "base power cannot be told from the machine in use yet, and nothing was changed: "
                 "%s needs %s",
                 label, all->lacking);
        call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", reason));
}

static void tell_progress(struct online *o, const char *lacking)
{
        struct server *s = o->call->server;
        struct baseline b;

        baseline_blank(&b, sampler_accounts(s->sampler)->nsockets);
        learner_powers(s->learner, false, &b);
        call_reply(o->call, calibration_json("window", o->step, o->steps, &b, NAN, lacking, NULL),
                   true);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct online *o = userdata;
        struct call *call = o->call;
        struct learned state;
        struct baseline b;

        learner_fit(call->server->learner);
        learner_state(call->server->learner, true, &state);
        o->step++;
        if (state.trusted) {
                learner_baseline(call->server->learner, &b);
                online_free(o);
                baseline_keep(call, &b, NAN, NULL);
                return 0;
        }
        if (o->step >= o->steps) {
                end(o, &state);
                return 0;
        }
        sd_event_source_set_time(timer, usec + STEP_US);
        sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        if (call->more)
                tell_progress(o, state.lacking);
        return 0;
}

void calibrate_online(struct call *call, double seconds)
{
        struct online *o;
        uint64_t now;
        int r;

        if (!call->server->learner) {
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", "there is no energy meter to learn from"));
                return;
        }
        o = calloc(1, sizeof(*o));
        r = o ? sd_event_now(call->server->event, CLOCK_MONOTONIC, &now) : -ENOMEM;
        if (r >= 0) {
                o->call = call;
                o->steps = (unsigned int)ceil(seconds);
                call->state = o;
                call->gone = on_gone;
                r = sd_event_add_time(call->server->event, &o->timer, CLOCK_MONOTONIC,
                                      now + STEP_US, ACCURACY_US, on_timer, o);
        }
        if (r < 0) {
                free(o);
                call->gone = NULL;
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", strerror(-r)));
        }
}
