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

static json_t *learned_json(const struct learned *state)
{
        json_t *array = json_array();

        json_array_append_new(array, isnan(state->base_w) ? json_null() : json_real(state->base_w));
        return array;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct online *o = userdata;
        struct call *call = o->call;
        struct server *s = call->server;
        struct learned state;
        struct baseline b;

        learner_state(s->learner, &state);
        o->step++;
        if (state.trusted && learner_baseline(s->learner, &b)) {
                online_free(o);
                baseline_keep(call, &b, NAN);
                return 0;
        }
        if (o->step >= o->steps) {
                char reason[256];

                snprintf(reason, sizeof(reason),
                         "base power cannot be told from the machine in use yet: it needs %s",
                         state.lacking);
                online_free(o);
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", reason));
                return 0;
        }
        sd_event_source_set_time(timer, usec + STEP_US);
        sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        if (call->more)
                call_reply(call,
                           json_pack("{s:s, s:i, s:i, s:o, s:[n], s:n, s:s?, s:n}", "event",
                                     "window", "window", (int)o->step, "windows", (int)o->steps,
                                     "package_w", learned_json(&state), "dram_w", "busy_percent",
                                     "lacking", state.lacking, "path"),
                           true);
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
