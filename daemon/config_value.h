/* SPDX-License-Identifier: MIT */
/*
 * What a value of the configuration may be: text to value and back, by the type and the bounds of
 * its key.  For config.c and config_file.c only.
 */
#pragma once

#include "config.h"

#define CONFIG_MAX_EXPECTED 160
#define CONFIG_MAX_SHOWN    64 /* of a bad value, in a message */

enum config_type {
        TYPE_CHOICE,
        TYPE_PATH,
        TYPE_NAME, /* of a user */
        TYPE_NUMBER,
        TYPE_TIME,
        TYPE_ROWS,
        TYPE_BOOL,
};

/* A key. */
struct config_row {
        const char *section, *key;
        enum config_type type;
        bool above_min; /* min itself is not allowed */
        bool live;      /* a reload brings it into force */
        size_t offset;
        size_t size;         /* of a string, its NUL included */
        double min, max;     /* of a number, of rows; of a time, in ns */
        const char *choices; /* separated by spaces */
        const char *initial; /* the default, as in a file */
};

extern const struct config_row config_rows[];

/* The row of a key, or NULL. */
const struct config_row *config_find_row(const char *section, size_t section_length,
                                         const char *key);

/* 0, or -EINVAL: the text is no value of this key, and *c is unchanged. */
int config_set_row(struct config *c, const struct config_row *row, const char *value);
/* Is it one of the words of a TYPE_CHOICE? */
bool config_is_choice(const struct config_row *row, const char *value);
/* As it stands in a file. */
void config_format_row(const struct config *c, const struct config_row *row,
                       char text[CONFIG_PATH_MAX]);
/* What is wrong with a value, and what is right. */
void config_explain(const struct config_row *row, const char *value, char *why, size_t why_size);
/* A time as briefly as it can be written exactly. */
void config_format_time(uint64_t ns, char *text, size_t size);
/* Text for a message: cut, and nothing in it that a terminal or a log would act on. */
const char *config_shown(const char *text, char buffer[CONFIG_MAX_SHOWN + 4]);
