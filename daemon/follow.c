/* SPDX-License-Identifier: MIT */
/* Follow and Detach: a target's life as the server sees it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "clock.h"
#include "memory.h"
#include "pid_search.h"
#include "report_json.h"
#include "server.h"

#define NAME_MAX_BYTES 256
#define MAX_INTERVAL_S 86400.0
/* Targets of one user: each costs every tick. */
#define MAX_FOLLOWS         64
#define MAX_FOLLOWS_TRUSTED 4096

/*
 * One Follow.  It ends when the sampler has let go of the target (farewell) and no letter of ours
 * is on its way: letters are parts of this object.
 */
struct follow {
        struct follow *next, *prev;
        struct server *server;
        struct call *call;        /* NULL: the peer has gone */
        struct call *detach_call; /* a Detach that waits for its answer, or NULL */
        struct target *target;
        uint64_t id;
        uid_t uid;
        pid_t pid; /* as the peer calls it */
        char name[NAME_MAX_BYTES + 1];
        char model[CONFIG_WORD_MAX]; /* the peer's choice; it changes no number */
        struct letter attach, attached, detach, detached;
        int attach_result;
        bool merged;     /* the process table has been full */
        bool in_sampler; /* between a successful attach and the farewell */
        bool detaching;  /* a detach letter is on its way */
        bool abandoned;  /* that says that the peer has gone */
        bool was_over;   /* when it arrived, the last process had gone */
};

static struct follow *follow_of(struct letter *letter, size_t offset)
{
        return (struct follow *)(void *)((char *)letter - offset);
}

static void follow_free(struct follow *f)
{
        if (f->prev)
                f->prev->next = f->next;
        else
                f->server->follows = f->next;
        if (f->next)
                f->next->prev = f->prev;
        target_free(f->target);
        free(f);
}

static void follow_free_when_done(struct follow *f)
{
        if (!f->in_sampler && !f->detaching)
                follow_free(f);
}

/* ---- in the sampler ---- */

static void run_attach(struct letter *letter)
{
        struct follow *f = follow_of(letter, offsetof(struct follow, attach));

        f->attach_result = sampler_follow(f->server->sampler, f->target, letter);
        if (f->attach_result == -EAGAIN)
                return;
        f->merged = cputime_losses(sampler_cputime(f->server->sampler))->merged > 0;
        mailbox_push(&f->server->mailbox, &f->attached);
}

static void run_detach(struct letter *letter)
{
        struct follow *f = follow_of(letter, offsetof(struct follow, detach));

        f->was_over = f->target->over_ns != 0;
        f->target->abandoned = f->abandoned;
        sampler_unfollow(f->server->sampler, f->target);
        mailbox_push(&f->server->mailbox, &f->detached);
}

/* ---- in the server ---- */

static void follow_detach(struct follow *f)
{
        if (!f->in_sampler || f->detaching)
                return;
        f->detaching = true;
        f->abandoned = !f->call;
        sampler_post(f->server->sampler, &f->detach);
}

static void no_such_target(struct call *call, json_int_t id)
{
        call_error(call, "io.energat.NoSuchTarget", json_pack("{s:I}", "target", id));
}

static void on_detached(struct letter *letter)
{
        struct follow *f = follow_of(letter, offsetof(struct follow, detached));
        struct call *call = f->detach_call;

        f->detaching = false;
        f->detach_call = NULL;
        if (call && f->was_over)
                no_such_target(call, (json_int_t)f->id);
        else if (call)
                call_reply(call, json_object(), false);
        if (!f->call && !f->abandoned) /* the peer has gone meanwhile */
                follow_detach(f);
        follow_free_when_done(f);
}

static void on_gone(struct call *call)
{
        struct follow *f = call->state;

        call_free(call);
        f->call = NULL;
        follow_detach(f);
}

static json_t *answer(const struct follow *f, const char *event, const struct report *r)
{
        const char *lacking, *baseline = server_baseline(f->server, &lacking);
        const struct report_header header = {.baseline = baseline,
                                             .lacking = lacking,
                                             .sampler = f->server->sampler,
                                             .faults = f->server->faults,
                                             .topology = f->server->topology,
                                             .pid = f->pid,
                                             .name = f->name,
                                             .model = f->model,
                                             .gamma = f->target->gamma,
                                             .delta = f->target->delta};

        return json_pack("{s:s, s:I, s:o}", "event", event, "target", (json_int_t)f->id, "report",
                         r ? report_json(&header, r) : json_null());
}

static void reports_send(struct follow *f)
{
        const struct report *r;

        while ((r = target_peek(f->target))) {
                if (f->call) {
                        bool last = r->event == REPORT_FINAL;
                        struct call *call = f->call;

                        if (last)
                                f->call = NULL;
                        if (last && call->more && f->server->stopping)
                                call->gone = NULL; /* the intervals told it all */
                        else if (last || call->more)
                                call_reply(call, answer(f, last ? "final" : "interval", r), !last);
                }
                target_next(f->target);
        }
}

