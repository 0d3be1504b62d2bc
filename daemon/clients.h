/* SPDX-License-Identifier: MIT */
/*
 * The server's connections: bytes in and out, and the limits that keep one client from being felt
 * by another.  For clients.c, calls.c and listen.c; methods see struct call alone (server.h).
 */
#pragma once

#include "server.h"
#include "users.h"
#include "wire.h"

#define SERVER_AT_ONCE 64 /* connections, before other things have their turn */

struct connection {
        struct server *server;
        struct user *user;
        struct connection *next, *prev;
        struct connection *turn_next, *turn_prev; /* of its user's that wait for their turn */
        int fd;
        uint32_t events;   /* that are waited for */
        uint32_t happened; /* of these, and not looked at yet */
        struct wire_reader reader;
        struct peer peer;
        struct call *call;
        char *output;
        size_t output_used, output_sent;
        uint64_t active_us;   /* when it last asked, or was answered for the last time */
        uint64_t progress_us; /* when it last took something, or had nothing to take */
        uint64_t behind_us;   /* since when there is always something for it to take */
        int refused;          /* the limit that it is above; 0: it is served */
        bool waiting;         /* for its turn (users.h) */
        bool full;            /* calls that wait fill its buffer: nothing is read */
        bool closing;         /* after the output is sent */
        bool serving;         /* it is its turn: connection_free() leaves its memory */
        bool dead;
};

/* Take a new client over.  On failure `fd` is still the caller's. */
int connection_new(struct server *s, int fd, const struct peer *peer);
void connection_free(struct connection *c);
/* The same, said in the log: `why` completes "dropping a client: ...". */
void connection_drop(struct connection *c, const char *why);

/* It has asked, or has been answered for the last time: it is not idle. */
void connection_touch(struct connection *c);

/* Queue one message, which is taken over.  false: the connection is gone. */
bool connection_send(struct connection *c, json_t *message);
/* The same, encoded and from malloc(). */
bool connection_send_text(struct connection *c, char *text, size_t length);

/* It has no call in progress any more: the next one gets its turn, if there is one. */
void connection_go_on(struct connection *c);

/* Make a call of a message and run its method.  (calls.c) */
void connection_call(struct connection *c, json_t *message);

/* Have the event loop serve all connections. */
int clients_init(struct server *s);
void clients_deinit(struct server *s);
