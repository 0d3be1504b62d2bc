/* SPDX-License-Identifier: MIT */
#include "liveness.h"

#include <systemd/sd-daemon.h>

#include "clock.h"
#include "log.h"

#define NS_PER_US 1000ull
/* Questions in a watchdog's time: one may be late without harm. */
#define QUESTIONS  4
#define UNANSWERED 2
/* Ticks come late on a machine that stalls; a clock that has stopped makes none at all. */
#define GRACE_TICKS 2

static struct liveness *liveness_of(struct letter *letter, size_t offset)
{
        return (struct liveness *)(void *)((char *)letter - offset);
}

/* In the sampler. */
static void run_ask(struct letter *letter)
{
        struct liveness *l = liveness_of(letter, offsetof(struct liveness, there));
        uint64_t started_ns;

        (void)sampler_sums(l->server->sampler, &l->ticked_ns, &started_ns);
        mailbox_push(&l->server->mailbox, &l->back);
}

/* Once for each time that it happens. */
static void say(struct liveness *l)
{
        if (l->said)
                return;
        log_event(LOG_ERR, &(const struct log_event){.id = EVENT_STALLED},
                  "the sampler has made no tick for %.1f s: the watchdog is not fed any more",
                  (double)(monotonic_ns() - l->known_ns) / NS_PER_S);
        l->said = true;
}

static void on_back(struct letter *letter)
{
        struct liveness *l = liveness_of(letter, offsetof(struct liveness, back));

        l->asked = false;
        l->unanswered = 0;
        l->known_ns = l->ticked_ns;
        if (monotonic_ns() - l->known_ns > l->grace_ns) {
                say(l);
                return;
        }
        l->said = false;
        sd_notify(0, "WATCHDOG=1");
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct liveness *l = userdata;

        (void)usec;
        /* After a stall of this thread the answer may be there, and only not have been taken. */
        if (l->asked && ++l->unanswered == UNANSWERED)
                say(l);
        if (!l->asked) {
                l->asked = true;
                sampler_post(l->server->sampler, &l->there);
        }
        sd_event_source_set_time_relative(timer, l->period_ns / NS_PER_US);
        return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

int liveness_start(struct liveness *l, struct server *server)
{
        uint64_t watchdog_us;
        int r = sd_watchdog_enabled(0, &watchdog_us);

        *l = (struct liveness){.server = server, .there.deliver = run_ask, .back.deliver = on_back};
        if (r <= 0)
                return r;
        l->period_ns = watchdog_us * NS_PER_US / QUESTIONS;
        l->grace_ns = watchdog_us * NS_PER_US / 2;
        if (l->grace_ns < GRACE_TICKS * server->config->tick_ns)
                l->grace_ns = GRACE_TICKS * server->config->tick_ns;
        l->known_ns = monotonic_ns();
        return sd_event_add_time_relative(server->event, &l->timer, CLOCK_MONOTONIC,
                                          l->period_ns / NS_PER_US, 1, on_timer, l);
}

void liveness_stop(struct liveness *l)
{
        l->timer = sd_event_source_disable_unref(l->timer);
}
