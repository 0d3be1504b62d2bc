/* SPDX-License-Identifier: MIT */
/*
 * What energat top shows, from two looks at the machine: rows with power and CPU use over the time
 * between, grouped, filtered and in order.  Pure: no clock, no file, no terminal.
 *
 * A process that was not there before was born since, so all it has used was used since.  What
 * those used who have gone since is in the row "(exited)": without it the rows would not add up to
 * the machine.  (pid, start time) tells one process from another that has its pid.
 *
 * Targets are no sums of rows: they overlap, and have with them what those used who have gone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "top_snapshot.h"

#define TOP_FILTER_MAX 128

enum top_sort { TOP_POWER, TOP_ENERGY, TOP_CPU, TOP_PID, TOP_USER, TOP_NAME, TOP_SORTS };
enum top_group { TOP_PROCESSES, TOP_USERS, TOP_UNITS, TOP_TARGETS, TOP_GROUPS };

/* "power", "process"; -1 when there is none of that name. */
int top_sort_of(const char *name);
int top_group_of(const char *name);
const char *top_sort_name(enum top_sort sort);
const char *top_group_name(enum top_group group);

struct top_order {
        enum top_sort sort;
        bool reverse;
        enum top_group group;
        bool tree;                   /* of processes; those without a parent in sight are roots */
        char filter[TOP_FILTER_MAX]; /* part of name, user or unit, in any case; "" for all */
        char user[TOP_FILTER_MAX];   /* exactly; "" for all */
};

struct top_row {
        long long pid, ppid;            /* 0 in a group */
        const char *name, *user, *unit; /* valid until the next update; user, unit may be NULL */
        bool kernel;
        unsigned int threads, processes;
        double power_w, cpu_percent; /* NAN while there is nothing to compare with */
        double energy_j;
        double node_percent[TOP_MAX_NODES]; /* of its CPU time; NAN when it used none */
        double node_s[TOP_MAX_NODES];
        unsigned int depth; /* in the tree */
};

/* Watts of a socket, NAN where not known: all = fixed + share + unattributed; the rows' power
 * is parts of share.  Memory's power is beside: it is charged to targets only. */
struct top_power {
        int socket;
        double all_w, fixed_w, share_w, unattributed_w, dram_w;
        double most_w; /* the highest all_w so far */
};

struct top_model {
        struct top_snapshot now;
        double interval_s;   /* NAN: there is no look before this one */
        struct top_row *all; /* every process of `now`, then "(exited)" */
        size_t nall;
        struct top_row *targets; /* one for each of `now` */
        struct top_row *rows;    /* what is shown */
        size_t nrows;
        unsigned int nnodes;
        struct top_power sockets[TOP_MAX_SOCKETS];
        unsigned int nsockets;
};

void top_model_deinit(struct top_model *m);

/*
 * Take over a newer look.  One of the same moment changes nothing; one of an earlier moment is of
 * another daemon and begins anew.  0 or -ENOMEM (then nothing has changed, and `next` is freed).
 */
int top_model_update(struct top_model *m, struct top_snapshot *next);

/* Users and units may have been looked up meanwhile: have the rows know them, then put them in
 * order.  0 or -ENOMEM. */
int top_model_arrange(struct top_model *m, const struct top_order *order);

/* Does a row match, by name, user or unit, in any case? */
bool top_row_matches(const struct top_row *row, const char *text);
