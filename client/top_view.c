/* SPDX-License-Identifier: MIT */
#include "top_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "top_table.h"
#include "top_text.h"

#define MOST_NOTES 3
/* Columns of a socket's line beside its bar: "socket 0   43.8 W []", what add_watts() writes */
#define BAR_LABELS     59
#define DRAM_LABEL     11
#define BAR_MIN        8
#define BAR_MAX        60
#define MIN_FULL_BAR_W 1.0

/* ---- the machine ---- */

static void draw_first(struct top_text *t, const struct top_view *v, const struct top_model *m)
{
        char uptime[TEXT_NUMBER_MAX];

        top_text_style(t, TOP_BOLD);
        top_text_add(t, "energat top");
        top_text_style(t, TOP_PLAIN);
        top_text_add(t, "  up %s  ", text_duration(uptime, m->now.uptime_s));
        top_text_name(t, m->now.source, top_text_width(m->now.source));
        if (m->now.estimated)
                top_text_add(t, " (estimated: no meter)");
        top_text_add(t, "  %zu process%s  every %g s", m->now.nprocesses,
                     m->now.nprocesses == 1 ? "" : "es", v->delay_s);
        if (v->paused) {
                top_text_style(t, TOP_WARNING);
                top_text_add(t, "  PAUSED");
                top_text_style(t, TOP_PLAIN);
        }
}

/* Always of the same width, so that the bars do not jump. */
static void add_watts(struct top_text *t, const char *label, double watts)
{
        if (isnan(watts))
                top_text_add(t, " %s %5s", label, "?");
        else
                top_text_add(t, " %s %5.1f", label, watts);
}

static int part(double watts, double full_w, int width)
{
        return isnan(watts) || watts <= 0 ? 0 : (int)lround(watts / full_w * width);
}

/* Without a baseline all is dynamic. */
static double dynamic_w(const struct top_power *p)
{
        return p->all_w - (isnan(p->fixed_w) ? 0 : p->fixed_w);
}

static void draw_bar(struct top_text *t, const struct top_power *p, int width)
{
        static const char *const ascii[] = {"=", "#", "-"};
        static const char *const blocks[] = {"\xe2\x96\x92", "\xe2\x96\x88", "\xe2\x96\x91"};
        const char *const *glyphs = t->utf8 ? blocks : ascii;
        const double values[] = {p->fixed_w, isnan(p->unattributed_w) ? dynamic_w(p) : p->share_w,
                                 p->unattributed_w};
        const char styles[] = {TOP_STATIC, TOP_SHARE, TOP_REST};
        double full_w = p->most_w > MIN_FULL_BAR_W ? p->most_w : MIN_FULL_BAR_W;
        int left = width;

        top_text_add(t, "[");
        for (int i = 0; i < 3; i++) {
                int n = part(values[i], full_w, width);

                if (n > left)
                        n = left;
                top_text_style(t, styles[i]);
                top_text_repeat(t, glyphs[i], n);
                left -= n;
        }
        top_text_style(t, TOP_PLAIN);
        top_text_repeat(t, " ", left);
        top_text_add(t, "]");
}

static void draw_socket(struct top_text *t, const struct top_view *v, const struct top_power *p)
{
        int width = v->width - BAR_LABELS - (isnan(p->dram_w) ? 0 : DRAM_LABEL);
        char all[TEXT_NUMBER_MAX];

        top_text_add(t, "socket %d %8s ", p->socket,
                     isnan(p->all_w) ? "?" : text_quantity(all, p->all_w, "W"));
        if (width < BAR_MIN)
                width = BAR_MIN;
        else if (width > BAR_MAX)
                width = BAR_MAX;
        draw_bar(t, p, width);
        add_watts(t, "static", p->fixed_w);
        /* nothing but the sum is known to those who are not told what is unattributed */
        if (isnan(p->unattributed_w) && !isnan(p->all_w)) {
                add_watts(t, "dynamic", dynamic_w(p));
        } else {
                add_watts(t, "share", p->share_w);
                add_watts(t, "unattr.", p->unattributed_w);
        }
        if (!isnan(p->dram_w))
                add_watts(t, "dram", p->dram_w);
}

