/* SPDX-License-Identifier: MIT */
/*
 * The file of the totals (state.h) in the state directory.  It is replaced as a whole: what is
 * there is always one that was written to its end.  One that is torn or foreign is renamed, never
 * trusted and never deleted.  Only its owner may read it: it is finer than what everybody may see.
 */
#pragma once

#include "state.h"

#define STATE_FILE "totals.state"

/*
 * Read DIR/totals.state.  0; -ENOENT: there is none; -EBADMSG: what was there could not be used and
 * has been set aside, `why` (512 bytes) says where; another negative errno: it can be neither used
 * nor set aside, and must not be replaced.
 */
int state_load(struct state *state, const char *dir, char *why, size_t why_size);

/* Temporary file, fsync, rename, fsync of the directory.  Waits for the disk.  0 or -errno. */
int state_save(const struct state *state, const char *dir);
