/* SPDX-License-Identifier: MIT */
/* The terminal of energat top, by ncurses: lines go out, keys and clicks come in. */
#pragma once

#include <stdbool.h>

#include "top_view.h"

/* Take over the terminal.  0; -ENOTTY: it is none; -ENOTSUP: its type (TERM) is not known. */
int top_terminal_open(bool colour);
/* Give it back as it was.  Also when it was never taken. */
void top_terminal_close(void);

void top_terminal_size(int *width, int *height);
void top_terminal_draw(const struct top_screen *s);

enum top_event { TOP_EVENT_NONE, TOP_EVENT_KEY, TOP_EVENT_CLICK, TOP_EVENT_WHEEL, TOP_EVENT_SIZE };

/* The next event, without waiting.  *key is a character or enum top_key; of a click *column and
 * *line; of the wheel *line: how far down. */
enum top_event top_terminal_next(int *key, int *column, int *line);
