/* SPDX-License-Identifier: MIT */
/*
 * What energatd may do, and how it gives up the rest.
 *
 * Once sources are open, the probe is attached and the socket listens, the daemon becomes an
 * ordinary user with the few capabilities that later work needs; the table in privileges.c says
 * which, and for what.  All else goes, for good: other user and group ids, supplementary groups,
 * ambient and inheritable capabilities, the bounding set, the ways back (securebits, no_new_privs),
 * core dumps and debuggers (dumpable).
 *
 * A user who is not there, or a start without root's rights (systemd's User=), leaves the user ids
 * as they are; the rest happens all the same.  capabilities(7), prctl(2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config.h"

struct privileges_user {
        uid_t uid;
        gid_t gid;
        bool changes; /* these ids are others than those that the daemon runs with */
};

/* Who the daemon will be; says it when that is not who was asked for. */
void privileges_user(struct privileges_user *user, const char *name);

/*
 * Are the capabilities there without which measuring as configured cannot begin?  false: one is
 * missing, and it was said.
 */
bool privileges_suffice(const struct config *config);

/*
 * Give up all that is not needed any more.  source: the one in use.  Before the first thread is
 * made, because most of this is a thread's own.  On failure a negative errno, and `why` says what
 * could not be given up: then nothing may go on.
 */
int privileges_drop(const struct privileges_user *user, const struct config *config,
                    const char *source, char *why, size_t why_size);
