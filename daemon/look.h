/* SPDX-License-Identifier: MIT */
/*
 * A look: what the sampler holds at one moment, copied in its thread and answered in the server's.
 */
#pragma once

#include <jansson.h>

#include "row_copy.h"
#include "server.h"
#include "target_copy.h"

struct look {
        struct letter there, back;
        struct server *server;
        struct call *call;
        void (*answer)(struct look *look);
        bool want_rows;
        uint64_t *sums;
        uint64_t now_ns, started_ns;
        unsigned int ntargets;
        struct cputime_totals totals;
        struct cputime_losses losses;
        struct fault faults[SOURCE_MAX_DOMAINS];
        struct domain_view domains[SOURCE_MAX_DOMAINS];
        struct lateness lateness;
        uint64_t cpu_ns; /* of the sampler's thread */

        /* with want_rows */
        struct row_nodes nodes;
        struct row_copy *rows, exited;
        uint64_t *node_cpu_ns; /* nodes.n for each row; NULL where there is one node */
        uint64_t exited_count;
        size_t nrows, max_rows;
        struct target_copies targets;
};

/* Look, and then answer the call by `answer`, unless its peer has gone meanwhile. */
void look_start(struct call *call, void (*answer)(struct look *look), bool want_rows);

/* Is a baseline too high, since it is in force?  In words. */
bool look_baseline_is_high(struct look *look, char *text, size_t size);
/* What every answer about the machine warns of: a new array. */
json_t *look_warnings(struct look *look);
