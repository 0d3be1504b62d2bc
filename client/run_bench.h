/* SPDX-License-Identifier: MIT */
/*
 * `energat run --repeat N [--warmup N] [--compare 'CMD2']`: the benchmark mode.
 *
 * Exit status: 0 when every run succeeded; that of the first run that failed; 128 + signal when
 * Ctrl-C or the like cut it short, after what was measured until then has been printed.
 */
#pragma once

#include "impact.h"
#include "options.h"

/* Without --repeat, --compare makes so many pairs of runs. */
#define RUN_BENCH_DEFAULT_REPEAT 10

int run_bench(const struct options *options, const struct impact_factors *factors);
