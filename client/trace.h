/* SPDX-License-Identifier: MIT */
/*
 * energat_traces_NAME.csv: one row per interval and socket, with EnergAt's columns in its order
 * and ours after them.  What is not known is an empty field.
 *
 *   time                  seconds since 1970, end of the interval
 *   socket                physical package id (EnergAt counts 0, 1, ...; they are mostly the same)
 *   duration_sec          of this very interval; the last one is as long as it was.  Ordinary users
 *                         are told of the machine in whole seconds (docs/access.md): total, base
 *                         and what is attributed then cover longer
 *   num_proc, num_threads of the target; EnergAt adds its own
 *   *_credit_frac         the target's part of busy CPU time, of used memory
 *   total_*_joules        what the socket used
 *   base_*_joules         of this, the idle machine's part
 *   ascribed_*_joules     the answer by the model: `attributed`, or the share with additive
 *   tracer_*_joules       what the measurement itself cost, by the same rule
 *   pkg_percent           utilisation of the socket's CPUs in the interval
 *   dram_percent          memory in use on the socket's nodes at the end of the interval
 *   share_*_joules        the additive share
 *   cpu_sec               CPU time of the target on that socket
 *   source, estimated     where the energy comes from
 *   model                 energat or additive
 */
#pragma once

#include <jansson.h>

struct trace;

/* Start DIRECTORY/energat_traces_NAME.csv; `name` loses what does not belong into a file name.
 * 0 or -errno. */
int trace_open(struct trace **ret, const char *directory, const char *name);

/* The rows of one interval. */
void trace_write(struct trace *t, const json_t *report);

/* Give the file its name.  0 or -errno. */
int trace_commit(struct trace *t);

const char *trace_path(const struct trace *t);

/* Without a commit before, nothing is left behind. */
void trace_free(struct trace *t);
void trace_freep(struct trace **t);
