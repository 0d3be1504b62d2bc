/* SPDX-License-Identifier: MIT */
#include "cpulist.h"

#include <errno.h>
#include <stdlib.h>

int cpulist_walk(const char *text, unsigned int limit, void (*visit)(unsigned int cpu, void *arg),
                 void *arg)
{
        for (int pass = 0; pass < 2; pass++) {
                const char *p = text;

                while (*p != '\0' && *p != '\n') {
                        unsigned long first, last;
                        char *end;

                        if (*p < '0' || *p > '9')
                                return -EBADMSG;
                        errno = 0;
                        first = last = strtoul(p, &end, 10);
                        if (*end == '-') {
                                p = end + 1;
                                if (*p < '0' || *p > '9')
                                        return -EBADMSG;
                                last = strtoul(p, &end, 10);
                        }
                        if (errno || first > last || last >= limit)
                                return -EBADMSG;
                        p = end;
                        if (*p == ',' && p[1] >= '0' && p[1] <= '9')
                                p++;
                        else if (*p != '\0' && *p != '\n')
                                return -EBADMSG;
                        for (unsigned long cpu = first; pass == 1 && cpu <= last; cpu++)
                                visit((unsigned int)cpu, arg);
                }
                if (*p == '\n' && p[1] != '\0')
                        return -EBADMSG;
        }
        return 0;
}
