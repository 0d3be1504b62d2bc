/* SPDX-License-Identifier: MIT */
#include "top_keys.h"

#include <stdio.h>
#include <string.h>

#include "top_table.h"

#define DELAY_STEPS (sizeof(delays_s) / sizeof(delays_s[0]))

static const double delays_s[] = {0.2, 0.5, 1, 2, 3, 5, 10, 30, 60};

static enum top_action move(struct top_view *v, const struct top_model *m, long rows)
{
        long long at = (long long)v->selected + rows, last = (long long)m->nrows - 1;

        if (at > last)
                at = last;
        v->selected = at > 0 ? (size_t)at : 0;
        return TOP_REDRAW;
}

static enum top_action find(struct top_view *v, const struct top_model *m, size_t from)
{
        for (size_t i = 0; v->search[0] && i < m->nrows; i++) {
                size_t at = (from + i) % m->nrows;

                if (top_row_matches(&m->rows[at], v->search)) {
                        v->selected = at;
                        break;
                }
        }
        return TOP_REDRAW;
}

static enum top_action type(struct top_view *v, struct top_order *order, const struct top_model *m,
                            int key)
{
        size_t length = strlen(v->input);
        enum top_mode mode = v->mode;

        switch (key) {
        case TOP_KEY_ESCAPE:
                v->mode = TOP_TABLE;
                return TOP_REDRAW;
        case TOP_KEY_BACKSPACE:
                /* a whole character: the bytes behind the first have the form 10xxxxxx */
                while (length > 0 && ((unsigned char)v->input[length - 1] & 0xc0) == 0x80)
                        v->input[--length] = '\0';
                if (length > 0)
                        v->input[length - 1] = '\0';
                return TOP_REDRAW;
        case TOP_KEY_ENTER:
                v->mode = TOP_TABLE;
                if (mode == TOP_FILTER) {
                        snprintf(order->filter, sizeof(order->filter), "%s", v->input);
                        v->selected = 0;
                        return TOP_REARRANGE;
                }
                snprintf(v->search, sizeof(v->search), "%s", v->input);
                return find(v, m, v->selected);
        default:
                break;
        }
        if (key < ' ' || key > 0xff || key == 0x7f || length + 1 >= sizeof(v->input))
                return TOP_NOTHING;
        v->input[length] = (char)key;
        v->input[length + 1] = '\0';
        return TOP_REDRAW;
}

static enum top_action ask(struct top_view *v, enum top_mode mode, const char *before)
{
        v->mode = mode;
        snprintf(v->input, sizeof(v->input), "%s", before);
        return TOP_REDRAW;
}

static enum top_action sort_by(struct top_order *order, enum top_sort sort)
{
        if (order->sort == sort)
                order->reverse = !order->reverse;
        else
                order->reverse = false;
        order->sort = sort;
        return TOP_REARRANGE;
}

static enum top_action step_delay(struct top_view *v, bool longer)
{
        if (longer) {
                for (size_t i = 0; i < DELAY_STEPS; i++)
                        if (delays_s[i] > v->delay_s) {
                                v->delay_s = delays_s[i];
                                return TOP_DELAY;
                        }
                return TOP_NOTHING;
        }
        for (size_t i = DELAY_STEPS; i-- > 0;)
                if (delays_s[i] < v->delay_s) {
                        v->delay_s = delays_s[i];
                        return TOP_DELAY;
                }
        return TOP_NOTHING;
}

static enum top_action change_order(struct top_order *order, int key)
{
        static const char letters[] = "PECNUM"; /* in the order of enum top_sort */
        const char *letter = strchr(letters, key);

        if (letter)
                return sort_by(order, (enum top_sort)(letter - letters));
        switch (key) {
        case 's':
                order->sort = (order->sort + 1) % TOP_SORTS;
                order->reverse = false;
                return TOP_REARRANGE;
        case 'r':
                order->reverse = !order->reverse;
                return TOP_REARRANGE;
        case 'g':
                order->group = (order->group + 1) % TOP_GROUPS;
                return TOP_REARRANGE;
        case 't':
                order->tree = !order->tree;
                order->group = TOP_PROCESSES;
                return TOP_REARRANGE;
        default:
                return TOP_NOTHING;
        }
}

enum top_action top_keys_press(struct top_view *v, struct top_order *order,
                               const struct top_model *m, const struct top_screen *s, int key)
{
        long page = s->nrows > 1 ? s->nrows - 1 : 1;

        if (v->mode == TOP_HELP) {
                v->mode = TOP_TABLE;
                return TOP_REDRAW;
        }
        if (v->mode != TOP_TABLE)
                return type(v, order, m, key);
        switch (key) {
        case 'q':
                return TOP_QUIT;
        case '?':
        case 'h':
        case TOP_KEY_HELP:
                v->mode = TOP_HELP;
                return TOP_REDRAW;
        case 'p':
        case ' ':
                v->paused = !v->paused;
                return TOP_REDRAW;
        case '/':
                return ask(v, TOP_SEARCH, "");
        case 'f':
        case '\\':
                return ask(v, TOP_FILTER, order->filter);
        case 'n':
                return find(v, m, v->selected + 1);
        case '+':
        case '-':
                return step_delay(v, key == '+');
        case TOP_KEY_UP:
        case 'k':
                return move(v, m, -1);
        case TOP_KEY_DOWN:
        case 'j':
                return move(v, m, 1);
        case TOP_KEY_PAGE_UP:
                return move(v, m, -page);
        case TOP_KEY_PAGE_DOWN:
                return move(v, m, page);
        case TOP_KEY_HOME:
                v->selected = 0;
                return TOP_REDRAW;
        case TOP_KEY_END:
                return move(v, m, (long)m->nrows);
        default:
                return key > 0 && key < 0x80 ? change_order(order, key) : TOP_NOTHING;
        }
}

enum top_action top_keys_click(struct top_view *v, struct top_order *order,
                               const struct top_model *m, const struct top_screen *s, int column,
                               int line)
{
        int sort;

        if (v->mode != TOP_TABLE)
                return TOP_NOTHING;
        if (s->head_line >= 0 && line == s->head_line) {
                sort = top_table_sort_at(m, v, order, column);
                return sort < 0 ? TOP_NOTHING : sort_by(order, (enum top_sort)sort);
        }
        if (s->first_line < 0 || line < s->first_line || line >= s->first_line + s->nrows)
                return TOP_NOTHING;
        v->selected = v->offset + (size_t)(line - s->first_line);
        return move(v, m, 0);
}

enum top_action top_keys_wheel(struct top_view *v, const struct top_model *m, int lines)
{
        return v->mode == TOP_TABLE ? move(v, m, lines) : TOP_NOTHING;
}
