/* SPDX-License-Identifier: MIT */
/*
 * Who may see what.  Fine-grained energy readings tell secrets of other people's processes
 * (PLATYPUS, CVE-2020-8694): root and members of group energat see everything; everybody else sees
 * their own processes, in steps of a second or more.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "procfs.h"
#include "server.h"

#define ACCESS_MIN_INTERVAL_NS 1000000000ull

/* The rules, as a denial names them. */
#define ACCESS_RULE_OWN      "own-processes"
#define ACCESS_RULE_INTERVAL "interval-of-one-second"
#define ACCESS_RULE_ADMIN    "administrators"

struct denial {
        const char *rule; /* NULL: allowed */
        char reason[256];
};

void access_follow(struct denial *denial, const struct peer *peer,
                   const struct procfs_status *process, uint64_t interval_ns);
/* What only administrators may do; `what` completes "... may <what>". */
void access_administer(struct denial *denial, const struct peer *peer, const char *what);

void call_denied(struct call *call, const struct denial *denial);
