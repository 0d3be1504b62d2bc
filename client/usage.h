/* SPDX-License-Identifier: MIT */
/* Who used how much: sums by process and by program (name and user), in the order of energy. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Distinct processes that are told apart; what more there are counts for their program only. */
#define USAGE_MAX_PROCESSES 100000

struct usage {
        json_t *processes, *programs; /* objects by identity */
        bool full; /* there are more processes: they are in no "processes" of a program */
};

int usage_init(struct usage *u); /* 0 or -ENOMEM */
void usage_deinit(struct usage *u);

/* Add a row of a recording.  0 or -ENOMEM. */
int usage_add(struct usage *u, const json_t *row);

/* The `limit` that used most, as a new list.  NULL: no memory. */
json_t *usage_list(const json_t *sums, size_t limit);

/* "comm" of a row, "?" when it has none: programs are told apart by it in charts. */
const char *usage_name(const json_t *row);
double usage_joules(const json_t *row); /* package and dram; 0 when neither is known */
