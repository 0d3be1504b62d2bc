/* SPDX-License-Identifier: MIT */
#include "own_rows.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "clock.h"
#include "log.h"
#include "procfs.h"
#include "row_copy.h"
#include "server.h"
#include "target_copy.h"

#define PROC "/proc"

/* One who waits for them. */
struct asker {
        struct asker *next;
        struct call *call; /* NULL: its peer has gone */
};

#define NOBODYS      ((uid_t)-1)
#define OWNER_HOLDER 1u
#define OWNER_USERS  2u

/* Whose a process is, as far as it was asked. */
struct owner {
        unsigned int known; /* OWNER_... */
        uid_t holder, uid;  /* NOBODYS: it has gone, or works with the rights of several */
};

/* The processes of one moment. */
struct own_rows {
        struct letter there, back;
        struct server *server;
        struct asker *askers; /* until they have come */
        uint64_t now_ns, started_ns;
        struct row_nodes nodes;
        struct row_copy *rows;
        struct owner *owners;  /* of each row */
        uint64_t *node_cpu_ns; /* nodes.n for each row; NULL where there is one node */
        size_t nrows, max_rows;
        struct target_copies targets;
};

/* The call of the next one, or NULL: its peer has gone. */
static struct call *asker_take(struct own_rows *own)
{
        struct asker *asker = own->askers;
        struct call *call = asker->call;

        own->askers = asker->next;
        free(asker);
        return call;
}

void own_rows_free(struct own_rows *own)
{
        if (!own)
                return;
        while (own->askers)
                (void)asker_take(own);
        free(own->rows);
        free(own->owners);
        free(own->node_cpu_ns);
        target_copies_deinit(&own->targets);
        free(own);
}

/* ---- in the sampler ---- */

static void copy_row(const struct process *p, void *arg)
{
        struct own_rows *own = arg;
        size_t i = own->nrows;

        if (p->kernel || i == own->max_rows)
                return;
        row_copy_of(&own->rows[i], p, sampler_accounts(own->server->sampler), &own->nodes,
                    own->node_cpu_ns ? own->node_cpu_ns + i * own->nodes.n : NULL);
        own->nrows++;
}

static void run_copy(struct letter *letter)
{
        struct own_rows *own = (struct own_rows *)(void *)((char *)letter -
                                                           offsetof(struct own_rows, there));
        struct sampler *s = own->server->sampler;

        sampler_settle(s);
        (void)sampler_sums(s, &own->now_ns, &own->started_ns);
        processes_each(sampler_processes(s), copy_row, own);
        target_copies_take(&own->targets, s, &own->nodes);
        mailbox_push(&own->server->mailbox, &own->back);
}

/* ---- in the server ---- */

/* Who has /proc/PID: whose the process is, or root, where it may not be dumped. */
static void look_at_holder(struct owner *owner, const struct row_copy *row)
{
        char path[64];
        struct stat st;

        if (owner->known & OWNER_HOLDER)
                return;
        owner->known |= OWNER_HOLDER;
        snprintf(path, sizeof(path), PROC "/%d", row->pid);
        owner->holder = stat(path, &st) < 0 ? NOBODYS : st.st_uid;
}

/* Whose it is: all three users have to be the same (access.h). */
static void look_at_users(struct owner *owner, const struct row_copy *row)
{
        const uint64_t ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK);
        struct procfs_status status;
        struct procfs_stat process;

        if (owner->known & OWNER_USERS)
                return;
        owner->known |= OWNER_USERS;
        owner->uid = NOBODYS;
        if (procfs_status(&status, PROC, row->pid) < 0 || status.uid != status.euid ||
            status.uid != status.suid)
                return;
        /* the pid may be somebody else's by now */
        if (procfs_stat(&process, PROC, row->pid) == 0 &&
            process.start_ticks == row->start_ns / (NS_PER_S / ticks_per_s))
                owner->uid = status.uid;
}