static void on_news(struct letter *letter)
{
        struct target *t = (struct target *)(void *)((char *)letter -
                                                     offsetof(struct target, news));

        target_news_taken(t);
        reports_send(t->owner);
}

static void on_farewell(struct letter *letter)
{
        struct target *t = (struct target *)(void *)((char *)letter -
                                                     offsetof(struct target, farewell));
        struct follow *f = t->owner;

        reports_send(f);
        f->in_sampler = false;
        follow_free_when_done(f);
}

/* The sampler does not know the process.  It has gone, or it has no row of its own. */
static void no_such_process(struct follow *f, struct call *call)
{
        struct procfs_stat stat;

        if (procfs_stat(&stat, "/proc", f->target->pid) == 0 && stat.state != 'Z' &&
            stat.start_ticks == f->target->start_ticks)
                call_error(
                        call, "io.energat.Failed",
                        json_pack("{s:s}", "reason",
                                  f->merged
                                          ? "the process table was full: this process is counted "
                                            "in the one that started it; raise "
                                            "accounting.max_processes"
                                          : "the kernel does not show this process to energatd, as "
                                            "some sandboxes do with their own: what it uses is "
                                            "not known ('energat check' tells of the probe)"));
        else
                call_error(call, "io.energat.NoSuchProcess",
                           json_pack("{s:i}", "pid", (int)f->pid));
}

static void on_attached(struct letter *letter)
{
        struct follow *f = follow_of(letter, offsetof(struct follow, attached));
        struct call *call = f->call;

        if (f->attach_result < 0) {
                f->call = NULL;
                if (call && f->attach_result == -ESRCH)
                        no_such_process(f, call);
                else if (call)
                        call_error(call, "io.energat.Failed",
                                   json_pack("{s:s}", "reason", strerror(-f->attach_result)));
                f->in_sampler = false;
                follow_free_when_done(f);
                return;
        }
        memory_look_now(f->server->memory);
        if (!call) /* it went away meanwhile */
                follow_detach(f);
        else if (call->more)
                call_reply(call, answer(f, "attached", NULL), true);
}

/* An optional number within bounds.  false: it is there and wrong. */
static bool get_number(const json_t *parameters, const char *name, double above, double most,
                       double *value)
{
        const json_t *v = json_object_get(parameters, name);

        if (!v || json_is_null(v))
                return true;
        if (!json_is_number(v))
                return false;
        *value = json_number_value(v);
        return isfinite(*value) && *value > above && *value <= most;
}

/* An optional word that the configuration's `key` takes, too.  false: it is there and wrong. */
static bool get_choice(const json_t *parameters, const char *name, const char *key,
                       const char **value)
{
        const json_t *v = json_object_get(parameters, name);

        if (!v || json_is_null(v))
                return true;
        if (!json_is_string(v) || !config_has_choice(key, json_string_value(v)))
                return false;
        *value = json_string_value(v);
        return true;
}

/* What a Follow asks for. */
struct wish {
        pid_t pid; /* as the peer calls it */
        const char *name, *model;
        double gamma, delta, interval_s;
};

/* false: a parameter is wrong, and the call has been told so. */
static bool get_wish(struct call *call, struct wish *wish)
{
        const struct config *config = call->server->config;
        const json_t *pid = json_object_get(call->parameters, "pid");
        const json_t *name = json_object_get(call->parameters, "name");
        double tick_s = (double)config->tick_ns / NS_PER_S;
        const char *wrong = NULL;

        *wish = (struct wish){
                .name = json_string_value(name),
                .model = config->model,
                .gamma = config->gamma,
                .delta = config->delta,
                .interval_s = (double)access_default_interval_ns(config, call_peer(call)) /
                              NS_PER_S};
        if (!json_is_integer(pid) || json_integer_value(pid) < 1 ||
            json_integer_value(pid) > INT32_MAX)
                wrong = "pid";
        else if (name && !json_is_null(name) &&
                 (!json_is_string(name) || json_string_length(name) > NAME_MAX_BYTES))
                wrong = "name";
        else if (!get_choice(call->parameters, "model", "model.model", &wish->model))
                wrong = "model";
        else if (!get_number(call->parameters, "gamma", 0, 1, &wish->gamma))
                wrong = "gamma";
        else if (!get_number(call->parameters, "delta", 0, 1, &wish->delta))
                wrong = "delta";
        else if (!get_number(call->parameters, "interval_s", tick_s * (1 - 1e-9), MAX_INTERVAL_S,
                             &wish->interval_s))
                wrong = "interval_s";
        wish->pid = (pid_t)json_integer_value(pid);
        if (wrong)
                call_invalid_parameter(call, wrong);
        return !wrong;
}

