/* SPDX-License-Identifier: MIT */
/*
 * The server: Varlink over a Unix socket, on sd-event, in the main thread.
 *
 * A connection carries one call at a time, as Varlink says; further calls wait in the socket, and
 * for their turn (users.h).  A method answers at once or later, once or (with "more") many times.
 * Limits hold for connections in all and per user, for the length of a call and for the bytes a
 * slow reader lets pile up.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "mailbox.h"
#include "sampler.h"

#define SERVER_MAX_CONNECTIONS          16384
#define SERVER_KEPT_CONNECTIONS         64                /* of these, for root and the group */
#define SERVER_MAX_CONNECTIONS_PER_USER 256               /* but root's */
#define SERVER_MAX_REFUSALS             128               /* more, that are only told so */
#define SERVER_MAX_OUTPUT               (1024 * 1024)     /* bytes that may wait behind an answer */
#define SERVER_MAX_UNREAD               (64 * 1024)       /* with more unread, further calls wait */
#define SERVER_MAX_OUTPUT_PER_USER      (8 * 1024 * 1024) /* on all connections; but root's */
#define SERVER_TURN_NS                  UINT64_C(500000) /* for the sampler's letters, before others */
#define SERVER_STALL_S                  30  /* a reader that takes nothing for so long is dropped */
#define SERVER_BEHIND_S                 120 /* and one that has not taken all for so long */

struct peer {
        pid_t pid;
        uid_t uid;
        bool trusted; /* root, or member of group energat */
};

struct connection;
struct server;

/* A call in progress.  Freed when answered for the last time, or by call_gone() of its method. */
struct call {
        struct server *server;
        struct connection *connection; /* NULL: the peer has gone */
        json_t *parameters;            /* an object */
        bool more, oneway;
        /* the peer has gone: the method must end, then call call_free() */
        void (*gone)(struct call *call);
        void *state; /* the method's */
};

struct server {
        sd_event *event;
        const struct config *config;
        struct configuration *configuration; /* which config is the part in force of */
        struct sampler *sampler;
        const struct topology *topology;
        struct mailbox mailbox; /* letters to the main thread */
        struct connection *connections;
        unsigned int nconnections, nrefused;
        unsigned int drops; /* of clients, until drops_until_us */
        uint64_t drops_until_us;
        struct user *users;              /* who are connected (users.h) */
        struct user *turns, *turns_last; /* those with something to do */
        gid_t group;                     /* whose members are trusted; (gid_t)-1: there is none */
        uint64_t group_until_us;         /* when to look it up again; 0: now */
        int spare_fd; /* given up to accept, and refuse, a client when there are no others */
        int listen_fd, epoll_fd;
        sd_event_source *sweep_timer; /* looks for connections that are idle, or do not read */
        sd_event_source *turns_timer; /* goes on with turns */
        sd_event_source *listen_source, *mailbox_source, *epoll_source, *source_timer;
        char *description; /* the answer that tells io.energat, encoded: it is long; NULL: not yet
                            */
        size_t description_length;
        struct memory *memory;   /* NULL: no dram domain */
        struct keeper *keeper;   /* of the totals; NULL: there is no memory for it */
        bool stopping;           /* connections are about to end, and what is streamed breaks off */
        struct learner *learner; /* NULL: no meter to learn from */
        struct follow *follows;
        struct rows_told *rows_told;     /* by GetRows, or NULL */
        struct pid_walk *pid_walk;       /* pid_search.h; NULL: it was never needed */
        struct own_rows *own_rows;       /* what ordinary users are told, or NULL */
        struct own_rows *own_rows_asked; /* the next, when they are on their way, or NULL */
        struct calibration *calibration; /* the one that runs, or NULL */
        bool keeping;                    /* a new baseline is on its way to the disk */
        uint64_t last_target;
        uint64_t better_since_ns;   /* there is more to measure than is measured; 0: there is not */
        struct survey *surveys;     /* of the sensors, in progress */
        char baseline_problem[512]; /* why there is no baseline, or "" */
        bool baseline_missing;      /* only because none was ever made */
        char baseline_doubt[512];   /* server_baseline_doubt() */
        uint64_t doubt_until_ns;    /* as it is */
        struct baseline *baseline;  /* in force, or NULL */
        struct fault_news fault_news;
        struct fault faults[SOURCE_MAX_DOMAINS]; /* the state of every domain, as last told */
};

/* What the drivers need to know of the configuration. */
struct source_config source_config_of(const struct config *config);

int server_new(struct server **ret, sd_event *event, const struct config *config,
               const struct topology *topology, struct sampler *sampler);
void server_free(struct server *s);

/* Take clients from a socket that listens (listener.h) and outlives the server. */
int server_listen(struct server *s, int fd);

/*
 * Who may see what has changed (access.h).  Whoever it may be about is sent away, and is looked at
 * by the new rules when he comes again: root's connections stay.
 */
void server_access_changed(struct server *s);

/* Where the static part comes from (io.energat), and what the learner lacks, or NULL. */
const char *server_baseline(const struct server *s, const char **lacking);
/*
 * What has changed of the machine since the baseline in force was measured, or "": the same machine
 * can draw more or less when it is run otherwise, which is worth a word.  At most a minute old.
 */
const char *server_baseline_doubt(struct server *s);

/* Who follows a target, and what it is called: while there is such a Follow. */
struct follow_view {
        uid_t uid;
        const char *name;
};
bool follow_look(const struct server *s, uint64_t target, struct follow_view *ret);
size_t follows_count(const struct server *s);

const struct peer *call_peer(const struct call *call);

/* Answer.  `parameters` is taken over.  continues: more answers follow (only where call->more). */
void call_reply(struct call *call, json_t *parameters, bool continues);
/* The same for the last time, with a message that wire_encode() has made. */
void call_reply_encoded(struct call *call, const char *text, size_t length);
/* Answer with an error; `parameters` (may be NULL) is taken over.  Ends the call. */
void call_error(struct call *call, const char *error, json_t *parameters);
void call_invalid_parameter(struct call *call, const char *parameter);
void call_free(struct call *call);

/* The methods of io.energat: the table ends with a NULL name. */
struct method {
        const char *name; /* without the interface */
        void (*run)(struct call *call);
};

extern const struct method energat_methods[];
extern const char energat_interface[]; /* the text of io.energat.varlink */

/* methods, one file each group */
void method_follow(struct call *call);
void method_detach(struct call *call);
void method_calibrate(struct call *call);
void method_check(struct call *call);
void method_config(struct call *call);
void method_status(struct call *call);
void method_totals(struct call *call);
void method_rows(struct call *call);
void method_own_rows(struct call *call);
void method_sensors(struct call *call);
