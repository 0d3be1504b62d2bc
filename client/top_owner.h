/* SPDX-License-Identifier: MIT */
/*
 * Whose a process is: its user and its unit (systemd's, or else its control group), from /proc.
 *
 * Looked up once for each process, and again now and then: a process can change both.  The names
 * are kept until the end, each once.
 */
#pragma once

#include "top_snapshot.h"

struct top_owners;

/* `proc` is "/proc" outside tests; NULL: the pids are none of ours, and nobody is looked up.  0 or
 * -ENOMEM. */
int top_owners_new(struct top_owners **ret, const char *proc);
void top_owners_free(struct top_owners *o);

/* Look up what is missing.  0 or -ENOMEM. */
int top_owners_look_up(struct top_owners *o, struct top_snapshot *s);
/* Look up a part of the rest anew: another one at each call.  For when nobody waits.  0 or -ENOMEM.
 */
int top_owners_refresh(struct top_owners *o, struct top_snapshot *s);

/*
 * The unit in the text of a cgroup file (cgroups(7)): the deepest .service or .scope of the path,
 * else its last part; long hexadecimal names, as containers have, are cut to 12 digits.  "-" for
 * the root.
 */
void top_unit_of(const char *cgroup_file, char *unit, size_t size);
