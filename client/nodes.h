/* SPDX-License-Identifier: MIT */
/*
 * The machine's NUMA nodes: whose memory they have, and how much.
 *
 * The memory of a node belongs to the packages of its CPUs, evenly where these are several; that of
 * a node without CPUs to those of the nearest node with some.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define NODES_MAX    1024 /* as the kernel's CONFIG_NODES_SHIFT of 10 */
#define NODE_MAX_PKG 32   /* packages of one node */

struct node {
        unsigned int number;
        bool has_memory;
        int packages[NODE_MAX_PKG]; /* of its CPUs, or of the nearest node's */
        unsigned int npackages, ncpus;
};

struct nodes {
        char *sysfs;
        struct node *list;  /* by number */
        unsigned int count; /* 0: the kernel knows no nodes */
};

/* `sysfs` is "/sys" on a machine, and another directory for a test.  0, or -errno: there is nothing
 * to deinit then. */
int nodes_init(struct nodes *n, const char *sysfs);
void nodes_deinit(struct nodes *n);

/* The package's part of a node's memory, 0 to 1. */
double node_part(const struct node *node, int package);

/* A line of a node's meminfo now, in bytes; NAN when it is not there. */
double nodes_memory(const struct nodes *n, const struct node *node, const char *key);

/* The package's part of it, of all nodes with memory; NAN: it has none, or the kernel does not
 * tell. */
double nodes_package_memory(const struct nodes *n, int package, const char *key);

/* A line of such a file, or of /proc/meminfo, in bytes; NAN when it is not there. */
double nodes_meminfo(const char *path, const char *key);
