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

/* The processes of one moment. */
struct own_rows {
        struct letter there, back;
        struct server *server;
        struct asker *askers; /* until they have come */
        uint64_t now_ns, started_ns;
        struct row_nodes nodes;
        struct row_copy *rows;
        uint64_t *node_cpu_ns; /* nodes.n for each row; NULL where there is one node */
        size_t nrows, max_rows;
        struct target_copies targets;
};

void own_rows_free(struct own_rows *own)
{
        if (!own)
                return;
        free(own->rows);
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

/* Whose is it?  The owner of /proc/PID is looked at first, because it is had for less: a process
 * of a user that may not be dumped belongs to root there. */
static bool is_theirs(const struct row_copy *row, const struct config *config,
                      const struct peer *peer)
{
        const uint64_t ticks_per_s = (uint64_t)sysconf(_SC_CLK_TCK);
        struct procfs_status status;
        struct procfs_stat process;
        struct denial denial;
        char path[64];
        struct stat st;

        snprintf(path, sizeof(path), PROC "/%d", row->pid);
        if (stat(path, &st) < 0 || (st.st_uid != peer->uid && st.st_uid != 0))
                return false;
        if (procfs_status(&status, PROC, row->pid) < 0)
                return false;
        access_follow(&denial, config, peer, &status, config->access_interval_ns);
        if (denial.rule)
                return false;
        /* the pid may be somebody else's by now */
        return procfs_stat(&process, PROC, row->pid) == 0 &&
               process.start_ticks == row->start_ns / (NS_PER_S / ticks_per_s);
}

static void answer(struct call *call, const struct own_rows *own)
{
        const struct peer *peer = call_peer(call);
        json_t *rows = json_array();

        for (size_t i = 0; i < own->nrows; i++)
                if (is_theirs(&own->rows[i], own->server->config, peer))
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

static void on_back(struct letter *letter)
{
        struct own_rows *own = (struct own_rows *)(void *)((char *)letter -
                                                           offsetof(struct own_rows, back));
        struct server *s = own->server;
        struct asker *asker;

        own_rows_free(s->own_rows);
        s->own_rows = own;
        s->own_rows_asked = NULL;
        while ((asker = own->askers)) {
                own->askers = asker->next;
                if (asker->call)
                        answer(asker->call, own);
                free(asker);
        }
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
        if (own->nodes.n > 1)
                own->node_cpu_ns = calloc(own->max_rows * own->nodes.n, sizeof(uint64_t));
        if (!own->rows || (own->nodes.n > 1 && !own->node_cpu_ns) ||
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
