/* SPDX-License-Identifier: MIT */
/*
 * The command line.  Every option is one row of the table in options.c; a command names those that
 * it takes.  Options may stand before or after the command.  EnergAt's spellings are accepted: one
 * dash for two, underscores for dashes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum option_bit {
        OPTION_SOCKET = 1 << 0,
        OPTION_NAME = 1 << 1,
        OPTION_OUTPUT = 1 << 2,
        OPTION_FORMAT = 1 << 3,
        OPTION_INTERVAL = 1 << 4,
        OPTION_GAMMA = 1 << 5,
        OPTION_DELTA = 1 << 6,
        OPTION_NO_WAIT = 1 << 7,
        OPTION_BASE_PERIOD = 1 << 8,
        OPTION_WINDOWS = 1 << 9,
        OPTION_FORCE = 1 << 10,
        OPTION_RAPL_PERIOD = 1 << 11,
        OPTION_ONLINE = 1 << 12,
};

struct options {
        uint32_t given; /* enum option_bit */
        const char *socket, *name, *output;
        bool json, no_wait, force, online;
        double interval_s, gamma, delta, base_period_s, rapl_period_s; /* NAN: not given */
        long long windows;
        long long pid;    /* of --pid */
        char **arguments; /* CMD and its arguments, ended by NULL */
        int argument_count;
        bool help; /* --help beside another command: about that one */
};

struct command;

/*
 * Take argv apart.  `commands` ends with NULL.  0, or -EINVAL: `why` says what is wrong; *ret is
 * then the command that was recognised, or NULL.
 */
int options_parse(struct options *o, int argc, char **argv, const struct command *const *commands,
                  const struct command **ret, char *why, size_t why_size);

/* The lines of a help text for the options in `set`. */
void options_print_help(FILE *out, uint32_t set);
