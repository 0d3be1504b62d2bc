/* SPDX-License-Identifier: MIT */
/* Descriptions of a `power` PMU below a tree that stands for sysfs. */
#pragma once

#include "tree.h"

#define PMU "bus/event_source/devices/power/"

static inline void put_pmu(const struct tree *t, unsigned int type, const char *cpumask)
{
        char text[32];

        snprintf(text, sizeof(text), "%u\n", type);
        tree_write(t, PMU "type", text);
        tree_write(t, PMU "cpumask", cpumask);
        tree_write(t, PMU "format/event", "config:0-7\n");
}

static inline void put(const struct tree *t, const char *event, const char *suffix,
                       const char *text)
{
        char path[128];

        snprintf(path, sizeof(path), PMU "events/%s%s", event, suffix);
        tree_write(t, path, text);
}

static inline void put_event(const struct tree *t, const char *event, const char *terms,
                             const char *scale)
{
        put(t, event, "", terms);
        put(t, event, ".unit", "Joules\n");
        put(t, event, ".scale", scale);
}
