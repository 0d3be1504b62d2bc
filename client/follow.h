/* SPDX-License-Identifier: MIT */
/*
 * One io.energat.Follow stream: from the call to its last report, whatever happens between.
 *
 * The intervals are added up as they come.  If the daemon is lost in the middle, their sum is what
 * is still known, and says so.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "connection.h"

#define FOLLOW_ATTACH_NS  UINT64_C(10000000000) /* to "attached" */
#define FOLLOW_DETACH_NS  UINT64_C(5000000000)  /* from Detach to "final": a reading, a reply */
#define FOLLOW_SILENCE_NS UINT64_C(10000000000) /* then it is worth asking whether it lives */

/* NAN: the daemon's default */
struct follow_options {
        const char *name;
        double interval_s, gamma, delta;
};

enum follow_event {
        FOLLOW_NOTHING,  /* no whole reply yet */
        FOLLOW_ATTACHED, /* from here on nothing is missed */
        FOLLOW_INTERVAL,
        FOLLOW_FINAL, /* the stream has ended as it should */
};

struct follow {
        struct connection *connection; /* NULL when the stream has ended */
        const char *path;              /* of the socket */
        json_int_t target;
        bool attached;
        uint64_t heard_ns; /* when the daemon last gave a sign of life, CLOCK_MONOTONIC */
        json_t *total;     /* the intervals so far, an empty object before the first */
        json_t *last;      /* the latest interval */
        json_t *final;
        char lost[256]; /* why the stream ended without a final report; "" if it did not */
};

/* Takes over *connection; `path` is where it leads and must stay valid.  0 or -errno. */
int follow_start(struct follow *f, struct connection **connection, const char *path, pid_t pid,
                 const struct follow_options *options);
void follow_deinit(struct follow *f);

/*
 * Take the next reply without waiting.  An enum follow_event, or a negative error of connection.h.
 * After FOLLOW_ATTACHED a negative result means that the stream has ended and `lost` says why;
 * before, the connection is left open to ask for the error.
 */
int follow_next(struct follow *f);

/* To wait on for POLLIN; -1, which poll() skips, when the stream has ended. */
int follow_fd(const struct follow *f);

/* Ask the daemon, on a connection of its own, to end the stream with its final report. */
int follow_detach(const struct follow *f);

/* Does the daemon still answer?  Gives the stream up as lost if not.  Waits a few seconds at most.
 */
void follow_probe(struct follow *f);

/* Give up waiting. */
void follow_give_up(struct follow *f, const char *reason);

/* What is known: the final report, else the sum of intervals with a warning, else NULL.  New
 * reference. */
json_t *follow_result(const struct follow *f);
