/* SPDX-License-Identifier: MIT */
/* What the keys and the mouse of energat top do.  Pure: the terminal's codes are not known here. */
#pragma once

#include "top_model.h"
#include "top_view.h"

/* Beside characters, which stand for themselves. */
enum top_key {
        TOP_KEY_UP = 0x110000, /* beyond Unicode */
        TOP_KEY_DOWN,
        TOP_KEY_PAGE_UP,
        TOP_KEY_PAGE_DOWN,
        TOP_KEY_HOME,
        TOP_KEY_END,
        TOP_KEY_ENTER,
        TOP_KEY_ESCAPE,
        TOP_KEY_BACKSPACE,
        TOP_KEY_HELP
};

enum top_action {
        TOP_NOTHING,
        TOP_REDRAW,
        TOP_REARRANGE, /* the order has changed */
        TOP_DELAY,     /* v->delay_s has */
        TOP_QUIT
};

enum top_action top_keys_press(struct top_view *v, struct top_order *order,
                               const struct top_model *m, const struct top_screen *s, int key);

/* A click on a column and line of the screen; lines > 0: the wheel turned down. */
enum top_action top_keys_click(struct top_view *v, struct top_order *order,
                               const struct top_model *m, const struct top_screen *s, int column,
                               int line);
enum top_action top_keys_wheel(struct top_view *v, const struct top_model *m, int lines);
