/* SPDX-License-Identifier: MIT */
#include "memory_nodes.h"

#include <limits.h>
#include <math.h>

/* The node with CPUs that is nearest to `node`, which may be itself; -1: there is none. */
static int nearest_with_cpus(const struct topology *t, int node, int (*distance)(int, int))
{
        int best = -1, best_distance = INT_MAX;

        for (unsigned int i = 0; i < t->nslots; i++) {
                int away;

                if (t->slots[i].node == node)
                        return node;
                away = distance(node, t->slots[i].node);
                if (away > 0 && away < best_distance) {
                        best_distance = away;
                        best = t->slots[i].node;
                }
        }
        return best;
}

static uint64_t slots_of_node(const struct topology *t, int node)
{
        uint64_t mask = 0;

        for (unsigned int i = 0; i < t->nslots; i++)
                if (t->slots[i].node == node)
                        mask |= UINT64_C(1) << i;
        return mask;
}

void memory_nodes_init(struct memory_nodes *m, unsigned int nnodes, const struct accounts *accounts,
                       const struct topology *topology, int (*distance)(int from, int to))
{
        *m = (struct memory_nodes){.n = nnodes < MEMORY_MAX_NODES ? nnodes : MEMORY_MAX_NODES,
                                   .accounts = accounts};
        /* Also where the kernel knows no NUMA nodes, and slots are on node -1. */
        if (m->n == 1)
                m->slots[0] = UINT64_MAX;
        for (unsigned int node = 0; node < m->n && m->n > 1; node++) {
                int near = nearest_with_cpus(topology, (int)node, distance);

                m->slots[node] = near < 0 ? 0 : slots_of_node(topology, near);
        }
}

static bool is_behind(const struct account *account, uint64_t slots)
{
        return account->kind == ENERGY_DRAM && account->slots & slots;
}

bool memory_nodes_add(const struct memory_nodes *m, unsigned int node, uint64_t amount,
                      uint64_t *by_account)
{
        const struct accounts *a = m->accounts;
        unsigned int left = 0;

        for (unsigned int i = 0; i < a->n; i++)
                left += is_behind(&a->all[i], m->slots[node]);
        if (!left)
                return false;
        for (unsigned int i = 0; i < a->n; i++) {
                uint64_t part;

                if (!is_behind(&a->all[i], m->slots[node]))
                        continue;
                part = amount / left--;
                by_account[i] += part;
                amount -= part;
        }
        return true;
}

double memory_nodes_percent(const struct topology *topology, int socket,
                            long long (*node_size)(int node, long long *available))
{
        long long used = 0, all = 0;

        for (int node = 0; node <= topology->max_node; node++) {
                long long available = 0, size = -1;

                for (unsigned int i = 0; i < topology->nslots && size < 0; i++)
                        if (topology->slots[i].socket == socket && topology->slots[i].node == node)
                                size = node_size(node, &available);
                if (size < available)
                        continue;
                used += size - available;
                all += size;
        }
        return all > 0 ? 100 * (double)used / (double)all : NAN;
}
