/* SPDX-License-Identifier: MIT */
/*
 * The rows that GetRows last told of, and since when each has been what it is.
 *
 * Most processes of a machine sleep.  Who asks once a second need not be told each time what has
 * not changed; and because a row carries the moment of its last change, not who was told, this
 * works for any number of clients, each with a moment of its own.
 *
 * Energy of dram is no such change: memory costs while its owner sleeps.
 */
#pragma once

#include <stdbool.h>

#include "row_copy.h"

struct rows_told;

/*
 * Take over a newer look: rows by pid, ascending, of which each pid is there once.  They are
 * copied.  *told may be NULL, and is NULL after -ENOMEM: then everything counts as changed.
 */
int rows_told_update(struct rows_told **told, const struct row_copy *rows, size_t n,
                     unsigned int nnodes, uint64_t now_ns);
void rows_told_free(struct rows_told *t);

/* Has row i of the last look changed since a moment of a look (CLOCK_MONOTONIC)? */
bool rows_told_changed(const struct rows_told *t, size_t i, uint64_t since_ns);
