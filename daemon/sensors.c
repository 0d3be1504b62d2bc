/* SPDX-License-Identifier: MIT */
/*
 * GetSensors: every domain of every driver, and how its counter behaves.
 *
 * The survey opens each driver once more for itself and watches its counters for a second, in a
 * thread of its own: neither the tick nor other clients wait for it, and the meter in use is not
 * touched.  As access.h asks, what it tells everybody is power from mark to mark (sampler.h), over
 * a second or more, and no single step of a counter.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "counter.h"
#include "log.h"
#include "server.h"

#define SURVEY_NS           NS_PER_S
#define MARK_LATE_NS        10000000ull  /* as the tick that is a mark comes after it */
#define NAP_NS              50000000ull  /* after which a survey looks whether it is still wanted */
#define FAST_NS             300000000ull /* the part of it in which every change is looked for */
#define POLL_NS             200000ull    /* RAPL changes about every millisecond */
#define MAX_CHANGES         2048
#define MAX_SURVEYS         16 /* at a time: each is a thread */
#define MAX_SURVEYS_TRUSTED 4  /* of one user who may see all; of others one */
#define MIN_CHANGES         3  /* fewer say nothing of a period */

struct watch {
        uint64_t first_uj, last_uj, changed_ns, total_uj, step_uj;
        uint64_t periods_ns[MAX_CHANGES];
        unsigned int nchanges;
        int error;
};

struct survey {
        struct letter done;
        struct survey *next, *prev;
        struct server *server;
        struct call *call; /* NULL: the peer has gone */
        pthread_t thread;
        struct source_config sources;
        struct topology topology; /* a copy */
        const char *used;         /* name of the driver in use */
        uid_t uid;                /* whose it is */
        bool stop;                /* nobody waits for it any more */
        uint64_t mark_ns;         /* it begins and ends at whole multiples of this; 0: anywhere */
        json_t *result;
};

/* ---- in the survey's thread ---- */

static bool is_stopped(const struct survey *s)
{
        return __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
}

