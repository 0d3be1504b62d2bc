/* SPDX-License-Identifier: MIT */
#include "top_batch.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "number.h"
#include "text.h"
#include "top_table.h"

#define MACHINE_LINES 64
#define DIGITS        15 /* of numbers in JSON: what is behind them is noise of differences */

int top_batch_text(FILE *out, const struct top_model *m, const struct top_order *order,
                   const struct top_view *v)
{
        char(*lines)[TOP_LINE_MAX] = calloc(MACHINE_LINES, TOP_LINE_MAX);
        char line[TOP_LINE_MAX];
        int n;

        if (!lines)
                return -ENOMEM;
        n = top_view_machine(lines, MACHINE_LINES, v, m);
        for (int i = 0; i < n; i++) {
                top_view_strip(lines[i]);
                fprintf(out, "%s\n", lines[i]);
        }
        free(lines);
        top_table_head_text(line, v, m, order);
        fprintf(out, "\n%s\n", line);
        for (size_t i = 0; i < m->nrows; i++) {
                top_table_row_text(line, v, m, order, &m->rows[i]);
                fprintf(out, "%s\n", line);
        }
        return 0;
}

/* ---- JSON ---- */

/* Of the kernel's and users' names nobody promises UTF-8. */
static json_t *text_or_null(const char *text)
{
        char *copy = text ? text_to_utf8(text) : NULL;
        json_t *string = copy ? json_string(copy) : json_null();

        free(copy);
        return string;
}

static json_t *nodes_json(const struct top_row *row, unsigned int nnodes)
{
        json_t *array;

        if (nnodes < 2 || isnan(row->node_percent[0]))
                return json_null();
        array = json_array();
        for (unsigned int i = 0; i < nnodes; i++)
                json_array_append_new(array, json_real(row->node_percent[i]));
        return array;
}

static json_t *row_json(const struct top_row *row, const struct top_model *m, enum top_group group)
{
        bool process = group == TOP_PROCESSES, target = group == TOP_TARGETS;

        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:i, s:o, s:o, s:o, s:o}", "pid",
                         (process || target) && row->pid ? json_integer(row->pid) : json_null(),
                         "ppid", process && row->ppid ? json_integer(row->ppid) : json_null(),
                         "name", text_or_null(row->name), "user", text_or_null(row->user), "unit",
                         text_or_null(row->unit), "kernel", row->kernel, "threads",
                         (int)row->threads, "processes", (int)row->processes, "power_w",
                         number_json(row->power_w), "energy_j", number_json(row->energy_j),
                         "cpu_percent", number_json(row->cpu_percent), "node_percent",
                         nodes_json(row, m->nnodes));
}

static json_t *sockets_json(const struct top_model *m)
{
        json_t *array = json_array();

        for (unsigned int i = 0; i < m->nsockets; i++) {
                const struct top_power *p = &m->sockets[i];

                json_array_append_new(array,
                                      json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "socket",
                                                p->socket, "power_w", number_json(p->all_w),
                                                "static_w", number_json(p->fixed_w), "share_w",
                                                number_json(p->share_w), "unattributed_w",
                                                number_json(p->unattributed_w), "dram_w",
                                                number_json(p->dram_w)));
        }
        return array;
}

int top_batch_json(FILE *out, const struct top_model *m, const struct top_order *order)
{
        json_auto_t *object = NULL;
        json_t *rows = json_array(), *nodes = json_array(), *warnings = json_array();

        for (size_t i = 0; i < m->nrows; i++)
                json_array_append_new(rows, row_json(&m->rows[i], m, order->group));
        for (unsigned int i = 0; i < m->nnodes; i++)
                json_array_append_new(nodes, json_integer(m->now.nodes[i]));
        for (unsigned int i = 0; i < m->now.nnotes; i++)
                json_array_append_new(warnings, text_or_null(m->now.notes[i]));
        object = json_pack("{s:s, s:b, s:f, s:f, s:o, s:b, s:s, s:o, s:o, s:o, s:o}", "source",
                           m->now.source, "estimated", m->now.estimated, "time", clock_realtime_s(),
                           "uptime_s", m->now.uptime_s, "interval_s", number_json(m->interval_s),
                           "own_only", m->now.own_only, "group", top_group_name(order->group),
                           "nodes", nodes, "sockets", sockets_json(m), "rows", rows, "warnings",
                           warnings);
        if (!object)
                return -ENOMEM;
        if (json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)) < 0)
                return -EIO;
        fputc('\n', out);
        return 0;
}
