/* SPDX-License-Identifier: MIT */
/*
 * One io.energat.Follow stream: from the call to its last report, whatever happens between.
 *
 * The intervals are added up as they come.  If the daemon is lost in the middle, their sum is what
 * is still known, and says so.  Where that is wanted (`resume`), following goes on as soon as there
 * is a daemon again, as long as the process lives: the result is then the sum of both parts, and a
 * warning tells the time between, in which nothing was counted.
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

/* NAN, NULL: the daemon's default */
struct follow_options {
        const char *name, *model; /* stay valid as long as the stream */
        double interval_s, gamma, delta;
        bool resume;
};

enum follow_event {
        FOLLOW_NOTHING,  /* no whole reply yet */
        FOLLOW_ATTACHED, /* from here on nothing is missed */
        FOLLOW_INTERVAL,
        FOLLOW_FINAL,   /* the stream has ended as it should */
        FOLLOW_RESUMED, /* by follow_retry(): the daemon is back, and nothing is missed any more */
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

        /* to go on with another daemon */
        pid_t pid;
        int pidfd; /* of the process; -1: not known, and then there is no going on */
        struct follow_options options;
        uint64_t attached_ns; /* the first time, CLOCK_MONOTONIC */
        uint64_t retry_ns;    /* when to look for a daemon again; 0: do not */
        unsigned int breaks;  /* how often following went on */
        json_t *before;       /* the sum of the streams before, an empty object if there is none */
        double gap_s;         /* time since attached_ns that they do not cover */
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

/* Is something still to come: is there a stream, or will one be tried for? */
bool follow_open(const struct follow *f);

/*
 * Once retry_ns is over: look for a daemon.  FOLLOW_RESUMED; FOLLOW_NOTHING: not yet; a negative
 * error: there is no going on, because the process has gone (-ESRCH) or the daemon does not want
 * to. Waits a second at most.
 */
int follow_retry(struct follow *f);

/* To wait on for POLLIN; -1, which poll() skips, when the stream has ended. */
int follow_fd(const struct follow *f);

/* Ask the daemon, on a connection of its own, to end the stream with its final report. */
int follow_detach(const struct follow *f);

/* Does the daemon still answer?  Gives the stream up as lost if not.  Waits a few seconds at most.
 */
void follow_probe(struct follow *f);

/* Give up waiting. */
void follow_give_up(struct follow *f, const char *reason);

/* What came between the last whole interval and the final report, as long as it was: an interval,
 * too.  New reference; NULL: nothing did. */
json_t *follow_rest(const struct follow *f);

/* What is known: the final report, else the sum of intervals with a warning, else NULL.  New
 * reference. */
json_t *follow_result(const struct follow *f);
