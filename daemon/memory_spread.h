/* SPDX-License-Identifier: MIT */
/*
 * How the private bytes of a process are spread over NUMA nodes.
 *
 * The kernel tells private bytes of the whole process (smaps_rollup), and where its pages are for
 * each mapping (numa_maps), but not which of these are private.  What it does tell of a mapping is
 * how many processes map that page of it which most map ("mapmax", left out when it is 1).  So:
 *
 * - Without mapmax every page of the mapping is the process's alone: memory of its own, a file or
 *   shared memory that nobody else maps.  These are certain, and come first.
 * - With it some are, and some are shared, as after a fork.  What is private beyond the certain
 * ones is taken to be spread as the pages are that were written to (anon, dirty): in libraries and
 *   other files that many map those are the process's own.
 *
 * Pages are counted in the size of the mapping's pages (kernelpagesize_kB): of hugetlb in huge
 * ones, of transparent huge pages in small ones.  hugetlb is told apart in both files, and here:
 * page tables can be shared by processes there, which mapmax does not show and smaps_rollup does.
 *
 * Formats: show_numa_map() and smaps_hugetlb_range() of the kernel's fs/proc/task_mmu.c.
 *
 * Pure: text and numbers in, numbers out.
 */
#pragma once

#include <stdint.h>

#include "memory_nodes.h"

/* Private bytes of a process. */
struct memory_private {
        uint64_t
                small_bytes; /* of pages of the usual size, also where the kernel has joined them */
        uint64_t huge_bytes; /* of hugetlb, which is in no resident size */
};

/* Bytes of the mappings of one size of page, by node. */
struct memory_mapped {
        uint64_t sole_bytes[MEMORY_MAX_NODES];  /* certainly private */
        uint64_t mixed_bytes[MEMORY_MAX_NODES]; /* written to, in mappings that others map, too */
};

struct memory_spread {
        unsigned int nnodes;
        struct memory_mapped small, huge;
};

void memory_spread_begin(struct memory_spread *s, unsigned int nnodes);

/* One line of numa_maps.  Nodes beyond nnodes, and lines that are none, add nothing. */
void memory_spread_line(struct memory_spread *s, const char *line);

/*
 * Private bytes by node, into bytes[0..nnodes-1].  The sum can be less than what is private: where
 * the rest is, no line has told.
 */
void memory_spread_divide(const struct memory_spread *s, const struct memory_private *total,
                          uint64_t *bytes);
