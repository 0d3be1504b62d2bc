/* SPDX-License-Identifier: MIT */
/*
 * What both ways of calibrating end with: the new baseline goes to disk, in a thread of its own,
 * because a disk may take its time and no other client is to wait for it; then it is in force.
 */
#include <errno.h>
#include <math.h>
#include <numa.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calibrate.h"
#include "log.h"
#include "memory_nodes.h"
#include "report_json.h"

void baseline_begin(struct baseline *b, const struct server *s, enum baseline_method method)
{
        const struct topology *t = s->topology;
        time_t now = time(NULL);
        struct tm utc;

        *b = (struct baseline){.nsockets = sampler_accounts(s->sampler)->nsockets,
                               .method = method};
        baseline_describe_machine(b);
        snprintf(b->source, sizeof(b->source), "%s", meter_source_name(sampler_meter(s->sampler)));
        strftime(b->date, sizeof(b->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
        for (unsigned int i = 0; i < TOPOLOGY_MAX_SOCKETS; i++) {
                b->package_w[i] = b->package_mad_w[i] = b->package_half_width_w[i] = NAN;
                b->dram_w[i] = b->dram_mad_w[i] = b->dram_half_width_w[i] = NAN;
                b->package_percent[i] = b->dram_percent[i] = NAN;
        }
        for (unsigned int i = 0; i < b->nsockets; i++)
                b->dram_percent[i] = memory_nodes_percent(t, t->sockets[i], numa_node_size64);
}

struct keeping {
        struct letter letter; /* to the server, to the sampler, and back to be freed */
        struct server *server;
        struct call *call; /* NULL: the peer has gone */
        pthread_t thread;
        struct baseline baseline;
        double busy_percent;
        int error; /* of saving */
        char why[CONFIG_PATH_MAX + 64];
};

static struct keeping *keeping_of(struct letter *letter)
{
        return (struct keeping *)(void *)((char *)letter - offsetof(struct keeping, letter));
}

static void keeping_free(struct letter *letter)
{
        free(keeping_of(letter));
}

/* ---- in the sampler ---- */

static void run_set(struct letter *letter)
{
        struct keeping *k = keeping_of(letter);

        sampler_set_baseline(k->server->sampler, &k->baseline);
        k->letter.deliver = keeping_free;
        mailbox_push(&k->server->mailbox, &k->letter);
}

/* ---- in the server ---- */

static void tell(struct call *call, const struct keeping *k, const char *path)
{
        const struct baseline *b = &k->baseline;

        if (k->error < 0)
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", k->why));
        else
                call_reply(
                        call,
                        json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:n, s:s}", "event",
                                  "done", "window", (int)b->windows, "windows", (int)b->windows,
                                  "package_w", json_watts(b->package_w, b->nsockets), "dram_w",
                                  json_watts(b->dram_w, b->nsockets), "package_half_width_w",
                                  json_watts(b->package_half_width_w, b->nsockets),
                                  "dram_half_width_w",
                                  json_watts(b->dram_half_width_w, b->nsockets), "busy_percent",
                                  isnan(k->busy_percent) ? json_null() : json_real(k->busy_percent),
                                  "lacking", "path", path),
                        false);
}

static void on_saved(struct letter *letter)
{
        struct keeping *k = keeping_of(letter);
        struct server *s = k->server;
        char path[CONFIG_PATH_MAX + 64];

        pthread_join(k->thread, NULL);
        s->keeping = false;
        snprintf(path, sizeof(path), "%s/%s", s->config->state_dir, BASELINE_FILE);
        if (k->call)
                tell(k->call, k, path);
        if (k->error == 0)
                log_notice("new baseline in %s", path);
        if (k->error < 0 || s->stopping) { /* the sampler takes no letters any more */
                free(k);
                return;
        }
        if (!s->baseline)
                s->baseline = malloc(sizeof(*s->baseline));
        if (s->baseline)
                *s->baseline = k->baseline;
        s->baseline_problem[0] = s->baseline_doubt[0] = '\0';
        k->letter.deliver = run_set;
        sampler_post(s->sampler, &k->letter);
}

static void on_gone(struct call *call)
{
        struct keeping *k = call->state;

        k->call = NULL;
        call_free(call);
}

/* ---- in the thread that saves ---- */

static void *save(void *arg)
{
        struct keeping *k = arg;

        k->error = baseline_save(&k->baseline, k->server->config->state_dir, k->why,
                                 sizeof(k->why));
        mailbox_push(&k->server->mailbox, &k->letter);
        return NULL;
}

void baseline_keep(struct call *call, const struct baseline *b, double busy_percent)
{
        struct server *s = call->server;
        struct keeping *k;
        int r;

        if (s->keeping) {
                call_error(
                        call, "io.energat.TooMany",
                        json_pack("{s:s, s:i}", "what", "baselines saved at a time", "limit", 1));
                return;
        }
        k = calloc(1, sizeof(*k));
        r = k ? 0 : -ENOMEM;
        if (r == 0) {
                k->letter.deliver = on_saved;
                k->server = s;
                k->call = call;
                k->baseline = *b;
                k->busy_percent = busy_percent;
                r = -pthread_create(&k->thread, NULL, save, k);
        }
        if (r < 0) {
                free(k);
                call->gone = NULL;
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", strerror(-r)));
                return;
        }
        s->keeping = true;
        call->state = k;
        call->gone = on_gone;
}
