/* SPDX-License-Identifier: MIT */
/* Lists of numbers as the kernel writes those of CPUs and of nodes: "0-3,8,10-11"
 * (Documentation/admin-guide/cputopology.rst). */
#pragma once

#include <stddef.h>

/* Call `take` for each number, in the list's order.  -EINVAL: it is no list, or a number in it is
 * not below `limit`; those before it were taken. */
int number_list_walk(const char *list, long limit, void (*take)(void *data, size_t number),
                     void *data);
