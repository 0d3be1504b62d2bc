/* SPDX-License-Identifier: MIT */
#include "top_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* Columns */
#define PID_WIDTH    8
#define USER_WIDTH   9
#define POWER_WIDTH  10
#define ENERGY_WIDTH 9
#define CPU_WIDTH    7
#define NODE_WIDTH   4 /* "100/" */
#define NODES_APART  4 /* on more nodes only the one with most is named */
#define COUNT_WIDTH  6
#define UNIT_WIDTH   26
/* From here on there is room for the unit, too. */
#define WIDE        110
#define INDENT      2
#define MOST_INDENT 30

enum column {
        COLUMN_PID,
        COLUMN_USER,
        COLUMN_POWER,
        COLUMN_ENERGY,
        COLUMN_CPU,
        COLUMN_NODES,
        COLUMN_COUNT,
        COLUMN_UNIT,
        COLUMN_NAME,
        COLUMNS
};

struct layout {
        int width[COLUMNS]; /* 0: not shown */
};

static struct layout layout_of(const struct top_view *v, const struct top_model *m,
                               const struct top_order *order)
{
        bool processes = order->group == TOP_PROCESSES;
        struct layout l = {{0}};
        int used = 0;

        l.width[COLUMN_POWER] = POWER_WIDTH;
        l.width[COLUMN_ENERGY] = ENERGY_WIDTH;
        l.width[COLUMN_CPU] = CPU_WIDTH;
        if (m->nnodes > 1)
                l.width[COLUMN_NODES] = m->nnodes <= NODES_APART ? NODE_WIDTH * (int)m->nnodes + 1
                                                                 : NODE_WIDTH * 2 + 2;
        if (processes) {
                l.width[COLUMN_PID] = PID_WIDTH;
                l.width[COLUMN_USER] = USER_WIDTH;
                if (v->width >= WIDE)
                        l.width[COLUMN_UNIT] = UNIT_WIDTH;
        } else {
                l.width[COLUMN_COUNT] = COUNT_WIDTH;
        }
        if (order->group == TOP_TARGETS) {
                l.width[COLUMN_PID] = PID_WIDTH;
                l.width[COLUMN_USER] = USER_WIDTH;
        }
        for (int i = 0; i < COLUMN_NAME; i++)
                used += l.width[i];
        l.width[COLUMN_NAME] = v->width > used ? v->width - used : 0;
        return l;
}

static const char *title_of(enum column column, enum top_group group)
{
        static const char *const titles[COLUMNS] = {"PID",   "USER",  "POWER W", "ENERGY", "CPU %",
                                                    "NODES", "PROCS", "UNIT",    "NAME"};

        static const char *const names[TOP_GROUPS] = {"NAME", "USER", "UNIT", "TARGET"};

        return column == COLUMN_NAME ? names[group] : titles[column];
}

static int sort_of_column(enum column column)
{
        static const int sorts[COLUMNS] = {TOP_PID, TOP_USER, TOP_POWER, TOP_ENERGY, TOP_CPU,
                                           -1,      -1,       -1,        TOP_NAME};

        return sorts[column];
}

static bool is_left(enum column column)
{
        return column == COLUMN_USER || column == COLUMN_UNIT || column == COLUMN_NAME;
}

static void draw_head(struct top_text *t, const struct layout *l, const struct top_order *order)
{
        for (int i = 0; i < COLUMNS; i++) {
                const char *title = title_of(i, order->group);
                bool sorted = sort_of_column(i) == (int)order->sort;
                int width = l->width[i];

                if (width == 0)
                        continue;
                if (sorted)
                        top_text_style(t, TOP_BOLD);
                if (is_left(i))
                        top_text_add(t, " %-*s", width - 1, title);
                else
                        top_text_add(t, "%*s", width, title);
                if (sorted)
                        top_text_style(t, TOP_HEAD);
        }
}

