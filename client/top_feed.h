/* SPDX-License-Identifier: MIT */
/*
 * Where energat top has its looks from: the daemon, asked again and again, without ever waiting for
 * it.  A daemon that goes away is looked for at every further request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "connection.h"
#include "top_snapshot.h"

struct top_feed {
        const char *path;              /* of the socket */
        struct connection *connection; /* NULL: there is none */
        bool own_only;                 /* all that this user may see */
        bool asked;                    /* an answer is on its way */
        bool told;                     /* this connection's daemon has answered */
        uint64_t asked_ns;
        json_t *status;    /* the first of the two answers */
        char trouble[512]; /* why there is nothing newer, or "" */
};

/* Takes over the connection. */
void top_feed_init(struct top_feed *f, const char *path, struct connection *connection);
void top_feed_deinit(struct top_feed *f);

/* Ask for the next look, unless an answer is on its way.  last: the look that the caller has, which
 * it keeps until the answer is taken: only what has changed since is fetched. */
void top_feed_ask(struct top_feed *f, const struct top_snapshot *last);

/* 1: *ret is the next look; 0: not there yet, or f->trouble says why not; -EPERM: refused by the
 * daemon for a reason that waiting does not mend. */
int top_feed_take(struct top_feed *f, const struct top_snapshot *last, struct top_snapshot *ret);

int top_feed_fd(const struct top_feed *f); /* for POLLIN; -1: nothing to wait for */
