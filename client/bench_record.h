/* SPDX-License-Identifier: MIT */
/* Repeated runs in a recording: kind "bench", a line "run" for each. */
#pragma once

#include "bench.h"
#include "record.h"

/* The line of the last run that was added.  NULL: no memory. */
json_t *bench_record_run(const struct bench *b);
/* The line at the end. */
json_t *bench_record_end(const struct bench *b);

struct bench_record {
        struct bench bench;
        char *commands[BENCH_COMMANDS];
};

/* 0, -ENODATA: there is no run in it, or -ENOMEM. */
int bench_record_read(struct bench_record *b, struct record_reader *reader);
void bench_record_deinit(struct bench_record *b);