/* /proc is asked once for each row, however often and by whomever the rows are. */
static bool is_theirs(struct own_rows *own, size_t i, const struct peer *peer)
{
        struct owner *owner = &own->owners[i];

        look_at_holder(owner, &own->rows[i]);
        if (owner->holder != peer->uid && owner->holder != 0)
                return false;
        look_at_users(owner, &own->rows[i]);
        return owner->uid == peer->uid;
}

static void answer(struct call *call, struct own_rows *own)
{
        const struct peer *peer = call_peer(call);
        bool allowed = peer->trusted || own->server->config->access_own_processes;
        json_t *rows = json_array();

        for (size_t i = 0; allowed && i < own->nrows; i++)
                if (is_theirs(own, i, peer))
                        json_array_append_new(rows, row_copy_json(&own->rows[i], &own->nodes));
        call_reply(call,
                   json_pack("{s:f, s:o, s:o, s:o}", "uptime_s",
                             (double)(own->now_ns - own->started_ns) / (double)NS_PER_S, "nodes",
                             row_nodes_json(&own->nodes), "rows", rows, "targets",
                             target_copies_json(&own->targets, own->server, peer, &own->nodes)),
                   false);
}

static void on_gone(struct call *call)
{
        struct asker *asker = call->state;

        asker->call = NULL;
        call_free(call);
}

/* One answer at a time: others have their turn between two. */
static void on_back(struct letter *letter)
{
        struct own_rows *own = (struct own_rows *)(void *)((char *)letter -
                                                           offsetof(struct own_rows, back));
        struct server *s = own->server;
        struct call *call = NULL;

        if (s->own_rows != own && s->own_rows && s->own_rows->askers) {
                mailbox_push(&s->mailbox, letter); /* behind those */
                return;
        }
        if (s->own_rows != own) {
                own_rows_free(s->own_rows);
                s->own_rows = own;
                s->own_rows_asked = NULL;
        }
        while (!call && own->askers)
                call = asker_take(own);
        if (own->askers)
                mailbox_push(&s->mailbox, letter);
        if (call)
                answer(call, own);
}

static struct own_rows *own_rows_new(struct server *s)
{
        struct own_rows *own = calloc(1, sizeof(*own));

        if (!own)
                return NULL;
        row_nodes_init(&own->nodes, s->topology);
        own->server = s;
        own->max_rows = (size_t)s->config->max_processes * 2;
        own->rows = calloc(own->max_rows, sizeof(own->rows[0]));
        own->owners = calloc(own->max_rows, sizeof(own->owners[0]));
        if (own->nodes.n > 1)
                own->node_cpu_ns = calloc(own->max_rows * own->nodes.n, sizeof(uint64_t));
        if (!own->rows || !own->owners || (own->nodes.n > 1 && !own->node_cpu_ns) ||
            target_copies_init(&own->targets, s, &own->nodes) < 0) {
                own_rows_free(own);
                return NULL;
        }
        own->there.deliver = run_copy;
        own->back.deliver = on_back;
        return own;
}

/* Wait for the processes of a moment from now on: one look serves all who ask meanwhile. */
static int ask(struct server *s, struct call *call)
{
        struct asker *asker = calloc(1, sizeof(*asker));

        if (asker && !s->own_rows_asked) {
                s->own_rows_asked = own_rows_new(s);
                if (s->own_rows_asked)
                        sampler_post(s->sampler, &s->own_rows_asked->there);
        }
        if (!asker || !s->own_rows_asked) {
                free(asker);
                return -ENOMEM;
        }
        *asker = (struct asker){.next = s->own_rows_asked->askers, .call = call};
        s->own_rows_asked->askers = asker;
        call->state = asker;
        call->gone = on_gone;
        return 0;
}

void method_own_rows(struct call *call)
{
        struct server *s = call->server;

        if (s->own_rows && monotonic_ns() < s->own_rows->now_ns + s->config->access_interval_ns)
                answer(call, s->own_rows);
        else if (ask(s, call) < 0)
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
}
