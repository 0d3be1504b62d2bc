/* SPDX-License-Identifier: MIT */
/*
 * What both ways of calibrating end with: the new baseline goes to disk, in a thread of its own,
 * because a disk may take its time and no other client is to wait for it; then it is in force.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "log.h"

/* ---- in force ---- */

struct enforcing {
        struct letter letter; /* to the sampler, and back to be freed */
        struct server *server;
        struct baseline baseline;
};

static void enforcing_free(struct letter *letter)
{
        free(letter);
}

/* In the sampler. */
static void run_set(struct letter *letter)
{
        struct enforcing *e = (struct enforcing *)(void *)letter;

        sampler_set_baseline(e->server->sampler, &e->baseline);
        e->letter.deliver = enforcing_free;
        mailbox_push(&e->server->mailbox, &e->letter);
}

int baseline_put_in_force(struct server *s, const struct baseline *b)
{
        struct enforcing *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        e->letter.deliver = run_set;
        e->server = s;
        e->baseline = *b;
        sampler_post(s->sampler, &e->letter);
        return 0;
}

/* ---- on disk ---- */

struct keeping {
        struct letter letter; /* to the server */
        struct server *server;
        struct call *call; /* NULL: the peer has gone */
        pthread_t thread;
        struct baseline baseline;
        double busy_percent;
        char lacking[256]; /* what it has no power of, and why, or "" */
        int error;         /* of saving */
        char why[CONFIG_PATH_MAX + 64];
};

static struct keeping *keeping_of(struct letter *letter)
{
        return (struct keeping *)(void *)((char *)letter - offsetof(struct keeping, letter));
}

/* ---- in the server ---- */

static void tell(struct call *call, const struct keeping *k, const char *path)
{
        const struct baseline *b = &k->baseline;

        if (k->error < 0)
                call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", k->why));
        else
                call_reply(call,
                           calibration_json("done", b->windows, b->windows, b, k->busy_percent,
                                            k->lacking[0] ? k->lacking : NULL, path),
                           false);
}

static void on_saved(struct letter *letter)
{
        struct keeping *k = keeping_of(letter);
        struct server *s = k->server;
        char path[CONFIG_PATH_MAX + 64];
        int r;

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
        s->doubt_until_ns = 0;
        r = baseline_put_in_force(s, &k->baseline);
        if (r < 0)
                log_error("the new baseline is in force after a restart: %s", strerror(-r));
        free(k);
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

void baseline_keep(struct call *call, const struct baseline *b, double busy_percent,
                   const char *lacking)
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
                snprintf(k->lacking, sizeof(k->lacking), "%s", lacking ? lacking : "");
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
