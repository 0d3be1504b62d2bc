/* SPDX-License-Identifier: MIT */
#include "top_model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top_tree.h"

#define EXITED "(exited)"

static const char *const sort_names[TOP_SORTS] = {"power", "energy", "cpu", "pid", "user", "name"};
static const char *const group_names[TOP_GROUPS] = {"process", "user", "unit", "target"};

static int index_of(const char *const *names, int n, const char *name)
{
        for (int i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0)
                        return i;
        return -1;
}

int top_sort_of(const char *name)
{
        return index_of(sort_names, TOP_SORTS, name);
}

int top_group_of(const char *name)
{
        return index_of(group_names, TOP_GROUPS, name);
}

const char *top_sort_name(enum top_sort sort)
{
        return sort_names[sort];
}

const char *top_group_name(enum top_group group)
{
        return group_names[group];
}

void top_model_deinit(struct top_model *m)
{
        top_snapshot_deinit(&m->now);
        free(m->all);
        free(m->targets);
        free(m->rows);
        *m = (struct top_model){0};
}

/* ---- two looks ---- */

static bool is_same(const struct top_process *a, const struct top_process *b)
{
        return a->pid == b->pid && a->start_s == b->start_s;
}

/* Sums never fall; rounding in the last digit of JSON is no reason to show -0.0 W. */
static double rate(double now, double before, double interval_s)
{
        double difference = now - before;

        if (isnan(interval_s))
                return NAN;
        return (difference > 0 ? difference : difference <= 0 ? 0 : NAN) / interval_s;
}

static void set_nodes(struct top_row *row, unsigned int n)
{
        double sum = 0;

        for (unsigned int i = 0; i < n; i++)
                sum += row->node_s[i];
        for (unsigned int i = 0; i < n; i++)
                row->node_percent[i] = sum > 0 ? 100 * row->node_s[i] / sum : NAN;
}

static void compare_nodes(struct top_row *row, const double *now_s, const double *before_s,
                          double interval_s, unsigned int nnodes)
{
        for (unsigned int i = 0; i < nnodes; i++) {
                double used_s = now_s[i] - (before_s ? before_s[i] : 0);

                row->node_s[i] = used_s > 0 && !isnan(interval_s) ? used_s : 0;
        }
        set_nodes(row, nnodes);
}

/* `before` is NULL for one that was born since. */
static struct top_row row_of(const struct top_process *p, const struct top_process *before,
                             double interval_s, unsigned int nnodes)
{
        struct top_row row = {.pid = p->pid,
                              .ppid = p->ppid,
                              .name = p->comm,
                              .user = p->user,
                              .unit = p->unit,
                              .kernel = p->kernel,
                              .threads = p->threads,
                              .processes = 1,
                              .energy_j = p->energy_j};

        row.power_w = rate(p->energy_j, before ? before->energy_j : 0, interval_s);
        row.cpu_percent = 100 * rate(p->cpu_s, before ? before->cpu_s : 0, interval_s);
        compare_nodes(&row, p->node_cpu_s, before ? before->node_cpu_s : NULL, interval_s, nnodes);
        return row;
}

/* The same of a target: it was followed from the moment at which it is first seen here. */
static struct top_row row_of_target(const struct top_target *t, const struct top_target *before,
                                    double interval_s, unsigned int nnodes)
{
        struct top_row row = {.pid = t->pid,
                              .name = t->name,
                              .user = t->user,
                              .threads = t->threads,
                              .processes = t->processes,
                              .energy_j = t->energy_j};

        row.power_w = rate(t->energy_j, before ? before->energy_j : 0, interval_s);
        row.cpu_percent = 100 * rate(t->cpu_s, before ? before->cpu_s : 0, interval_s);
        compare_nodes(&row, t->node_cpu_s, before ? before->node_cpu_s : NULL, interval_s, nnodes);
        return row;
}

