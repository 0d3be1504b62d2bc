/* SPDX-License-Identifier: MIT */
/*
 * Which process somebody in another pid namespace (a container) means by a pid.
 *
 * The kernel does not say; every process has to be looked at.  So one walk through /proc at a time
 * serves all who ask, in slices between which the event loop has its turn, and the next one begins
 * only after a rest: however many ask however often, others do not feel it.
 */
#pragma once

#include "server.h"

/*
 * Have found() called with the process that is `pid` to the peer, or a negative errno: -ESRCH,
 * there is none; -EACCES, the kernel does not let us see.  At once where the peer's namespace is
 * ours.  Meanwhile call->state is taken; found() is not called when the peer goes.
 */
void pid_search(struct call *call, pid_t pid, void (*found)(struct call *call, pid_t pid));

/* When no call is left. */
void pid_search_free(struct pid_walk *walk);
