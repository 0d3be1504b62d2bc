/* SPDX-License-Identifier: MIT */
/*
 * Whose a process is: its real user, from /proc/PID/status.  Not the owner of /proc/PID, who is
 * root for every process that may not be dumped (proc(5)): all that have changed their user, for
 * one.
 */
#pragma once

#include <sys/types.h>

/* `proc` is "/proc" outside tests.  0, -ENOENT: it has gone, or another negative errno. */
int process_user(const char *proc, long long pid, uid_t *ret);
