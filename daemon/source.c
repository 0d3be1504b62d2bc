/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <string.h>

const struct source_driver *source_driver_by_name(const char *name)
{
        for (size_t i = 0; source_drivers[i]; i++)
                if (strcmp(source_drivers[i]->name, name) == 0)
                        return source_drivers[i];
        return NULL;
}

const char *domain_kind_name(enum domain_kind kind)
{
        switch (kind) {
        case DOMAIN_PACKAGE:
                return "package";
        case DOMAIN_DRAM:
                return "dram";
        case DOMAIN_CORE:
                return "core";
        case DOMAIN_UNCORE:
                return "uncore";
        case DOMAIN_PSYS:
                return "psys";
        case DOMAIN_OTHER:
                return "other";
        }
        return "other";
}