static void draw_nodes(struct top_text *t, int width, const struct top_row *row,
                       unsigned int nnodes, const int *nodes)
{
        char text[TOP_MAX_NODES * 8] = "-";
        unsigned int most = 0;
        size_t used = 0;

        if (isnan(row->node_percent[0])) {
                top_text_add(t, "%*s", width, text);
                return;
        }
        for (unsigned int i = 0; i < nnodes; i++) {
                if (row->node_percent[i] > row->node_percent[most])
                        most = i;
                if (nnodes <= NODES_APART)
                        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.0f",
                                                 i ? "/" : "", row->node_percent[i]);
        }
        if (nnodes > NODES_APART)
                snprintf(text, sizeof(text), "%d:%.0f%%", nodes[most], row->node_percent[most]);
        top_text_add(t, "%*s", width, text);
}

static void draw_number(struct top_text *t, int width, int decimals, double value)
{
        if (isnan(value))
                top_text_add(t, "%*s", width, "-");
        else
                top_text_add(t, "%*.*f", width, decimals, value);
}

static void draw_row(struct top_text *t, const struct layout *l, const struct top_model *m,
                     const struct top_row *row)
{
        char energy[TEXT_NUMBER_MAX];
        int indent = row->depth * INDENT > MOST_INDENT ? MOST_INDENT : (int)row->depth * INDENT;

        if (l->width[COLUMN_PID]) {
                if (row->pid)
                        top_text_add(t, "%*lld", l->width[COLUMN_PID], row->pid);
                else
                        top_text_add(t, "%*s", l->width[COLUMN_PID], "");
        }
        if (l->width[COLUMN_USER]) {
                top_text_add(t, " ");
                top_text_name(t, row->user ? row->user : "?", l->width[COLUMN_USER] - 1);
        }
        draw_number(t, l->width[COLUMN_POWER], 3, row->power_w);
        top_text_add(t, "%*s", l->width[COLUMN_ENERGY], text_quantity(energy, row->energy_j, "J"));
        draw_number(t, l->width[COLUMN_CPU], 1, row->cpu_percent);
        if (l->width[COLUMN_NODES])
                draw_nodes(t, l->width[COLUMN_NODES], row, m->nnodes, m->now.nodes);
        if (l->width[COLUMN_COUNT])
                top_text_add(t, "%*u", l->width[COLUMN_COUNT], row->processes);
        if (l->width[COLUMN_UNIT]) {
                top_text_add(t, " ");
                top_text_name(t, row->unit ? row->unit : "?", l->width[COLUMN_UNIT] - 1);
        }
        top_text_add(t, " %*s", indent, "");
        if (row->kernel)
                top_text_add(t, "[");
        top_text_name(t, row->name, top_text_width(row->name));
        if (row->kernel)
                top_text_add(t, "]");
}

int top_table_sort_at(const struct top_model *m, const struct top_view *v,
                      const struct top_order *order, int column)
{
        struct layout l = layout_of(v, m, order);
        int right = 0;

        for (int i = 0; i < COLUMNS; i++) {
                right += l.width[i];
                if (column < right)
                        return sort_of_column(i);
        }
        return -1;
}

static void cut_blanks(char *line)
{
        size_t length = strlen(line);

        while (length > 0 && line[length - 1] == ' ')
                line[--length] = '\0';
}

void top_table_head(struct top_text *t, const struct top_view *v, const struct top_model *m,
                    const struct top_order *order)
{
        struct layout l = layout_of(v, m, order);

        draw_head(t, &l, order);
}

void top_table_row(struct top_text *t, const struct top_view *v, const struct top_model *m,
                   const struct top_order *order, const struct top_row *row)
{
        struct layout l = layout_of(v, m, order);

        draw_row(t, &l, m, row);
}

void top_table_head_text(char line[TOP_LINE_MAX], const struct top_view *v,
                         const struct top_model *m, const struct top_order *order)
{
        struct top_text t = top_text_on(line, TOP_LINE_MAX, v->width, v->utf8);

        top_table_head(&t, v, m, order);
        top_view_strip(line);
        cut_blanks(line);
}

void top_table_row_text(char line[TOP_LINE_MAX], const struct top_view *v,
                        const struct top_model *m, const struct top_order *order,
                        const struct top_row *row)
{
        struct top_text t = top_text_on(line, TOP_LINE_MAX, v->width, v->utf8);

        top_table_row(&t, v, m, order, row);
        cut_blanks(line);
}
