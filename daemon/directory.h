/* SPDX-License-Identifier: MIT */
/*
 * The directories of the socket and of the state: made when they are missing, refused when anybody
 * may write there, handed to the user that the daemon becomes.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "config.h"

/* The directory that a path is in: "." where it has none. */
void directory_parent(const char *path, char parent[CONFIG_PATH_MAX]);

/* Make it, and those above it; one that is made here belongs to uid and gid. */
int directory_make(const char *path, uid_t uid, gid_t gid);

/*
 * 0; -EPERM: anybody may remove and replace what is in there; 1: so may somebody beside root, `uid`
 * and `gid`, whom root has trusted with it, knowingly or not: worth a warning; -ENOTDIR and others
 * as stat(2) has them.  `why` says whom and what to do, unless 0.
 */
int directory_check(const char *path, uid_t uid, gid_t gid, char *why, size_t why_size);

/*
 * Give a directory of root's, and the files in it, to the daemon's user.  Nothing happens to one of
 * somebody else's; one with directories in it is -ENOTEMPTY: it is not energat's alone, and root
 * has named the wrong one.
 */
int directory_hand_over(const char *path, uid_t uid, gid_t gid);
