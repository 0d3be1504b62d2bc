/* SPDX-License-Identifier: MIT */
/* A row of GetRows: what the sampler's thread copies of a process, and the server's puts in JSON.
 */
#pragma once

#include <jansson.h>

#include "accounts.h"
#include "processes.h"
#include "topology.h"

struct row_copy {
        pid_t pid, ppid;
        uint64_t start_ns, cpu_ns, share_uj[ENERGY_KINDS];
        bool share_known[ENERGY_KINDS]; /* there is such a domain */
        unsigned int threads;
        bool kernel;
        char comm[PROCESS_COMM_MAX];
        uint64_t *node_cpu_ns; /* by row_nodes; NULL: there is one node.  Not owned. */
};

/* The NUMA nodes that have CPUs, ascending. */
struct row_nodes {
        int ids[TOPOLOGY_MAX_SLOTS];
        unsigned int n;
        unsigned int of_slot[TOPOLOGY_MAX_SLOTS]; /* index in ids */
        unsigned int nslots;
};

void row_nodes_init(struct row_nodes *nodes, const struct topology *topology);

/* In the sampler's thread.  `node_cpu_ns` (may be NULL) has room for nodes->n sums. */
void row_copy_of(struct row_copy *row, const struct process *p, const struct accounts *a,
                 const struct row_nodes *nodes, uint64_t *node_cpu_ns);

/* Add up CPU time by slot (nslots + 1) and shares by account; row->node_cpu_ns, where it is not
 * NULL, has room for nodes->n sums. */
void row_copy_sums(struct row_copy *row, const uint64_t *cpu_ns, const uint64_t *share_uj,
                   const struct accounts *a, const struct row_nodes *nodes);

/* Add up shares by account. */
void row_copy_shares(struct row_copy *row, const uint64_t *share_uj, const struct accounts *a);

/* For qsort(3). */
int row_copy_by_pid(const void *a, const void *b);

json_t *row_nodes_json(const struct row_nodes *nodes);
json_t *row_copy_node_cpu_json(const struct row_copy *row, const struct row_nodes *nodes);
json_t *row_copy_share_json(const struct row_copy *row);
json_t *row_copy_json(const struct row_copy *row, const struct row_nodes *nodes);