static void compare_targets(struct top_row *rows, const struct top_snapshot *now,
                            const struct top_snapshot *before, double interval_s)
{
        size_t old = 0;

        for (size_t i = 0; i < now->ntargets; i++) {
                const struct top_target *t = &now->targets[i], *was = NULL;

                while (old < before->ntargets && before->targets[old].id < t->id)
                        old++;
                if (old < before->ntargets && before->targets[old].id == t->id)
                        was = &before->targets[old];
                rows[i] = row_of_target(t, was, interval_s, now->nnodes);
        }
}

/* What those used since who have gone: what all that have gone used, without what was there of them
 * before. */
static struct top_row row_of_exited(const struct top_snapshot *now,
                                    const struct top_snapshot *before, double gone_j, double gone_s,
                                    double interval_s)
{
        struct top_row row = {.name = EXITED, .user = "", .unit = "", .energy_j = now->exited_j};

        row.power_w = rate(now->exited_j, before->exited_j + gone_j, interval_s);
        row.cpu_percent = 100 * rate(now->exited_cpu_s, before->exited_cpu_s + gone_s, interval_s);
        set_nodes(&row, now->nnodes);
        return row;
}

static void compare_processes(struct top_row *rows, size_t *nrows, struct top_snapshot *now,
                              const struct top_snapshot *before, double interval_s)
{
        double gone_j = 0, gone_s = 0;
        size_t old = 0, n = 0;

        for (size_t i = 0; i < now->nprocesses; i++) {
                struct top_process *p = &now->processes[i];
                const struct top_process *was = NULL;

                for (; old < before->nprocesses && before->processes[old].pid <= p->pid; old++) {
                        if (is_same(&before->processes[old], p)) {
                                was = &before->processes[old];
                        } else {
                                gone_j += before->processes[old].energy_j;
                                gone_s += before->processes[old].cpu_s;
                        }
                }
                if (was && !p->user)
                        p->user = was->user;
                if (was && !p->unit)
                        p->unit = was->unit;
                rows[n++] = row_of(p, was, interval_s, now->nnodes);
        }
        for (; old < before->nprocesses; old++) {
                gone_j += before->processes[old].energy_j;
                gone_s += before->processes[old].cpu_s;
        }
        if (!isnan(now->exited_j))
                rows[n++] = row_of_exited(now, before, gone_j, gone_s, interval_s);
        *nrows = n;
}

static double most_before(const struct top_model *m, int socket)
{
        for (unsigned int i = 0; i < m->nsockets; i++)
                if (m->sockets[i].socket == socket)
                        return m->sockets[i].most_w;
        return 0;
}

static const struct top_socket *socket_in(const struct top_snapshot *s, int socket)
{
        for (unsigned int i = 0; i < s->nsockets; i++)
                if (s->sockets[i].socket == socket)
                        return &s->sockets[i];
        return NULL;
}

static struct top_power power_of(const struct top_socket *now, const struct top_socket *before,
                                 double interval_s)
{
        struct top_power p = {.socket = now->socket, .all_w = now->all};

        if (now->is_power) {
                p.fixed_w = now->fixed;
                p.unattributed_w = now->unattributed;
                p.dram_w = now->dram;
        } else if (before) {
                p.all_w = rate(now->all, before->all, interval_s);
                p.fixed_w = rate(now->fixed, before->fixed, interval_s);
                p.unattributed_w = rate(now->unattributed, before->unattributed, interval_s);
                p.dram_w = rate(now->dram, before->dram, interval_s);
        } else {
                p.all_w = p.fixed_w = p.unattributed_w = p.dram_w = NAN;
        }
        /* without a baseline all is dynamic */
        p.share_w = p.all_w - (isnan(p.fixed_w) ? 0 : p.fixed_w) - p.unattributed_w;
        if (p.share_w < 0)
                p.share_w = 0;
        return p;
}