int top_view_machine(char (*lines)[TOP_LINE_MAX], int max, const struct top_view *v,
                     const struct top_model *m)
{
        unsigned int shown = 0, notes = m->now.nnotes < MOST_NOTES ? m->now.nnotes : MOST_NOTES;
        struct top_text t;
        int n = 0;

#define LINE() (t = top_text_on(lines[n++], TOP_LINE_MAX, v->width, v->utf8))
        if (n < max) {
                LINE();
                draw_first(&t, v, m);
        }
        if (m->now.own_only && n < max) {
                LINE();
                top_text_style(&t, TOP_DIM);
                top_text_add(&t, "your own processes (");
                top_text_name(&t, v->user, top_text_width(v->user));
                top_text_add(&t, "); root and group energat see all");
        }
        for (; shown < m->nsockets && n + 1 < max; shown++) {
                LINE();
                draw_socket(&t, v, &m->sockets[shown]);
        }
        if (shown < m->nsockets && n < max) {
                LINE();
                top_text_add(&t, "and %u more sockets", m->nsockets - shown);
        }
        for (unsigned int i = 0; i < notes && n < max; i++) {
                LINE();
                top_text_style(&t, TOP_WARNING);
                top_text_add(&t, "! ");
                top_text_name(&t, m->now.notes[i], top_text_width(m->now.notes[i]));
                if (i + 1 == notes && m->now.nnotes > notes && n < max) {
                        LINE();
                        top_text_style(&t, TOP_WARNING);
                        top_text_add(&t, "! and %u more: energat status", m->now.nnotes - notes);
                        break;
                }
        }
        if (v->trouble && n < max) {
                LINE();
                top_text_style(&t, TOP_WARNING);
                top_text_add(&t, "! ");
                top_text_name(&t, v->trouble, top_text_width(v->trouble));
        }
#undef LINE
        return n;
}

/* ---- the screen ---- */

static struct top_text next_line(struct top_screen *s, const struct top_view *v)
{
        int i = s->nlines < TOP_HEIGHT_MAX ? s->nlines++ : TOP_HEIGHT_MAX - 1;

        return top_text_on(s->lines[i], TOP_LINE_MAX,
                           v->width < TOP_WIDTH_MAX ? v->width : TOP_WIDTH_MAX, v->utf8);
}

static void draw_order(struct top_screen *s, const struct top_view *v, const struct top_model *m,
                       const struct top_order *order)
{
        bool filtered = order->group == TOP_PROCESSES && m->nrows < m->nall;
        size_t last = filtered ? m->nall : m->nrows;
        struct top_text t = next_line(s, v);

        top_text_style(&t, TOP_DIM);
        if (filtered)
                top_text_add(&t, "%zu of ", m->nrows);
        top_text_add(&t, "%zu row%s by %s%s", last, last == 1 ? "" : "s",
                     top_sort_name(order->sort), order->reverse ? ", reversed" : "");
        if (order->group != TOP_PROCESSES)
                top_text_add(&t, ", one for each %s", top_group_name(order->group));
        else if (order->tree)
                top_text_add(&t, ", tree");
        if (order->filter[0]) {
                top_text_add(&t, ", filter: ");
                top_text_name(&t, order->filter, top_text_width(order->filter));
        }
        if (order->user[0]) {
                top_text_add(&t, ", user: ");
                top_text_name(&t, order->user, top_text_width(order->user));
        }
}

static void draw_last(struct top_screen *s, const struct top_view *v)
{
        struct top_text t = next_line(s, v);

        if (v->mode == TOP_SEARCH || v->mode == TOP_FILTER) {
                top_text_style(&t, TOP_BOLD);
                top_text_add(&t, v->mode == TOP_SEARCH ? "search: " : "filter: ");
                top_text_name(&t, v->input, top_text_width(v->input));
                top_text_add(&t, "_  (Enter: take, Esc: leave)");
                return;
        }
        top_text_style(&t, TOP_DIM);
        top_text_add(&t, "q quit  ? help  s sort  r reverse  g group  t tree  f filter  / search  "
                         "p pause");
}

