/* SPDX-License-Identifier: MIT */
/*
 * Who may see what.  Fine-grained energy readings tell secrets of other people's processes
 * (PLATYPUS, CVE-2020-8694): root and members of group energat (access.group) see everything;
 * everybody else sees their own processes (access.own_processes), in steps of a second
 * (access.interval) or more, and the machine's totals from mark to mark only (sampler.h).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "procfs.h"
#include "server.h"

/* The rules, as a denial names them. */
#define ACCESS_RULE_OWN      "own-processes"
#define ACCESS_RULE_INTERVAL "interval-of-one-second"
#define ACCESS_RULE_ADMIN    "administrators"

struct denial {
        const char *rule; /* NULL: allowed */
        char reason[256];
};

void access_follow(struct denial *denial, const struct config *config, const struct peer *peer,
                   const struct procfs_status *process, uint64_t interval_ns);
/* What only administrators may do; `what` completes "... may <what>". */
void access_administer(struct denial *denial, const struct config *config, const struct peer *peer,
                       const char *what);
/* Do both tell everybody the same? */
bool access_same_rules(const struct config *a, const struct config *b);
/* What the peer may follow, in a sentence. */
void access_summary(char *text, size_t size, const struct config *config, const struct peer *peer);
/* The interval of one who does not say. */
uint64_t access_default_interval_ns(const struct config *config, const struct peer *peer);

void call_denied(struct call *call, const struct denial *denial);