static void compare_sockets(struct top_model *m, const struct top_snapshot *now,
                            const struct top_snapshot *before, double interval_s)
{
        struct top_power sockets[TOP_MAX_SOCKETS] = {{0}};

        for (unsigned int i = 0; i < now->nsockets; i++) {
                sockets[i] = power_of(&now->sockets[i], socket_in(before, now->sockets[i].socket),
                                      interval_s);
                sockets[i].most_w = most_before(m, now->sockets[i].socket);
                if (sockets[i].all_w > sockets[i].most_w)
                        sockets[i].most_w = sockets[i].all_w;
        }
        memcpy(m->sockets, sockets, now->nsockets * sizeof(sockets[0]));
        m->nsockets = now->nsockets;
}

int top_model_update(struct top_model *m, struct top_snapshot *next)
{
        static const struct top_snapshot nothing = {0};
        const struct top_snapshot *before = m->now.processes ? &m->now : &nothing;
        double interval_s = NAN;
        struct top_row *all, *targets;

        if (before->processes && next->uptime_s == before->uptime_s) {
                top_snapshot_deinit(next);
                return 0;
        }
        if (before->processes && next->uptime_s > before->uptime_s)
                interval_s = next->uptime_s - before->uptime_s;
        all = calloc(next->nprocesses + 1, sizeof(all[0]));
        targets = calloc(next->ntargets + 1, sizeof(targets[0]));
        if (!all || !targets) {
                free(all);
                free(targets);
                top_snapshot_deinit(next);
                return -ENOMEM;
        }
        free(m->all);
        free(m->targets);
        m->all = all;
        m->targets = targets;
        m->nrows = 0;
        compare_processes(m->all, &m->nall, next, before, interval_s);
        compare_targets(m->targets, next, before, interval_s);
        compare_sockets(m, next, before, interval_s);
        m->interval_s = interval_s;
        m->nnodes = next->nnodes;
        top_snapshot_deinit(&m->now);
        m->now = *next;
        *next = nothing;
        return 0;
}

/* ---- what is shown ---- */

bool top_row_matches(const struct top_row *row, const char *text)
{
        return strcasestr(row->name, text) || (row->user && strcasestr(row->user, text)) ||
               (row->unit && strcasestr(row->unit, text));
}

static bool is_wanted(const struct top_row *row, const struct top_order *order)
{
        if (order->user[0] && (!row->user || strcmp(row->user, order->user) != 0))
                return false;
        return !order->filter[0] || top_row_matches(row, order->filter);
}

/* The larger first; what is not known behind all that is. */
static int by_number(double a, double b)
{
        if (isnan(a) || isnan(b))
                return isnan(a) - isnan(b);
        return (a < b) - (a > b);
}

static int by_text(const char *a, const char *b)
{
        return strcasecmp(a ? a : "", b ? b : "");
}

/* The larger number first, the smaller text and pid. */
static int compare(const struct top_row *a, const struct top_row *b, const struct top_order *order)
{
        int r = 0;

        switch (order->sort) {
        case TOP_POWER:
                r = by_number(a->power_w, b->power_w);
                break;
        case TOP_ENERGY:
                r = by_number(a->energy_j, b->energy_j);
                break;
        case TOP_CPU:
                r = by_number(a->cpu_percent, b->cpu_percent);
                break;
        case TOP_USER:
                r = by_text(a->user, b->user);
                break;
        case TOP_NAME:
                r = by_text(a->name, b->name);
                break;
        default:
                break;
        }
        if (order->reverse)
                r = -r;
        if (r == 0 && order->sort != TOP_PID)
                r = by_number(a->energy_j, b->energy_j);
        if (r != 0)
                return r;
        r = (a->pid > b->pid) - (a->pid < b->pid);
        return order->sort == TOP_PID && order->reverse ? -r : r;
}

static int compare_rows(const void *a, const void *b, void *order)
{
        return compare(a, b, order);
}

/* What a process is counted under: its user or unit, or nobody's. */
static const char *group_key(const struct top_row *row, enum top_group group)
{
        const char *key = group == TOP_USERS ? row->user : row->unit;

        if (strcmp(row->name, EXITED) == 0 && row->processes == 0)
                return EXITED;
        return key && key[0] ? key : "?";
}

