/* SPDX-License-Identifier: MIT */
/* A configuration as a file that reads back to the same values, for tests that compare two. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "config.h"

static inline void config_print(const struct config *c, FILE *out)
{
        const char *section = "";
        char value[CONFIG_PATH_MAX];

        for (size_t i = 0; i < config_nkeys(); i++) {
                if (strcmp(section, config_section(i)) != 0)
                        fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", config_section(i));
                section = config_section(i);
                config_value(c, i, value);
                fprintf(out, "%s = %s\n", config_key(i), value);
        }
}
