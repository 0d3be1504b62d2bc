/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a daemon that runs: what is in force, what the file asks for meanwhile, and
 * what came of reading it again.
 *
 * A reload brings keys into force that are read anew whenever they are used; all others wait for a
 * restart, and that is said.  A file with an error changes nothing.  Belongs to the main thread: no
 * other may look at it once sampling has begun.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "config.h"

#define CONFIGURATION_MAX_OPTIONS 16
#define CONFIGURATION_TEXT_MAX    1024

struct configuration {
        struct config config;       /* in force */
        struct config wanted;       /* as file and options have it now */
        char path[CONFIG_PATH_MAX]; /* of the file */
        bool named;                 /* on the command line: it has to be there */
        bool found;
        struct {
                const char *key, *value; /* of the command line */
        } options[CONFIGURATION_MAX_OPTIONS];
        size_t noptions;
        char problem[CONFIGURATION_TEXT_MAX]; /* why the last reload was refused; "": it was not */
        char waiting[CONFIGURATION_TEXT_MAX]; /* keys that wait for a restart, ", " between; "" */
};

/* path may be NULL: the default's, which need not be there. */
void configuration_init(struct configuration *c, const char *path);

/* An option of the command line, which goes before the file.  `value` outlives *c.  0, or -EINVAL
 * and `why` says. */
int configuration_option(struct configuration *c, const char *key, const char *value, char *why,
                         size_t why_size);

/* Defaults, file, options, for the start.  What is wrong is logged. */
int configuration_load(struct configuration *c);

/*
 * The same for a daemon that runs.  0, or a negative errno when the file was refused: nothing has
 * changed then, and c->problem says why.  What changed, and what waits, is logged.
 */
int configuration_reload(struct configuration *c);

/* Warnings for those who ask for the daemon's status. */
void configuration_warnings(const struct configuration *c, json_t *warnings);
