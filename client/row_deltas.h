/* SPDX-License-Identifier: MIT */
/*
 * What each process used between two answers of io.energat.GetRows: those of the whole machine, or
 * of one process and its descendants.  A process is (pid, start time).  What lived and died between
 * two answers is in none; the sum of those that have gone is told beside.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct row_deltas;

/* The time between two answers. */
struct row_window {
        double duration_s; /* of a daemon that began anew: since it did */
        bool anew;         /* its sums begin at 0 again */
};

/* root 0: all.  `proc` is where users are looked up, "/proc" outside tests; NULL: the pids are none
 * of ours, and users stay "".  NULL: no memory. */
struct row_deltas *row_deltas_new(pid_t root, const char *proc);
void row_deltas_free(struct row_deltas *d);
void row_deltas_freep(struct row_deltas **d);

/*
 * Take an answer.  *ret: a list of {pid, start_s, comm, user, cpu_s, package_j, dram_j} of those
 * that used something since the answer before, or since their start; an empty list for the first
 * answer of a machine.  0, -EPROTO, -ENOMEM.
 */
int row_deltas_take(struct row_deltas *d, const json_t *reply, struct row_window *window,
                    json_t **ret);
