/* SPDX-License-Identifier: MIT */
/*
 * Finding the zones of the kernel's power capping class, and what each of them measures
 * (Documentation/power/powercap/powercap.rst, drivers/powercap/intel_rapl_common.c).
 *
 * A zone is a directory named TYPE:N, TYPE:N:N, ...  The class directory has links to all of them
 * side by side, the device tree has them one in another; either is read, and both at once.  What a
 * zone measures is told by its file `name` alone: the numbers are the order in which the kernel
 * happened to find them.
 */
#pragma once

#include <stddef.h>

#include "source.h"

struct zone {
        char *path;                   /* owned by the list */
        char id[DOMAIN_NAME_MAX];     /* "intel-rapl:0:0" */
        char parent[DOMAIN_NAME_MAX]; /* id of the zone that it is a part of; may not exist */
        char name[DOMAIN_NAME_MAX];   /* "dram", trimmed */
        enum domain_kind kind;
        int package, die; /* as in the name "package-1-die-0"; -1: not a package, no die */
};

struct zones {
        struct zone *all;
        size_t n;
};

/* Find the zones below `root`.  0, also when there are none, or a negative errno: the root cannot
 * be read, -ENOMEM, or -E2BIG.  Release with zones_deinit() in any case. */
int zones_find(struct zones *zones, const char *root);
void zones_deinit(struct zones *zones);

/* The package that a zone is, or is a part of; NULL: none. */
const struct zone *zones_package_of(const struct zones *zones, const struct zone *z);
