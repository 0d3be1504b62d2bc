/* SPDX-License-Identifier: MIT */
/*
 * Memory in use (total minus free) by simulated package.  A NUMA node belongs to the packages of
 * its CPUs, in proportion to their number; a node without CPUs, and the memory of a kernel without
 * nodes, to all packages alike.
 */
#pragma once

#include "sim_options.h"

#define USED_MEMORY_MAX_NODES 64

struct used_memory {
        unsigned int nnodes;
        unsigned int npackages;
        int fd[USED_MEMORY_MAX_NODES];
        double part[USED_MEMORY_MAX_NODES][SIM_MAX_PACKAGES]; /* of a node; each row sums to 1 */
};

int used_memory_open(struct used_memory *m, const struct sim_options *o);
void used_memory_close(struct used_memory *m);

/* GiB in use into gib[0..npackages-1].  0 or a negative errno. */
int used_memory_read(const struct used_memory *m, double *gib);
