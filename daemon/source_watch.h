/* SPDX-License-Identifier: MIT */
/*
 * Meters that come late: a kernel module loaded after the daemon's start, a zone that was not
 * there.
 *
 * Looks every ten seconds, in the main thread.  When there is more to measure than is measured, and
 * nobody is being followed just then, the event loop ends with SOURCE_WATCH_AGAIN: the caller opens
 * everything anew.  After some minutes it does so in any case, because anybody may follow without
 * end; clients go on by themselves, as after a restart.
 */
#pragma once

#include "server.h"

#define SOURCE_WATCH_AGAIN 100 /* exit code of the event loop */

#define SOURCE_WATCH_PATIENCE_NS (300ull * 1000000000ull)

/* May measuring begin anew now?  better: there is something to begin with. */
bool source_watch_may_begin(struct server *s, bool better, uint64_t now_ns);

int source_watch_start(struct server *server);
