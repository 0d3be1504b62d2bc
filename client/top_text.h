/* SPDX-License-Identifier: MIT */
/* A line that is built up to a number of columns: names of any bytes cut and padded to a width. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct top_text {
        char *line; /* always ended by NUL */
        size_t size, used;
        int columns, max_columns;
        bool utf8;
};

struct top_text top_text_on(char *line, size_t size, int max_columns, bool utf8);

/* Text of our own: printable, and one column a byte.  Cut at the line's end. */
__attribute__((format(printf, 2, 3))) void top_text_add(struct top_text *t, const char *format,
                                                        ...);

/* A mark, of no width. */
void top_text_style(struct top_text *t, char style);

/* A name from elsewhere in exactly `width` columns: cut, padded at its end, made safe. */
void top_text_name(struct top_text *t, const char *name, int width);

/* `n` times a glyph of one column. */
void top_text_repeat(struct top_text *t, const char *glyph, int n);

/* Spaces up to a column. */
void top_text_pad(struct top_text *t, int column);

/* Columns that a name takes, made safe. */
int top_text_width(const char *name);