/* Or until it is stopped. */
static void sleep_until(const struct survey *s, uint64_t ns)
{
        uint64_t now;

        while (!is_stopped(s) && (now = monotonic_ns()) < ns) {
                const struct timespec t = clock_timespec(ns < now + NAP_NS ? ns : now + NAP_NS);

                (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        }
}

/* The next one, unless there was one just now: where the source before this one ended. */
static void sleep_until_mark(const struct survey *s)
{
        uint64_t now = monotonic_ns();

        if (now % s->mark_ns > MARK_LATE_NS)
                sleep_until(s, (now / s->mark_ns + 1) * s->mark_ns);
}

/* How long each source is watched: from a mark to another one, where that is all one may see. */
static uint64_t window_ns(const struct survey *s)
{
        uint64_t mark_ns = s->mark_ns ? s->mark_ns : SURVEY_NS;

        return (SURVEY_NS + mark_ns - 1) / mark_ns * mark_ns;
}

static void watch_reading(struct watch *w, const struct reading *r, const struct domain *d,
                          uint64_t now_ns, bool first)
{
        uint64_t delta_uj;

        if (r->error < 0) {
                w->error = r->error;
                return;
        }
        if (first) {
                w->first_uj = w->last_uj = r->counter_uj;
                return;
        }
        if (r->counter_uj == w->last_uj)
                return;
        if (r->counter_uj < w->last_uj && !d->range_uj) {
                w->error = -ERANGE;
                return;
        }
        delta_uj = counter_delta_uj(w->last_uj, r->counter_uj,
                                    d->range_uj ? d->range_uj : UINT64_MAX);
        w->total_uj += delta_uj;
        if (!w->step_uj || delta_uj < w->step_uj)
                w->step_uj = delta_uj;
        /* The first change ends a period that began before we looked. */
        if (w->changed_ns && w->nchanges < MAX_CHANGES)
                w->periods_ns[w->nchanges++] = now_ns - w->changed_ns;
        w->changed_ns = now_ns;
        w->last_uj = r->counter_uj;
}

static int compare_ns(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static json_t *joules_or_null(uint64_t uj)
{
        return uj ? json_real((double)uj / 1e6) : json_null();
}

static json_t *watch_json(struct watch *w, const struct domain *d, bool used, bool estimated,
                          bool steps, uint64_t time_ns)
{
        bool attributed = used && (d->kind == DOMAIN_PACKAGE || d->kind == DOMAIN_DRAM);
        json_t *refresh = json_null();
        size_t middle = w->nchanges / 2;

        qsort(w->periods_ns, w->nchanges, sizeof(w->periods_ns[0]), compare_ns);
        if (w->nchanges >= MIN_CHANGES && !estimated)
                refresh = json_real((double)w->periods_ns[middle] / (double)NS_PER_S);
        return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                         d->label, "kind", domain_kind_name(d->kind), "socket",
                         d->socket < 0 ? json_null() : json_integer(d->socket), "die",
                         d->die < 0 ? json_null() : json_integer(d->die), "attributed", attributed,
                         "range_j",
                         d->range_uj == UINT64_MAX ? json_null() : joules_or_null(d->range_uj),
                         "resolution_j", joules_or_null(d->resolution_uj), "step_j",
                         estimated || !steps ? json_null() : joules_or_null(w->step_uj),
                         "refresh_s", refresh, "power_w",
                         w->error || estimated ? json_null()
                                               : json_real((double)w->total_uj / 1e6 /
                                                           ((double)time_ns / (double)NS_PER_S)),
                         "fault", w->error ? json_string(strerror(-w->error)) : json_null());
}

/* Watch the counters of an open source. */
static json_t *watch_source(const struct survey *s, const struct source_driver *driver,
                            struct source *source)
{
        static const uint64_t no_busy_ns[TOPOLOGY_MAX_SLOTS + 1];
        struct source_input input = {.slot_busy_ns = no_busy_ns, .nslots = s->topology.nslots};
        struct reading readings[SOURCE_MAX_DOMAINS];
        const struct domain *domains;
        size_t n = driver->domains(source, &domains);
        struct watch *watches = calloc(n + 1, sizeof(*watches));
        json_t *array = json_array();
        uint64_t start, now, end;
        bool first = true;

        if (s->mark_ns)
                sleep_until_mark(s);
        start = now = monotonic_ns();
        end = s->mark_ns ? start / s->mark_ns * s->mark_ns + window_ns(s) : start + window_ns(s);
        while (watches && now < end && !is_stopped(s)) {
                input.now_ns = now;
                driver->read(source, &input, readings);
                for (size_t i = 0; i < n; i++)
                        watch_reading(&watches[i], &readings[i], &domains[i], now, first);
                first = false;
                sleep_until(s, now < start + FAST_NS ? now + POLL_NS : end);
                /* Changes are timed in the fast part only. */
                if (now < start + FAST_NS && monotonic_ns() >= start + FAST_NS)
                        for (size_t i = 0; i < n; i++)
                                watches[i].changed_ns = 0;
                now = monotonic_ns();
        }
        if (watches) {
                input.now_ns = now;
                driver->read(source, &input, readings);
                for (size_t i = 0; i < n; i++) {
                        unsigned int nchanges = watches[i].nchanges;

                        watch_reading(&watches[i], &readings[i], &domains[i], now, false);
                        watches[i].nchanges = nchanges;
                        json_array_append_new(array, watch_json(&watches[i], &domains[i],
                                                                strcmp(driver->name, s->used) == 0,
                                                                driver->estimated, !s->mark_ns,
                                                                now - start));
                }
        }
        free(watches);
        return array;
}

static void *survey_run(void *arg)
{
        struct survey *s = arg;
        json_t *sources = json_array();

        for (size_t i = 0; source_drivers[i] && !is_stopped(s); i++) {
                const struct source_driver *driver = source_drivers[i];
                char why[SOURCE_WHY_MAX] = "";
                struct source *source = NULL;
                json_t *domains = NULL;
                int r = driver->probe(&s->sources, &s->topology, why);

                if (r == 0)
                        r = driver->open(&source, &s->sources, &s->topology, why);
                if (r == 0) {
                        domains = watch_source(s, driver, source);
                        driver->close(source);
                }
                json_array_append_new(sources,
                                      json_pack("{s:s, s:b, s:b, s:b, s:o, s:o}", "name",
                                                driver->name, "works", r == 0, "used",
                                                strcmp(driver->name, s->used) == 0, "estimated",
                                                driver->estimated, "reason",
                                                r < 0 ? json_string(why) : json_null(), "domains",
                                                domains ? domains : json_array()));
        }
        s->result = sources;
        mailbox_push(&s->server->mailbox, &s->done);
        return NULL;
}

/* ---- in the server ---- */

static void on_done(struct letter *letter)
{
        struct survey *s = (struct survey *)(void *)((char *)letter -
                                                     offsetof(struct survey, done));
        struct server *server = s->server;
        struct call *call = s->call;
        json_t *result = s->result;

        pthread_join(s->thread, NULL);
        topology_deinit(&s->topology);
        if (s->prev)
                s->prev->next = s->next;
        else
                server->surveys = s->next;
        if (s->next)
                s->next->prev = s->prev;
        free(s);
        if (call)
                call_reply(call, json_pack("{s:o}", "sources", result), false);
        else
                json_decref(result);
}

static void on_gone(struct call *call)
{
        struct survey *s = call->state;

        s->call = NULL;
        __atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
        call_free(call);
}

/* Which limit one more survey for the peer is above, or 0. */
static int limit_reached(const struct server *server, const struct peer *peer)
{
        int limit = peer->trusted ? MAX_SURVEYS_TRUSTED : 1, own = 0, all = 0;

        for (const struct survey *s = server->surveys; s; s = s->next) {
                all++;
                own += s->uid == peer->uid;
        }
        return own >= limit ? limit : all >= MAX_SURVEYS ? MAX_SURVEYS : 0;
}

void method_sensors(struct call *call)
{
        struct server *server = call->server;
        int limit = limit_reached(server, call_peer(call));
        struct survey *s;
        int r;

        if (limit) {
                call_error(call, "io.energat.TooMany",
                           json_pack("{s:s, s:i}", "what", "surveys of the sensors at a time",
                                     "limit", limit));
                return;
        }
        s = calloc(1, sizeof(*s));
        r = s ? topology_copy(&s->topology, server->topology) : -ENOMEM;
        if (r == 0) {
                s->server = server;
                s->call = call;
                s->uid = call_peer(call)->uid;
                s->done.deliver = on_done;
                s->sources = source_config_of(server->config);
                s->used = meter_source_name(sampler_meter(server->sampler));
                if (!call_peer(call)->trusted)
                        s->mark_ns = server->config->access_interval_ns;
                r = -pthread_create(&s->thread, NULL, survey_run, s);
                if (r < 0)
                        topology_deinit(&s->topology);
        }
        if (r < 0) {
                free(s);
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", strerror(-r)));
                return;
        }
        s->next = server->surveys;
        if (s->next)
                s->next->prev = s;
        server->surveys = s;
        call->state = s;
        call->gone = on_gone;
}
