/* SPDX-License-Identifier: MIT */
/*
 * Which dram accounts the memory of a NUMA node is behind.
 *
 * A node's memory is behind the dram domains of the die or socket that its CPUs are on; a node
 * without CPUs belongs to the nearest node that has some.  Where several domains serve one node
 * (two dies in it) its memory is taken to be spread over them evenly, as their controllers
 * interleave it.  A node of a socket without a dram domain is behind none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "accounts.h"
#include "topology.h"

#define MEMORY_MAX_NODES 1024

struct memory_nodes {
        unsigned int n;
        const struct accounts *accounts;
        uint64_t slots[MEMORY_MAX_NODES]; /* by node: mask of the slots that its memory is at */
};

/* `accounts` is kept.  distance: of two nodes, as numa_distance() tells it; 0: not known. */
void memory_nodes_init(struct memory_nodes *m, unsigned int nnodes, const struct accounts *accounts,
                       const struct topology *topology, int (*distance)(int from, int to));

/*
 * Percent of the memory at a socket (its physical_package_id) that is in use, of all nodes with
 * CPUs of it; NAN: nodes do not tell.  node_size: bytes of a node and how many are free, or
 * negative, as numa_node_size64() tells them.
 */
double memory_nodes_percent(const struct topology *topology, int socket,
                            long long (*node_size)(int node, long long *available));

/* Add an amount (pages, bytes) that is on `node` to the accounts it is behind.  false: there is
 * none. */
bool memory_nodes_add(const struct memory_nodes *m, unsigned int node, uint64_t amount,
                      uint64_t *by_account);
