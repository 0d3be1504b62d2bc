/* SPDX-License-Identifier: MIT */
/*
 * Memory as a load for calibration: how much is in use behind each package, and more of it, taken
 * piece by piece and spread over all nodes alike that this process may use (cpuset), so that every
 * package's dram has its part; a package with none of them is left out, and that is said.
 *
 * Whose the memory of a node is, nodes.h says.  In use is what is not free, page cache included, as
 * it is for energatd.
 *
 * Others come first: half of what is available is left to them from the beginning, on each node and
 * within the limits of this process's control groups (memory_limit.h).  As all nodes give the same,
 * the one with the least free memory says how much.  Nothing more is taken when others leave less
 * than half of what they had, and should memory run out nevertheless, the kernel is told to end
 * this process.
 */
#pragma once

#include <stddef.h>

#define CALIBRATION_MEMORY_PIECE ((size_t)64 << 20) /* touched in some 20 ms */

struct calibration_memory;

/* `root` is "" on a machine, and a directory with proc and sys in it for a test.  0, or -errno:
 * -EPERM where memory may not be spread over nodes. */
int calibration_memory_new(struct calibration_memory **ret, const char *root);
void calibration_memory_free(struct calibration_memory *m);

/* Bytes that may be taken in all. */
size_t calibration_memory_most(const struct calibration_memory *m);

/*
 * Touch one piece more, up to `bytes` in all.  1: there is more to touch; 0: that was all; -ENOMEM:
 * too little is left for others, as calibration_memory_check() says, too.
 */
int calibration_memory_grow(struct calibration_memory *m, size_t bytes);
int calibration_memory_check(const struct calibration_memory *m);

/* GiB in use behind a package now; NAN: it has none of which any may be taken, or the
 * kernel does not tell.  Where it knows no nodes, that is all of the machine's. */
double calibration_memory_used_gib(const struct calibration_memory *m, int package);
