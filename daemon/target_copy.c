/* SPDX-License-Identifier: MIT */
#include "target_copy.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "report_json.h"
#include "target.h"

int target_copies_init(struct target_copies *c, const struct server *s,
                       const struct row_nodes *nodes)
{
        /* What is followed later gets to the sampler later. */
        c->max = follows_count(s);
        c->all = calloc(c->max ? c->max : 1, sizeof(c->all[0]));
        if (nodes->n > 1)
                c->node_cpu_ns = calloc(c->max ? c->max * nodes->n : 1, sizeof(uint64_t));
        return !c->all || (nodes->n > 1 && !c->node_cpu_ns) ? -ENOMEM : 0;
}

void target_copies_deinit(struct target_copies *c)
{
        free(c->all);
        free(c->node_cpu_ns);
        *c = (struct target_copies){0};
}

/* ---- in the sampler ---- */

void target_copies_take(struct target_copies *c, const struct sampler *s,
                        const struct row_nodes *nodes)
{
        const struct accounts *a = sampler_accounts(s);
        uint64_t now_ns, started_ns;

        (void)sampler_sums(s, &now_ns, &started_ns);
        for (const struct target *t = sampler_first_target(s); t && c->n < c->max; t = t->next) {
                struct target_copy *copy = &c->all[c->n];
                uint64_t end_ns = t->over_ns ? t->over_ns : now_ns;

                *copy = (struct target_copy){
                        .id = t->id,
                        .followed_ns = end_ns > t->begin_ns ? end_ns - t->begin_ns : 0,
                        .processes = t->nprocesses,
                        .row = {.pid = t->pid, .threads = t->nthreads},
                };
                if (c->node_cpu_ns)
                        copy->row.node_cpu_ns = c->node_cpu_ns + c->n * nodes->n;
                row_copy_sums(&copy->row, t->used.cpu_ns, t->used.share_uj, a, nodes);
                c->n++;
        }
}

/* ---- in the server ---- */

json_t *target_copies_json(const struct target_copies *c, const struct server *s,
                           const struct peer *peer, const struct row_nodes *nodes)
{
        json_t *array = json_array();

        for (size_t i = 0; i < c->n; i++) {
                const struct target_copy *t = &c->all[i];
                struct follow_view view;

                if (!follow_look(s, t->id, &view) || (view.uid != peer->uid && !peer->trusted))
                        continue;
                json_array_append_new(
                        array,
                        json_pack("{s:I, s:i, s:I, s:o, s:f, s:i, s:i, s:f, s:o, s:o}", "target",
                                  (json_int_t)t->id, "pid", (int)t->row.pid, "uid",
                                  (json_int_t)view.uid, "name", json_name(view.name), "followed_s",
                                  (double)t->followed_ns / NS_PER_S, "processes", (int)t->processes,
                                  "threads", (int)t->row.threads, "cpu_s",
                                  (double)t->row.cpu_ns / NS_PER_S, "node_cpu_s",
                                  row_copy_node_cpu_json(&t->row, nodes), "share",
                                  row_copy_share_json(&t->row)));
        }
        return array;
}
