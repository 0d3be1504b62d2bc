/* SPDX-License-Identifier: MIT */
/*
 * What the targets that are being followed have used so far, as of the moment of a look: copied in
 * the sampler's thread, told by the server's.  Ordinary users are told of the targets that they
 * themselves have followed.
 */
#pragma once

#include "row_copy.h"
#include "server.h"

struct target_copy {
        uint64_t id, followed_ns;
        unsigned int processes;
        struct row_copy row; /* pid, threads and sums; the rest is nothing */
};

struct target_copies {
        struct target_copy *all;
        uint64_t *node_cpu_ns; /* of the rows; NULL where there is one node */
        size_t n, max;
};

/* Room for every target there can be when the sampler comes to it.  0 or -ENOMEM. */
int target_copies_init(struct target_copies *c, const struct server *s,
                       const struct row_nodes *nodes);
void target_copies_deinit(struct target_copies *c);

/* [in the sampler], after sampler_settle() */
void target_copies_take(struct target_copies *c, const struct sampler *s,
                        const struct row_nodes *nodes);

/* Those that `peer` may see: a new array. */
json_t *target_copies_json(const struct target_copies *c, const struct server *s,
                           const struct peer *peer, const struct row_nodes *nodes);
