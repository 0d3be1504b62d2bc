/* SPDX-License-Identifier: MIT */
#include "follow.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "report.h"
#include "text.h"

/* Detach and GetStatus need no measuring; a daemon that takes longer is not well. */
#define QUICK_CONNECT_NS NS_PER_S
#define QUICK_CALL_NS    (5 * NS_PER_S)
/* How often a daemon that is lost is looked for, and how long one that comes up may take. */
#define RETRY_NS  (NS_PER_S / 2)
#define RESUME_NS NS_PER_S
/* Shorter rests are rounding, or the tick between two readings of the clock: no interval. */
#define SHORTEST_REST_S 0.001

static int set_number(json_t *object, const char *key, double value)
{
        return isfinite(value) ? json_object_set_new(object, key, json_real(value)) : 0;
}

static json_t *follow_parameters(pid_t pid, const struct follow_options *options)
{
        char *name = text_to_utf8(options->name);
        json_auto_t *p = json_pack("{s:i, s:s*, s:s*}", "pid", (int)pid, "name", name, "model",
                                   options->model);

        free(name);
        if (!name || !p || set_number(p, "interval_s", options->interval_s) < 0 ||
            set_number(p, "gamma", options->gamma) < 0 ||
            set_number(p, "delta", options->delta) < 0)
                return NULL;
        return json_incref(p);
}

int follow_start(struct follow *f, struct connection **connection, const char *path, pid_t pid,
                 const struct follow_options *options)
{
        json_auto_t *parameters = follow_parameters(pid, options);

        *f = (struct follow){
                .connection = *connection,
                .path = path,
                .heard_ns = clock_now_ns(),
                .total = json_object(),
                .pid = pid,
                .pidfd = -1,
                .options = *options,
                .before = json_object(),
        };
        *connection = NULL;
        if (!parameters || !f->total || !f->before)
                return -ENOMEM;
        if (options->resume)
                f->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
        return connection_send(f->connection, "io.energat.Follow", parameters, true);
}

static void hang_up(struct follow *f)
{
        connection_close(f->connection);
        f->connection = NULL;
}

void follow_deinit(struct follow *f)
{
        hang_up(f);
        json_decref(f->total);
        json_decref(f->last);
        json_decref(f->final);
        json_decref(f->before);
        if (f->before && f->pidfd >= 0) /* else it was never started, or is done with */
                close(f->pidfd);
        f->pidfd = -1;
        f->retry_ns = 0;
        f->total = f->last = f->final = f->before = NULL;
}

void follow_give_up(struct follow *f, const char *reason)
{
        if (reason != f->lost)
                snprintf(f->lost, sizeof(f->lost), "%s", reason);
        f->retry_ns = 0;
        hang_up(f);
}

/* The daemon is gone; another one may come. */
static void lose(struct follow *f, const char *reason)
{
        follow_give_up(f, reason);
        if (f->pidfd >= 0)
                f->retry_ns = clock_now_ns() + RETRY_NS;
}

bool follow_open(const struct follow *f)
{
        return f->connection || f->retry_ns;
}

/* Sorts a reply by its event.  Returns enum follow_event or -EPROTO, -ENOMEM. */
static int take_reply(struct follow *f, json_t *reply, bool continues)
{
        const char *event = json_string_value(json_object_get(reply, "event"));
        json_t *target = json_object_get(reply, "target");
        json_t *body = json_object_get(reply, "report");

        if (!event || !json_is_integer(target))
                return -EPROTO;

        if (strcmp(event, "attached") == 0 && !f->attached && continues) {
                f->target = json_integer_value(target);
                f->attached = true;
                if (!f->attached_ns)
                        f->attached_ns = clock_now_ns();
                return FOLLOW_ATTACHED;
        }
        if (!f->attached || !report_valid(body))
                return -EPROTO;
        if (strcmp(event, "interval") == 0 && continues) {
                json_decref(f->last);
                f->last = json_incref(body);
                return report_add(f->total, body) < 0 ? -ENOMEM : FOLLOW_INTERVAL;
        }
        if (strcmp(event, "final") == 0 && !continues) {
                f->final = json_incref(body);
                return FOLLOW_FINAL;
        }
        return -EPROTO;
}

int follow_next(struct follow *f)
{
        json_auto_t *reply = NULL;
        bool continues = false;
        int r;

        if (!f->connection)
                return FOLLOW_NOTHING;
        r = connection_receive(f->connection, &reply, &continues);
        if (r == -EAGAIN)
                return FOLLOW_NOTHING;
        f->heard_ns = clock_now_ns();
        if (r == 0)
                r = take_reply(f, reply, continues);

        if (r == FOLLOW_FINAL)
                hang_up(f);
        else if (r < 0 && f->attached)
                lose(f, connection_strerror(f->connection, r));
        return r;
}

