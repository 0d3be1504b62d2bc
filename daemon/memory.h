/* SPDX-License-Identifier: MIT */
/*
 * Memory accounting: which part of the memory in use behind each dram domain belongs to a target.
 *
 *     credit = private resident bytes of the target's processes / bytes in use, on the domain's
 * nodes
 *
 * Private means mapped by one process alone (Private_* of /proc/PID/smaps_rollup): memory that
 * several processes share is nobody's, so it is never counted twice.  On machines with several
 * nodes a process's private bytes are split as its anonymous pages are (/proc/PID/numa_maps).  A
 * node's memory in use is what is not free (libnuma), page cache included.
 *
 * Works in a thread of its own, once a second, and less often when a round costs more: it never
 * uses more than MEMORY_BUDGET of a core, however many processes a target has and however large
 * they are.
 */
#pragma once

#include "sampler.h"
#include "topology.h"

#define MEMORY_BUDGET 0.01 /* of a core */

struct memory;

/* NULL in *ret and 0: this machine has no dram domain, so there is nothing to do. */
int memory_new(struct memory **ret, struct sampler *sampler, const struct topology *topology);
/* Before sampler_stop(), which it needs to end. */
void memory_free(struct memory *m);

/* A target is new: do not wait for the second to be over. */
void memory_look_now(struct memory *m);

/* Sum of the Private_* lines of a smaps_rollup file, in bytes.  -EBADMSG when there is none. */
int memory_parse_private(const char *text, uint64_t *bytes);

/* Add up a line of numa_maps: anonymous pages by node.  Lines about file mappings add nothing. */
void memory_parse_numa_line(const char *line, uint64_t *pages, unsigned int nnodes);