static void draw_help(struct top_screen *s, const struct top_view *v)
{
        static const char *const lines[] = {
                "energat top: which programs use power now",
                "",
                "  s, P E C N U M   sort: next column, power energy CPU pid user name",
                "  r                reverse the order",
                "  g                a row for each process, user, unit (control group), or target",
                "  t                tree of processes",
                "  f or \\           filter by a part of name, user or unit; empty: all",
                "  / and n          search, next match",
                "  p or space       pause, go on",
                "  + and -          longer, shorter time between two views",
                "  arrows, PgUp ..  move; mouse: click a column's head to sort by it",
                "  q                quit",
                "",
                "POWER W and ENERGY are shares: dynamic energy by CPU time, at every tick of the",
                "daemon; they add up to share in the sockets' lines.  ENERGY: since energatd",
                "began, or the process, or for a target since it has been followed (energat run,",
                "--pid).  NODES: CPU time by NUMA node, in percent.",
                "Bars: = static, # share, - unattributed; full is the most seen so far.",
        };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]) && s->nlines < v->height - 1; i++) {
                struct top_text t = next_line(s, v);

                top_text_add(&t, "%s", lines[i]);
        }
        while (s->nlines < v->height - 1)
                (void)next_line(s, v);
        {
                struct top_text t = next_line(s, v);

                top_text_style(&t, TOP_DIM);
                top_text_add(&t, "any key: back");
        }
}

static void scroll_to_selected(struct top_view *v, size_t nrows, size_t room)
{
        if (v->selected >= nrows)
                v->selected = nrows ? nrows - 1 : 0;
        if (v->offset > v->selected)
                v->offset = v->selected;
        if (room > 0 && v->selected >= v->offset + room)
                v->offset = v->selected - room + 1;
        if (v->offset + room > nrows)
                v->offset = nrows > room ? nrows - room : 0;
}

static void draw_table(struct top_screen *s, struct top_view *v, const struct top_model *m,
                       const struct top_order *order)
{
        struct top_text t = next_line(s, v);

        s->head_line = s->nlines - 1;
        top_text_style(&t, TOP_HEAD);
        top_table_head(&t, v, m, order);
        top_text_pad(&t, v->width);
        s->first_line = s->nlines;
        s->nrows = v->height - s->nlines - 1;
        scroll_to_selected(v, m->nrows, s->nrows > 0 ? (size_t)s->nrows : 0);
        for (int i = 0; i < s->nrows; i++) {
                size_t at = v->offset + (size_t)i;

                t = next_line(s, v);
                if (i == 0 && m->nrows == 0 && order->group == TOP_TARGETS && !order->filter[0])
                        top_text_add(&t, "nothing is being followed: energat run, --pid and record "
                                         "make targets");
                if (at >= m->nrows)
                        continue;
                if (at == v->selected)
                        top_text_style(&t, TOP_SELECTED);
                top_table_row(&t, v, m, order, &m->rows[at]);
                if (at == v->selected)
                        top_text_pad(&t, v->width);
        }
}

void top_view_draw(struct top_screen *s, struct top_view *v, const struct top_model *m,
                   const struct top_order *order)
{
        struct top_text t;

        s->nlines = 0;
        s->head_line = s->first_line = -1;
        s->nrows = 0;
        if (v->width < TOP_MIN_WIDTH || v->height < TOP_MIN_HEIGHT) {
                t = next_line(s, v);
                top_text_add(&t, "terminal too small");
                if (v->height > 1) {
                        t = next_line(s, v);
                        top_text_add(&t, "%dx%d, needs %dx%d", v->width, v->height, TOP_MIN_WIDTH,
                                     TOP_MIN_HEIGHT);
                }
                return;
        }
        if (v->mode == TOP_HELP) {
                draw_help(s, v);
                return;
        }
        /* no more than half of the screen: the rows are what people come for */
        s->nlines = top_view_machine(s->lines, v->height / 2 - 1, v, m);
        draw_order(s, v, m, order);
        draw_table(s, v, m, order);
        draw_last(s, v);
}

void top_view_strip(char *line)
{
        char *to = line;

        for (const char *from = line; *from; from++) {
                if (*from == TOP_STYLE && from[1]) {
                        from++;
                        continue;
                }
                *to++ = *from;
        }
        *to = '\0';
}