/* A call of Follow on a connection of its own, up to "attached". */
static int attach_again(struct follow *f, struct connection **ret)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *parameters = follow_parameters(f->pid, &f->options), *reply = NULL;
        uint64_t deadline_ns = clock_now_ns() + RESUME_NS;
        const json_t *target;
        bool continues = false;
        int r;

        if (!parameters)
                return -ENOMEM;
        r = connection_open(&c, f->path, CONNECTION_AT_ONCE_NS);
        if (r == 0)
                r = connection_send(c, "io.energat.Follow", parameters, true);
        if (r == 0)
                r = connection_wait(c, deadline_ns, &reply, &continues);
        if (r < 0)
                return r;
        target = json_object_get(reply, "target");
        if (!continues || !json_is_integer(target))
                return -EPROTO;
        f->target = json_integer_value(target);
        *ret = c;
        c = NULL;
        return 0;
}

static bool has_exited(int pidfd)
{
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        return poll(&p, 1, 0) > 0;
}

/* The stream that was lost becomes a part of what was before, and a new one begins. */
static int begin_again(struct follow *f)
{
        int r = json_object_size(f->total) ? report_add(f->before, f->total) : 0;
        double covered_s = report_number(f->before, NULL, "duration_s");

        if (r < 0)
                return r;
        json_object_clear(f->total);
        json_decref(f->last);
        f->last = NULL;
        f->heard_ns = clock_now_ns();
        f->gap_s = (double)(f->heard_ns - f->attached_ns) / (double)NS_PER_S -
                   (isfinite(covered_s) ? covered_s : 0);
        f->breaks++;
        f->retry_ns = 0;
        f->lost[0] = '\0';
        return FOLLOW_RESUMED;
}

int follow_retry(struct follow *f)
{
        struct connection *c = NULL;
        int r;

        if (!f->retry_ns || clock_now_ns() < f->retry_ns)
                return FOLLOW_NOTHING;
        f->retry_ns = 0;
        if (has_exited(f->pidfd))
                return -ESRCH;
        r = attach_again(f, &c);
        if (r == -EREMOTEIO || r == -ENOMEM)
                return r;
        if (r < 0) {
                f->retry_ns = clock_now_ns() + RETRY_NS;
                return FOLLOW_NOTHING;
        }
        f->connection = c;
        return begin_again(f);
}

int follow_fd(const struct follow *f)
{
        return f->connection ? connection_fd(f->connection) : -1;
}

static int quick_call(const char *path, const char *method, json_t *parameters)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *reply = NULL;
        int r;

        r = connection_open(&c, path, QUICK_CONNECT_NS);
        if (r < 0)
                return r;
        return connection_call(c, method, parameters, QUICK_CALL_NS, &reply);
}

int follow_detach(const struct follow *f)
{
        json_auto_t *parameters = json_pack("{s:I}", "target", f->target);

        if (!parameters)
                return -ENOMEM;
        return quick_call(f->path, "io.energat.Detach", parameters);
}

void follow_probe(struct follow *f)
{
        int r = quick_call(f->path, "io.energat.GetStatus", NULL);

        if (r == 0 || r == -EREMOTEIO) /* an answer is a sign of life, whatever it says */
                f->heard_ns = clock_now_ns();
        else
                lose(f, r == -ETIMEDOUT ? "it does not answer" : strerror(-r));
}

json_t *follow_rest(const struct follow *f)
{
        json_auto_t *rest = report_rest(f->final, f->total);

        if (!rest || !(report_number(rest, NULL, "duration_s") >= SHORTEST_REST_S))
                return NULL;
        return json_incref(rest);
}

/* What the last stream has told, with a warning when it has not told all; NULL: nothing. */
static json_t *last_part(const struct follow *f)
{
        json_auto_t *total = NULL;
        char warning[sizeof(f->lost) + 128];

        if (f->final)
                return json_deep_copy(f->final);
        if (json_object_size(f->total) == 0)
                return NULL;

        total = json_deep_copy(f->total);
        if (!total)
                return NULL;
        snprintf(warning, sizeof(warning),
                 "no last report from energatd (%s): only the first %.3f s are counted", f->lost,
                 report_number(total, NULL, "duration_s"));
        return report_warn(total, warning) < 0 ? NULL : json_incref(total);
}

json_t *follow_result(const struct follow *f)
{
        json_auto_t *part = last_part(f), *sum = NULL;
        char warning[256];

        if (json_object_size(f->before) == 0 && !f->breaks)
                return json_incref(part);
        sum = json_deep_copy(f->before);
        if (!sum || (part && report_add(sum, part) < 0) || json_object_size(sum) == 0)
                return NULL;
        snprintf(warning, sizeof(warning),
                 "energatd was away %u time%s: %.3f s in between are not counted", f->breaks,
                 f->breaks == 1 ? "" : "s", f->gap_s);
        return report_warn(sum, warning) < 0 ? NULL : json_incref(sum);
}
