/* SPDX-License-Identifier: MIT */
#include "row_copy.h"

#include <string.h>

#include "clock.h"
#include "report_json.h"

void row_nodes_init(struct row_nodes *nodes, const struct topology *topology)
{
        *nodes = (struct row_nodes){.nslots = topology->nslots};
        for (int id = -1; id <= topology->max_node; id++) {
                bool any = false;

                for (unsigned int slot = 0; slot < topology->nslots; slot++) {
                        if (topology->slots[slot].node != id)
                                continue;
                        nodes->of_slot[slot] = nodes->n;
                        any = true;
                }
                if (any)
                        nodes->ids[nodes->n++] = id;
        }
}

void row_copy_shares(struct row_copy *row, const uint64_t *share_uj, const struct accounts *a)
{
        for (unsigned int i = 0; i < a->n; i++) {
                row->share_known[a->all[i].kind] = true;
                row->share_uj[a->all[i].kind] += share_uj[i];
        }
}

void row_copy_sums(struct row_copy *row, const uint64_t *cpu_ns, const uint64_t *share_uj,
                   const struct accounts *a, const struct row_nodes *nodes)
{
        row->cpu_ns += all_slots_ns(a, cpu_ns);
        row_copy_shares(row, share_uj, a);
        for (unsigned int slot = 0; row->node_cpu_ns && slot < nodes->nslots && slot < a->nslots;
             slot++)
                row->node_cpu_ns[nodes->of_slot[slot]] += cpu_ns[slot];
}

void row_copy_of(struct row_copy *row, const struct process *p, const struct accounts *a,
                 const struct row_nodes *nodes, uint64_t *node_cpu_ns)
{
        *row = (struct row_copy){.pid = p->pid,
                                 .ppid = p->parent ? p->parent->pid : 0,
                                 .start_ns = p->start_ns,
                                 .threads = p->threads,
                                 .kernel = p->kernel,
                                 .node_cpu_ns = node_cpu_ns};
        memcpy(row->comm, p->comm, sizeof(row->comm));
        row_copy_sums(row, p->cpu_ns, p->share_uj, a, nodes);
}

int row_copy_by_pid(const void *a, const void *b)
{
        const struct row_copy *left = a, *right = b;

        return (left->pid > right->pid) - (left->pid < right->pid);
}

json_t *row_nodes_json(const struct row_nodes *nodes)
{
        json_t *array = json_array();

        for (unsigned int i = 0; i < nodes->n; i++)
                json_array_append_new(array, json_integer(nodes->ids[i]));
        return array;
}

json_t *row_copy_node_cpu_json(const struct row_copy *row, const struct row_nodes *nodes)
{
        json_t *array = row->node_cpu_ns ? json_array() : json_null();

        for (unsigned int i = 0; row->node_cpu_ns && i < nodes->n; i++)
                json_array_append_new(array, json_real((double)row->node_cpu_ns[i] / NS_PER_S));
        return array;
}

json_t *row_copy_share_json(const struct row_copy *row)
{
        return json_pack(
                "{s:o, s:o}", "package_j",
                json_joules(row->share_known[ENERGY_PACKAGE], row->share_uj[ENERGY_PACKAGE]),
                "dram_j", json_joules(row->share_known[ENERGY_DRAM], row->share_uj[ENERGY_DRAM]));
}

json_t *row_copy_json(const struct row_copy *row, const struct row_nodes *nodes)
{
        return json_pack("{s:i, s:f, s:o, s:o, s:b, s:i, s:f, s:o, s:o}", "pid", (int)row->pid,
                         "start_s", (double)row->start_ns / NS_PER_S, "ppid",
                         row->ppid ? json_integer(row->ppid) : json_null(), "comm",
                         json_name(row->comm), "kernel", row->kernel, "threads", (int)row->threads,
                         "cpu_s", (double)row->cpu_ns / NS_PER_S, "node_cpu_s",
                         row_copy_node_cpu_json(row, nodes), "share", row_copy_share_json(row));
}
