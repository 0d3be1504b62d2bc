/* SPDX-License-Identifier: MIT */
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define US_PER_S       1000000ull
#define TURNS_NS       5000000ull /* half a tick's time: far below what a person notices */
#define SWEEP_US       US_PER_S
#define DROP_LINES     20 /* in the log, within */
#define DROP_WINDOW_US (10 * US_PER_S)

/* ---- connections ---- */

static uint64_t now_us(const struct server *s)
{
        uint64_t now = 0;

        (void)sd_event_now(s->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* Bytes of a connection that wait have become more or fewer. */
static void count_output(struct connection *c, size_t before)
{
        c->user->output += c->output_used - c->output_sent;
        c->user->output -= before;
}

void connection_free(struct connection *c)
{
        struct server *s = c->server;

        if (c->call) {
                struct call *call = c->call;

                call->connection = NULL;
                c->call = NULL;
                if (call->gone)
                        call->gone(call);
                else
                        call_free(call);
        }
        if (c->prev)
                c->prev->next = c->next;
        else
                s->connections = c->next;
        if (c->next)
                c->next->prev = c->prev;
        s->nconnections--;
        s->nrefused -= c->refused != 0;
        turns_remove(c);
        c->user->output -= c->output_used - c->output_sent;
        user_leave(s, c->user);
        close(c->fd); /* which takes it out of the epoll set, too */
        wire_reader_deinit(&c->reader);
        free(c->output);
        c->dead = true;
        if (!c->serving)
                free(c);
}

void connection_touch(struct connection *c)
{
        c->active_us = now_us(c->server);
}

/* Clients that are dropped without end must not fill the log: some lines are enough, and a count.
 */
static bool worth_a_line(struct server *s)
{
        uint64_t now = now_us(s);

        if (now >= s->drops_until_us) {
                if (s->drops > DROP_LINES)
                        log_info("%u more clients were dropped", s->drops - DROP_LINES);
                s->drops = 0;
                s->drops_until_us = now + DROP_WINDOW_US;
        }
        return ++s->drops <= DROP_LINES;
}

void connection_drop(struct connection *c, const char *why)
{
        if (worth_a_line(c->server))
                log_info("dropping a client of user %u (process %d): %s", c->peer.uid, c->peer.pid,
                         why);
        connection_free(c);
}

/* Wait for what the connection can use now; for its end (EPOLLHUP) in any case. */
static int connection_watch(struct connection *c)
{
        uint32_t events = EPOLLHUP | (c->full ? 0 : EPOLLIN) |
                          (c->output_used > c->output_sent ? EPOLLOUT : 0);
        struct epoll_event event = {.events = events, .data.ptr = c};
        int r = 0;

        if (events != c->events)
                r = epoll_ctl(c->server->epoll_fd, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd,
                              &event);
        c->events = events;
        return r < 0 ? -errno : 0;
}

/* Write what can be written.  false: the connection is gone. */
static bool connection_flush(struct connection *c)
{
        size_t before = c->output_used - c->output_sent;

        while (c->output_sent < c->output_used) {
                ssize_t n = send(c->fd, c->output + c->output_sent, c->output_used - c->output_sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN) {
                        count_output(c, before);
                        connection_watch(c);
                        return true;
                }
                if (n < 0) {
                        count_output(c, before);
                        connection_free(c);
                        return false;
                }
                c->output_sent += (size_t)n;
                c->progress_us = now_us(c->server);
        }
        c->output_used = c->output_sent = 0;
        count_output(c, before);
        free(c->output); /* it may be large, and the connection may live long */
        c->output = NULL;
        connection_watch(c);
        if (c->closing) {
                connection_free(c);
                return false;
        }
        return true;
}

bool connection_send_text(struct connection *c, char *text, size_t length)
{
        char *output;

        /* One long answer is no backlog. */
        if (c->output_used > c->output_sent &&
            c->output_used - c->output_sent + length > SERVER_MAX_OUTPUT) {
                free(text);
                connection_drop(c, "it does not read its answers");
                return false;
        }
        if (c->output_sent) {
                memmove(c->output, c->output + c->output_sent, c->output_used - c->output_sent);
                c->output_used -= c->output_sent;
                c->output_sent = 0;
        }
        if (c->peer.uid != 0 && c->user->output &&
            c->user->output + length > SERVER_MAX_OUTPUT_PER_USER) {
                free(text);
                connection_drop(c, "too much waits for this user's connections, which do not read");
                return false;
        }
        output = realloc(c->output, c->output_used + length);
        if (!output) {
                free(text);
                connection_drop(c, "out of memory");
                return false;
        }
        c->output = output;
        memcpy(output + c->output_used, text, length);
        if (!c->output_used)
                c->progress_us = c->behind_us = now_us(c->server);
        c->output_used += length;
        c->user->output += length;
        free(text);
        return connection_flush(c);
}

bool connection_send(struct connection *c, json_t *message)
{
        size_t length;
        char *text = wire_encode(message, &length);

        json_decref(message);
        if (!text) {
                connection_drop(c, "out of memory");
                return false;
        }
        return connection_send_text(c, text, length);
}

/* Read what has come.  false: the connection is gone. */
static bool connection_read(struct connection *c)
{
        int r = wire_reader_fill(&c->reader, c->fd);

        if (r > 0 || r == -EAGAIN || r == -EINTR)
                return true;
        if (r == -ENOBUFS && !(c->happened & (EPOLLHUP | EPOLLERR)) && !c->output_used) {
                c->full = true; /* the rest waits in the socket, and so does the peer */
                connection_watch(c);
                return true;
        }
        if (r == -ENOBUFS && !(c->happened & (EPOLLHUP | EPOLLERR)))
                connection_drop(c, "it does not read its answers");
        else if (r == -EMSGSIZE)
                connection_drop(c, "its message is too long");
        else
                connection_free(c);
        return false;
}

/* The next call, when it can be made.  1: it is taken; 0: not; a negative errno: the connection is
 * gone. */
static int connection_take(struct connection *c, json_t **message)
{
        int r = 0;

        if (!c->call && !c->closing && c->output_used - c->output_sent < SERVER_MAX_UNREAD)
                r = wire_reader_next(&c->reader, message);
        if (r < 0)
                connection_drop(c, "it sends what is no Varlink message");
        if (r > 0 && c->full) {
                c->full = false;
                connection_watch(c);
        }
        return r;
}

/*
 * A turn: one call, and nothing is read while there is one at hand.  What a method does can free
 * the connection; `serving` keeps its memory until the end.
 */
static void connection_serve(struct connection *c)
{
        json_t *message;
        int r;

        c->serving = true;
        if (!(c->happened & EPOLLOUT) || connection_flush(c)) {
                r = connection_take(c, &message);
                if (r == 0 && c->happened & (EPOLLIN | EPOLLHUP | EPOLLERR) && connection_read(c))
                        r = connection_take(c, &message);
                if (r > 0) {
                        connection_call(c, message);
                        json_decref(message);
                        if (!c->dead)
                                connection_go_on(c);
                }
        }
        c->serving = false;
        c->happened = 0;
        if (c->dead)
                free(c);
}

static void turns_go_on(struct server *s)
{
        sd_event_source_set_time(s->turns_timer, 0);
        sd_event_source_set_enabled(s->turns_timer, SD_EVENT_ONESHOT);
}

/* Turns for some time; then timers and letters have theirs. */
static void turns_take(struct server *s)
{
        uint64_t end_ns = monotonic_ns() + TURNS_NS;
        struct connection *c;

        while ((c = turns_next(s))) {
                connection_serve(c);
                if (s->turns && monotonic_ns() >= end_ns) {
                        turns_go_on(s);
                        return;
                }
        }
}

static int on_turns(sd_event_source *timer, uint64_t usec, void *userdata)
{
        (void)timer;
        (void)usec;
        turns_take(userdata);
        return 0;
}

void connection_go_on(struct connection *c)
{
        if (c->call || !c->reader.used)
                return;
        turns_add(c);
        if (!c->serving)
                turns_go_on(c->server);
}

/* ---- those that come ---- */

/* Which limit a new client of `user`, who has it already, is above, or 0. */
static int limit_reached(const struct server *s, const struct user *user, const struct peer *peer)
{
        unsigned int limit = SERVER_MAX_CONNECTIONS - (peer->trusted ? 0 : SERVER_KEPT_CONNECTIONS);

        if (s->nconnections >= limit)
                return (int)limit;
        if (user->uid != 0 && user->nconnections > SERVER_MAX_CONNECTIONS_PER_USER)
                return SERVER_MAX_CONNECTIONS_PER_USER;
        return 0;
}

int connection_new(struct server *s, int fd, const struct peer *peer)
{
        struct user *user = user_enter(s, peer->uid);
        int refused = user ? limit_reached(s, user, peer) : 0;
        struct connection *c;

        if (!user)
                return -ENOMEM;
        c = refused && s->nrefused >= SERVER_MAX_REFUSALS ? NULL : calloc(1, sizeof(*c));
        if (!c) {
                user_leave(s, user);
                return -ENOMEM;
        }
        c->server = s;
        c->fd = fd;
        c->refused = refused;
        c->peer = *peer;
        c->user = user;
        c->active_us = c->progress_us = now_us(s);
        wire_reader_init(&c->reader, WIRE_MAX_CALL);
        if (connection_watch(c) < 0) {
                user_leave(s, user);
                free(c);
                return -ENOMEM;
        }
        c->next = s->connections;
        if (c->next)
                c->next->prev = c;
        s->connections = c;
        s->nconnections++;
        s->nrefused += c->refused != 0;
        return 0;
}

/* ---- all of them ---- */

/*
 * Connections have an epoll set of their own, which is one source to sd-event: that looks at
 * everything that is ready before each single thing it does, and would need seconds when thousands
 * hang up at once.
 */
static int on_connections(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct epoll_event events[SERVER_AT_ONCE];
        int n = epoll_wait(fd, events, SERVER_AT_ONCE, 0);

        (void)source;
        (void)revents;
        for (int i = 0; i < n; i++) {
                struct connection *c = events[i].data.ptr;

                c->happened |= events[i].events;
                turns_add(c);
        }
        turns_take(userdata);
        return 0;
}

/* Why a connection has to go, or NULL. */
static const char *overdue(const struct connection *c, uint64_t now)
{
        if (c->output_used && now > c->progress_us + SERVER_STALL_S * US_PER_S)
                return "it does not read its answers";
        if (c->output_used && now > c->behind_us + SERVER_BEHIND_S * US_PER_S)
                return "it reads its answers too slowly";
        if (!c->call && !c->output_used &&
            now > c->active_us + c->server->config->idle_timeout_ns / 1000)
                return "it is idle (server.idle_timeout)";
        return NULL;
}

static int on_sweep(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct server *s = userdata;
        uint64_t now = now_us(s);

        (void)usec; /* when it was due */
        for (struct connection *c = s->connections, *next; c; c = next) {
                const char *why = overdue(c, now);

                next = c->next;
                if (why)
                        connection_drop(c, why);
        }
        sd_event_source_set_time(timer, now + SWEEP_US);
        return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

int clients_init(struct server *s)
{
        int r = sd_event_add_time_relative(s->event, &s->sweep_timer, CLOCK_MONOTONIC, SWEEP_US,
                                           SWEEP_US, on_sweep, s);

        if (r < 0)
                return r;
        r = sd_event_add_time(s->event, &s->turns_timer, CLOCK_MONOTONIC, 0, 1, on_turns, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->turns_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (s->epoll_fd < 0)
                return -errno;
        return sd_event_add_io(s->event, &s->epoll_source, s->epoll_fd, EPOLLIN, on_connections, s);
}

void clients_deinit(struct server *s)
{
        while (s->connections)
                connection_free(s->connections);
        s->sweep_timer = sd_event_source_disable_unref(s->sweep_timer);
        s->turns_timer = sd_event_source_disable_unref(s->turns_timer);
        s->epoll_source = sd_event_source_disable_unref(s->epoll_source);
        if (s->epoll_fd >= 0)
                close(s->epoll_fd);
        s->epoll_fd = -1;
}