/* Those that are ending count, too: they cost a tick what the others do. */
static unsigned int follows_of(const struct server *s, const struct peer *peer)
{
        unsigned int n = 0;

        for (const struct follow *f = s->follows; f; f = f->next)
                n += f->uid == peer->uid;
        return n;
}

/* What is asked for is process `real_pid`; negative: there is no such process. */
static void follow_found(struct call *call, pid_t real_pid)
{
        const struct config *config = call->server->config;
        const struct peer *peer = call_peer(call);
        unsigned int limit = peer->trusted ? MAX_FOLLOWS_TRUSTED : MAX_FOLLOWS;
        struct procfs_status status;
        struct procfs_stat stat;
        struct denial denial;
        struct follow *f;
        struct wish wish;

        if (!get_wish(call, &wish))
                return;
        /* First who it is, then whose: should the pid pass on in between, it is not followed. */
        if (real_pid < 0 || procfs_stat(&stat, "/proc", real_pid) < 0 ||
            procfs_status(&status, "/proc", real_pid) < 0) {
                call_error(call, "io.energat.NoSuchProcess",
                           json_pack("{s:i}", "pid", (int)wish.pid));
                return;
        }
        access_follow(&denial, config, peer, &status,
                      (uint64_t)llround(wish.interval_s * NS_PER_S));
        if (denial.rule) {
                call_denied(call, &denial);
                return;
        }
        if (follows_of(call->server, peer) >= limit) {
                call_error(call, "io.energat.TooMany",
                           json_pack("{s:s, s:i}", "what", "targets", "limit", (int)limit));
                return;
        }
        if (status.tgid != real_pid) {
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason",
                                     "that is a thread; follow the process it belongs to"));
                return;
        }
        f = calloc(1, sizeof(*f));
        if (!f || target_new(&f->target, sampler_accounts(call->server->sampler),
                             &call->server->mailbox, f) < 0) {
                free(f);
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
                return;
        }
        f->server = call->server;
        f->call = call;
        f->id = ++call->server->last_target;
        f->uid = peer->uid;
        f->pid = wish.pid;
        snprintf(f->name, sizeof(f->name), "%s", wish.name && *wish.name ? wish.name : stat.comm);
        snprintf(f->model, sizeof(f->model), "%s", wish.model);
        f->attach.deliver = run_attach;
        f->attached.deliver = on_attached;
        f->detach.deliver = run_detach;
        f->detached.deliver = on_detached;
        f->target->news.deliver = on_news;
        f->target->farewell.deliver = on_farewell;
        f->target->id = f->id;
        f->target->pid = real_pid;
        f->target->start_ticks = stat.start_ticks;
        f->target->gamma = wish.gamma;
        f->target->delta = wish.delta;
        f->target->interval_ns = (uint64_t)llround(wish.interval_s * NS_PER_S);
        f->target->intervals = call->more;
        f->target->coarse = !peer->trusted;
        f->next = call->server->follows;
        if (f->next)
                f->next->prev = f;
        call->server->follows = f;
        call->state = f;
        call->gone = on_gone;
        f->in_sampler = true;
        sampler_post(call->server->sampler, &f->attach);
}

bool follow_look(const struct server *s, uint64_t target, struct follow_view *ret)
{
        for (const struct follow *f = s->follows; f; f = f->next) {
                if (f->id != target)
                        continue;
                *ret = (struct follow_view){.uid = f->uid, .name = f->name};
                return true;
        }
        return false;
}

size_t follows_count(const struct server *s)
{
        size_t n = 0;

        for (const struct follow *f = s->follows; f; f = f->next)
                n++;
        return n;
}

void method_follow(struct call *call)
{
        struct wish wish;

        if (get_wish(call, &wish))
                pid_search(call, wish.pid, follow_found);
}

static void on_detach_gone(struct call *call)
{
        struct follow *f = call->state;

        f->detach_call = NULL;
        call_free(call);
}

void method_detach(struct call *call)
{
        const struct peer *peer = call_peer(call);
        const json_t *target = json_object_get(call->parameters, "target");
        json_int_t id = json_integer_value(target);

        if (!json_is_integer(target)) {
                call_invalid_parameter(call, "target");
                return;
        }
        for (struct follow *f = call->server->follows; f; f = f->next) {
                /* Whether somebody else's target exists is nobody's business. */
                if (f->id != (uint64_t)id || (f->uid != peer->uid && !peer->trusted))
                        continue;
                if (!f->in_sampler || f->detaching) { /* it is ending already */
                        call_reply(call, json_object(), false);
                        return;
                }
                f->detach_call = call;
                call->state = f;
                call->gone = on_detach_gone;
                follow_detach(f);
                return;
        }
        no_such_target(call, id);
}
