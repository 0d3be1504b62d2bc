/* SPDX-License-Identifier: MIT */
#include "top_feed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

void top_feed_init(struct top_feed *f, const char *path, struct connection *connection)
{
        *f = (struct top_feed){.path = path, .connection = connection, .asked_ns = clock_now_ns()};
}

void top_feed_deinit(struct top_feed *f)
{
        connection_close(f->connection);
        json_decref(f->status);
        *f = (struct top_feed){0};
}

static void lose(struct top_feed *f, int error)
{
        snprintf(f->trouble, sizeof(f->trouble), "no energatd: %s; trying again at %s",
                 f->connection ? connection_strerror(f->connection, error) : strerror(-error),
                 f->path);
        connection_close(f->connection);
        f->connection = NULL;
        json_decref(f->status);
        f->status = NULL;
        f->asked = f->told = false;
}

/* Both calls at once: the daemon answers them in order. */
static int send_calls(struct top_feed *f, const struct top_snapshot *last)
{
        json_auto_t *since = NULL;
        int r = connection_send(f->connection, "io.energat.GetStatus", NULL, false);

        if (r < 0)
                return r;
        if (f->own_only)
                return connection_send(f->connection, "io.energat.GetOwnRows", NULL, false);
        /* what another daemon said is of no use to this one */
        if (f->told && last->processes)
                since = json_pack("{s:f}", "since_s", last->uptime_s);
        return connection_send(f->connection, "io.energat.GetRows", since, false);
}

void top_feed_ask(struct top_feed *f, const struct top_snapshot *last)
{
        int r = 0;

        if (f->asked) {
                if (clock_now_ns() > f->asked_ns + CONNECTION_TIMEOUT_NS)
                        lose(f, -ETIMEDOUT);
                return;
        }
        if (f->connection && clock_now_ns() > f->asked_ns + CONNECTION_KEEP_NS) {
                connection_close(f->connection);
                f->connection = NULL;
                f->told = false;
        }
        if (!f->connection)
                r = connection_open(&f->connection, f->path, CONNECTION_AT_ONCE_NS);
        if (r == 0)
                r = send_calls(f, last);
        if (r < 0) {
                lose(f, r);
                return;
        }
        f->asked = true;
        f->asked_ns = clock_now_ns();
}

/* Only administrators see all rows: from here on ask for one's own. */
static int on_refusal(struct top_feed *f, const struct top_snapshot *last)
{
        if (f->own_only || strcmp(connection_error_name(f->connection), "io.energat.Denied") != 0) {
                snprintf(f->trouble, sizeof(f->trouble), "%s",
                         connection_error_text(f->connection));
                return -EPERM;
        }
        f->own_only = true;
        json_decref(f->status);
        f->status = NULL;
        f->asked = false;
        top_feed_ask(f, last);
        return 0;
}

int top_feed_take(struct top_feed *f, const struct top_snapshot *last, struct top_snapshot *ret)
{
        while (f->asked) {
                json_auto_t *reply = NULL;
                int r = connection_receive(f->connection, &reply, NULL);

                if (r == -EAGAIN)
                        return 0;
                if (r == -EREMOTEIO) {
                        r = on_refusal(f, last);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (r < 0) {
                        lose(f, r);
                        return 0;
                }
                if (!f->status) {
                        f->status = json_incref(reply);
                        continue;
                }
                r = top_snapshot_parse(ret, reply, f->status, f->own_only, last);
                if (r < 0) {
                        lose(f, r);
                        return 0;
                }
                json_decref(f->status);
                f->status = NULL;
                f->asked = false;
                f->told = true;
                f->trouble[0] = '\0';
                return 1;
        }
        return 0;
}

int top_feed_fd(const struct top_feed *f)
{
        return f->asked ? connection_fd(f->connection) : -1;
}
