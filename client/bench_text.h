/* SPDX-License-Identifier: MIT */
/* Repeated runs for people: a table of runs, a table of statistics, and the verdict. */
#pragma once

#include <stdio.h>

#include "bench.h"

/* 0 or -ENOMEM */
int bench_print_text(FILE *out, const struct bench *b);
