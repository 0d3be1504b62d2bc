/* SPDX-License-Identifier: MIT */
/*
 * The command line.  Every option is one row of the table in options.c; a command names those that
 * it takes.  Options may stand before or after the command.  EnergAt's spellings are accepted: one
 * dash for two, underscores for dashes.  An option that is also a setting goes before what files
 * and the environment say (settings.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "settings.h"

/* One bit for each row of the table, but for rows that only make sense together. */
#define OPTION_BIT(n) (UINT64_C(1) << (n))

#define OPTION_SOCKET      OPTION_BIT(0)
#define OPTION_NAME        OPTION_BIT(1)
#define OPTION_OUTPUT      OPTION_BIT(2)
#define OPTION_FORMAT      OPTION_BIT(3)
#define OPTION_INTERVAL    OPTION_BIT(4)
#define OPTION_GAMMA       OPTION_BIT(5)
#define OPTION_DELTA       OPTION_BIT(6)
#define OPTION_NO_WAIT     OPTION_BIT(7)
#define OPTION_BASE_PERIOD OPTION_BIT(8)
#define OPTION_WINDOWS     OPTION_BIT(9)
#define OPTION_FORCE       OPTION_BIT(10)
#define OPTION_RAPL_PERIOD OPTION_BIT(11)
#define OPTION_ONLINE      OPTION_BIT(12)
#define OPTION_COST        OPTION_BIT(13) /* --pue and its kin: what joules mean elsewhere */
#define OPTION_DEFAULT     OPTION_BIT(14)
#define OPTION_BATCH       OPTION_BIT(15)
#define OPTION_ITERATIONS  OPTION_BIT(16)
#define OPTION_DELAY       OPTION_BIT(17)
#define OPTION_SORT        OPTION_BIT(18)
#define OPTION_GROUP       OPTION_BIT(19)
#define OPTION_FILTER      OPTION_BIT(20)
#define OPTION_USER        OPTION_BIT(21)
#define OPTION_TREE        OPTION_BIT(22)
#define OPTION_RAW         OPTION_BIT(23)
#define OPTION_REPEAT      OPTION_BIT(24)
#define OPTION_WARMUP      OPTION_BIT(25)
#define OPTION_COMPARE     OPTION_BIT(26)
#define OPTION_ALL         OPTION_BIT(27)
#define OPTION_DURATION    OPTION_BIT(28)
#define OPTION_FIT_GAMMA   OPTION_BIT(29) /* --gamma and --delta of calibrate */
#define OPTION_FIT_DELTA   OPTION_BIT(30)
#define OPTION_WRITE       OPTION_BIT(31)
#define OPTION_MODEL       OPTION_BIT(32)

/* Words that name files, of the commands that take such. */
#define OPTIONS_MAX_FILES 2

struct options {
        uint64_t given; /* OPTION_* */
        /* In force for all keys, whether from the command line or elsewhere.  Not owned. */
        struct settings *settings;
        const char *socket, *name, *output, *raw, *compare;
        const char *model;  /* NULL: the daemon's */
        const char *format; /* one of the command's formats */
        bool json;          /* that is "json" */
        bool no_wait, force, online, show_default, fit_gamma, fit_delta, write_config, batch, tree,
                all;
        double interval_s, gamma, delta;                 /* NAN: the daemon's */
        double base_period_s, rapl_period_s, duration_s; /* NAN: not given */
        long long windows, iterations;
        long long repeat, warmup; /* 0: not given */
        const char *filter, *user;
        long long pid; /* of --pid */
        const char *files[OPTIONS_MAX_FILES];
        unsigned int file_count;
        char **arguments; /* CMD and its arguments, ended by NULL */
        int argument_count;
        bool help; /* --help beside another command: about that one */
};

struct command;

/*
 * Take argv apart.  `settings` are those loaded; the command line is set over them.  `commands`
 * ends with NULL.  0, or -EINVAL: `why` says what is wrong; *ret is then the command that was
 * recognised, or NULL.
 */
int options_parse(struct options *o, struct settings *settings, int argc, char **argv,
                  const struct command *const *commands, const struct command **ret, char *why,
                  size_t why_size);

/* The lines of a help text for the options that the command takes. */
void options_print_help(FILE *out, const struct command *command);