struct keyed {
        const char *key;
        const struct top_row *row;
};

static int by_key(const void *a, const void *b)
{
        return strcmp(((const struct keyed *)a)->key, ((const struct keyed *)b)->key);
}

static double sum_of(double a, double b)
{
        return isnan(a) ? b : isnan(b) ? a : a + b;
}

static void add_to_group(struct top_row *sum, const struct top_row *row, unsigned int nnodes)
{
        sum->threads += row->threads;
        sum->processes += row->processes;
        sum->power_w = sum_of(sum->power_w, row->power_w);
        sum->cpu_percent = sum_of(sum->cpu_percent, row->cpu_percent);
        sum->energy_j = sum_of(sum->energy_j, row->energy_j);
        for (unsigned int i = 0; i < nnodes; i++)
                sum->node_s[i] += row->node_s[i];
}

/* m->rows holds the processes that are wanted: put in their stead one row for each group. */
static int fold(struct top_model *m, enum top_group group)
{
        struct keyed *keyed = calloc(m->nrows ? m->nrows : 1, sizeof(keyed[0]));
        struct top_row *rows = calloc(m->nrows ? m->nrows : 1, sizeof(rows[0]));
        size_t n = 0;

        if (!keyed || !rows) {
                free(keyed);
                free(rows);
                return -ENOMEM;
        }
        for (size_t i = 0; i < m->nrows; i++)
                keyed[i] = (struct keyed){group_key(&m->rows[i], group), &m->rows[i]};
        qsort(keyed, m->nrows, sizeof(keyed[0]), by_key);
        for (size_t i = 0; i < m->nrows; i++) {
                if (n == 0 || strcmp(rows[n - 1].name, keyed[i].key) != 0)
                        rows[n++] = (struct top_row){
                                .name = keyed[i].key,
                                .user = group == TOP_USERS ? keyed[i].key : NULL,
                                .unit = group == TOP_UNITS ? keyed[i].key : NULL,
                                .power_w = NAN,
                                .cpu_percent = NAN,
                                .energy_j = NAN,
                        };
                add_to_group(&rows[n - 1], keyed[i].row, m->nnodes);
        }
        for (size_t i = 0; i < n; i++)
                set_nodes(&rows[i], m->nnodes);
        free(keyed);
        free(m->rows);
        m->rows = rows;
        m->nrows = n;
        return 0;
}

/* ---- in order ---- */

static void take_processes(struct top_model *m, const struct top_order *order)
{
        for (size_t i = 0; i < m->nall; i++) {
                struct top_row *row = &m->all[i];

                if (i < m->now.nprocesses) {
                        row->user = m->now.processes[i].user;
                        row->unit = m->now.processes[i].unit;
                }
                if (is_wanted(row, order))
                        m->rows[m->nrows++] = *row;
        }
}

static void take_targets(struct top_model *m, const struct top_order *order)
{
        for (size_t i = 0; i < m->now.ntargets; i++) {
                m->targets[i].user = m->now.targets[i].user;
                if (is_wanted(&m->targets[i], order))
                        m->rows[m->nrows++] = m->targets[i];
        }
}

int top_model_arrange(struct top_model *m, const struct top_order *order)
{
        size_t room = order->group == TOP_TARGETS ? m->now.ntargets : m->nall;
        struct top_row *rows = calloc(room + 1, sizeof(rows[0]));
        int r = 0;

        if (!rows)
                return -ENOMEM;
        free(m->rows);
        m->rows = rows;
        m->nrows = 0;
        if (order->group == TOP_TARGETS)
                take_targets(m, order);
        else
                take_processes(m, order);
        if (order->group == TOP_USERS || order->group == TOP_UNITS)
                r = fold(m, order->group);
        if (r == 0)
                qsort_r(m->rows, m->nrows, sizeof(m->rows[0]), compare_rows, (void *)order);
        if (r == 0 && order->tree && order->group == TOP_PROCESSES)
                r = top_tree_make(&m->rows, m->nrows);
        return r;
}
