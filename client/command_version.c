/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "command.h"

static int version(const struct options *options)
{
        (void)options;
        puts("energat " ENERGAT_VERSION);
        return command_finish_output();
}

const struct command command_version = {
        .name = "version",
        .is_verb = true,
        .is_option = true,
        .needs_nothing = true,
        .usage = "--version",
        .summary = "print the version",
        .run = version,
};
