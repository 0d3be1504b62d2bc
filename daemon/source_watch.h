/* SPDX-License-Identifier: MIT */
/*
 * Meters that come late: a kernel module loaded after the daemon's start, a zone that was not
 * there.
 *
 * Looks every ten seconds, in the main thread.  When there is more to measure than is measured, and
 * nobody is being followed just then, the event loop ends with SOURCE_WATCH_AGAIN: the caller opens
 * everything anew.
 */
#pragma once

#include "server.h"

#define SOURCE_WATCH_AGAIN 100 /* exit code of the event loop */

int source_watch_start(struct server *server);
