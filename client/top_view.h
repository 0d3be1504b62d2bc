/* SPDX-License-Identifier: MIT */
/*
 * energat top as lines of text for a screen of a given size.  Pure: what is shown goes in, lines
 * come out; who prints them, and how styles look there, is not known here.
 *
 * A line is UTF-8 (or ASCII) in which TOP_STYLE and a letter of enum top_style switch the style.
 * Names from elsewhere cannot bring such marks: control characters become '?'.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "top_model.h"

#define TOP_STYLE '\1'

enum top_style {
        TOP_PLAIN = '0',
        TOP_BOLD,
        TOP_DIM,
        TOP_HEAD,     /* the table's head */
        TOP_SELECTED, /* the row under the cursor */
        TOP_STATIC,   /* the parts of a bar */
        TOP_SHARE,
        TOP_REST,
        TOP_WARNING
};

#define TOP_LINE_MAX   1024 /* bytes */
#define TOP_WIDTH_MAX  240  /* columns; wider screens stay empty at the right */
#define TOP_HEIGHT_MAX 512
#define TOP_MIN_WIDTH  50
#define TOP_MIN_HEIGHT 10

enum top_mode { TOP_TABLE, TOP_HELP, TOP_SEARCH, TOP_FILTER };

/* What the user has chosen, beside the order of the rows. */
struct top_view {
        int width, height;
        bool utf8;
        enum top_mode mode;
        char input[TOP_FILTER_MAX];  /* what is being typed, for TOP_SEARCH and TOP_FILTER */
        char search[TOP_FILTER_MAX]; /* "" for none */
        size_t selected, offset;     /* rows: under the cursor, first on the screen */
        bool paused;
        double delay_s;
        const char *trouble; /* why there is no newer view, or NULL */
        const char *user;    /* who asks: for own_only */
};

struct top_screen {
        char lines[TOP_HEIGHT_MAX][TOP_LINE_MAX];
        int nlines;
        int head_line;  /* of the table's head, -1: not there; for clicks */
        int first_line; /* of its first row */
        int nrows;      /* rows that there is room for */
};

/* Make the lines; moves v->offset so that the row under the cursor is seen. */
void top_view_draw(struct top_screen *s, struct top_view *v, const struct top_model *m,
                   const struct top_order *order);

/* The lines above the table: each with marks. Returns how many, at most `max`. */
int top_view_machine(char (*lines)[TOP_LINE_MAX], int max, const struct top_view *v,
                     const struct top_model *m);

/* Take the marks out, in place. */
void top_view_strip(char *line);
