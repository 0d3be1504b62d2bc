/* SPDX-License-Identifier: MIT */
/*
 * The client's settings, with perun's precedence, the first that has a value:
 *
 *   an option of the command line
 *   the environment: ENERGAT_PUE for pue
 *   ./.energat.ini            only when it belongs to the caller or to root
 *   ~/.config/energat.ini     or $XDG_CONFIG_HOME/energat.ini
 *   /etc/energat/energat.conf
 *   the default
 *
 * Files are INI: [section], key = value, lines that begin with # or ; are comments.  Every key is
 * one row of the table in settings.c, with its type, bounds, unit and default.  A number that has
 * no value is NAN, a text that has none is NULL: then the daemon's default holds, or what needs the
 * value is left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SETTINGS_TEXT_MAX  4096 /* PATH_MAX */
#define SETTINGS_PLACE_MAX 4352 /* "FILE:LINE" with a path of PATH_MAX */

/* settings_default_files() fills such an array, from the least to the most important. */
#define SETTINGS_FILES 3

enum setting {
        SETTING_SOCKET,
        SETTING_FORMAT,
        SETTING_INTERVAL, /* s */
        SETTING_MODEL,
        SETTING_GAMMA,
        SETTING_DELTA,
        SETTING_PUE,              /* >= 1: energy of the data centre / energy of its computers */
        SETTING_EMISSIONS_FACTOR, /* gCO2e/kWh */
        SETTING_PRICE_FACTOR,     /* price_unit per kWh */
        SETTING_PRICE_UNIT,
        SETTING_POWER_OVERHEAD, /* W of the machine that no counter sees */
        SETTING_TOP_DELAY,      /* s */
        SETTING_TOP_SORT,
        SETTING_TOP_GROUP,
        SETTINGS
};

enum setting_origin {
        SETTING_DEFAULT,
        SETTING_SYSTEM_FILE,
        SETTING_USER_FILE,
        SETTING_DIRECTORY_FILE,
        SETTING_ENVIRONMENT,
        SETTING_OPTION
};

struct setting_value {
        enum setting_origin origin;
        char place[SETTINGS_PLACE_MAX]; /* "FILE:LINE", the variable or option; "" for a default */
        char text[SETTINGS_TEXT_MAX];   /* as it was written; "" is no value */
        double number;                  /* NAN for texts, and when there is no value */
};

struct settings {
        struct setting_value values[SETTINGS];
};

/* A row of the table. */
struct setting_row {
        const char *section, *key;
        bool is_number;
        bool above_min; /* min itself is not allowed */
        double min, max;
        const char *choices; /* of a text, separated by spaces; NULL: any */
        const char *initial; /* the default, "" for none */
        const char *unit;    /* NULL: none */
        const char *doc;
};

const struct setting_row *settings_row(enum setting id);

/* "ENERGAT_PUE" */
const char *settings_variable(enum setting id, char name[64]);

/* "default", "option", ... */
const char *settings_origin_name(enum setting_origin origin);

void settings_defaults(struct settings *s);

struct settings_file {
        enum setting_origin origin;
        char path[SETTINGS_PLACE_MAX - 32]; /* "" when there is no such place */
};
void settings_default_files(struct settings_file files[SETTINGS_FILES]);

/*
 * Read one file over what is in *s.  A file that is not there is none.  Messages, one a line
 * ("FILE:LINE: KEY: what is wrong"), go to `messages`.  0, or -EINVAL when a value is bad or a line
 * malformed, or another negative errno when it cannot be read.  The directory's file is ignored,
 * which is told, when it is a link, no regular file, somebody else's or cannot be read.
 */
int settings_read_file(struct settings *s, const char *path, enum setting_origin origin,
                       FILE *messages);

/* Take what is in the environment.  0 or -EINVAL, with messages as above. */
int settings_read_environment(struct settings *s, FILE *messages);

/* Defaults, files and environment.  0 or a negative errno, and `messages` says why. */
int settings_load(struct settings *s, FILE *messages);

/* Is `text` one of the words of `choices`, which spaces part? */
bool settings_is_choice(const char *choices, const char *text);

/* Set one from text.  0, or -EINVAL: `why` says what is wrong and what is right. */
int settings_set(struct settings *s, enum setting id, const char *text, enum setting_origin origin,
                 const char *place, char *why, size_t why_size);

/* NAN: no value. */
double settings_number(const struct settings *s, enum setting id);
/* NULL: no value. */
const char *settings_text(const struct settings *s, enum setting id);
bool settings_is_default(const struct settings *s, enum setting id);
