/* SPDX-License-Identifier: MIT */
/*
 * CPU lists as the kernel writes them, "0-3,8,10-11" or "" (Documentation/admin-guide/
 * cputopology.rst), in a line or without its newline.
 */
#pragma once

/*
 * Call `visit` with `arg` for each CPU of the list, in its order.  Nothing is visited unless the
 * whole list is good and names no CPU at or above `limit`: -EBADMSG.
 */
int cpulist_walk(const char *text, unsigned int limit, void (*visit)(unsigned int cpu, void *arg),
                 void *arg);
