/* SPDX-License-Identifier: MIT */
#include "number_list.h"

#include <errno.h>
#include <stdlib.h>

int number_list_walk(const char *list, long limit, void (*take)(void *data, size_t number),
                     void *data)
{
        const char *p = list;

        while (*p && *p != '\n') {
                char *end;
                long first, last;

                first = last = strtol(p, &end, 10);
                if (end == p)
                        return -EINVAL;
                if (*end == '-') {
                        p = end + 1;
                        last = strtol(p, &end, 10);
                        if (end == p)
                                return -EINVAL;
                }
                if (first < 0 || last < first || last >= limit)
                        return -EINVAL;
                for (long i = first; i <= last; i++)
                        take(data, (size_t)i);
                p = *end == ',' ? end + 1 : end;
                if (*p && *p != '\n' && p == end)
                        return -EINVAL;
        }
        return 0;
}
