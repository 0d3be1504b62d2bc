/* SPDX-License-Identifier: MIT */
/*
 * Repeated runs of one command, or of two that are compared: the runs, and what follows from them.
 *
 * Runs that failed (exit status not 0), those that brought no result, and those of which a part was
 * not measured because the daemon was away, are kept and shown, and left out of all statistics:
 * what a broken run costs says nothing of a good one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "impact.h"
#include "statistics.h"

/* What is compared, package and dram together. */
enum bench_metric { BENCH_ATTRIBUTED, BENCH_SHARE, BENCH_DURATION, BENCH_CPU, BENCH_METRICS };

#define BENCH_COMMANDS 2

struct bench_run {
        int command; /* 0, or 1: the one of --compare */
        bool warmup;
        int status;
        bool partial; /* the report does not cover all of it, and warns of it */
        bool counts;  /* in the statistics */
        double values[BENCH_METRICS];
        json_t *report; /* NULL: it brought none */
};

struct bench {
        const char *commands[BENCH_COMMANDS]; /* as the user wrote them; [1] NULL: no comparison */
        struct bench_run *runs;
        size_t count, room;
        size_t wanted;  /* runs that were asked for, without warm-up */
        bool cut_short; /* by a signal, or because the daemon was lost */
};

const char *bench_metric_key(enum bench_metric metric);  /* "share_j" */
const char *bench_metric_unit(enum bench_metric metric); /* "J" or "s" */
const char *bench_metric_text(enum bench_metric metric); /* "share" */

/*
 * Add `run` with command, warmup, status, partial and report, which may be NULL and is taken over.
 * wall_s: of the command alone, by the clock.  0 or -ENOMEM.
 */
int bench_add(struct bench *b, const struct bench_run *run, double wall_s);
void bench_deinit(struct bench *b);

/* Runs that were measured, without warm-up; and those of them that do not count. */
size_t bench_measured(const struct bench *b);
size_t bench_failed(const struct bench *b);

/*
 * Is the machine's part of a run that counts longer than the run?  For ordinary users it has whole
 * seconds.  Attributed energy is then of that time, and says nothing of a difference: comparing it
 * gives an unknown result.
 */
bool bench_is_rounded(const struct bench *b);

/* 0 or -ENOMEM */
int bench_statistics(const struct bench *b, int command, enum bench_metric metric,
                     struct statistics *ret);
int bench_compare(const struct bench *b, enum bench_metric metric, struct comparison *ret);
/* outliers[i] of runs[i]: a bit (1 << metric) for each in which it is one.  Room for b->count. */
int bench_outliers(const struct bench *b, unsigned int *outliers);

/* Where energy is from: of the first run that has a report; "" when none has. */
const char *bench_source(const struct bench *b);
bool bench_estimated(const struct bench *b); /* of any run */

/* What is to be said of the runs, and what their reports warn of, each once: a new array, or NULL.
 */
json_t *bench_warnings(const struct bench *b);

/* The object that --format json prints.  New reference or NULL. */
json_t *bench_json(const struct bench *b, const struct impact_factors *factors);
