/* SPDX-License-Identifier: MIT */
#include "top_snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "report.h"

static double number(const json_t *object, const char *key)
{
        return number_of(json_object_get(object, key));
}

static double both(const json_t *object, const char *package, const char *dram)
{
        return number_plus(number(object, package), number(object, dram));
}

static void parse_nodes(double *to, unsigned int nnodes, const json_t *row, double cpu_s)
{
        const json_t *nodes = json_object_get(row, "node_cpu_s");

        for (unsigned int i = 0; i < nnodes; i++)
                to[i] = json_is_array(nodes) ? json_number_value(json_array_get(nodes, i)) : cpu_s;
}

static int parse_process(struct top_process *p, const json_t *row, unsigned int nnodes)
{
        const json_t *pid = json_object_get(row, "pid"), *comm = json_object_get(row, "comm");
        const json_t *share = json_object_get(row, "share");

        if (!json_is_integer(pid) || !json_is_string(comm))
                return -EPROTO;
        *p = (struct top_process){
                .pid = json_integer_value(pid),
                .ppid = json_integer_value(json_object_get(row, "ppid")),
                .start_s = number(row, "start_s"),
                .kernel = json_is_true(json_object_get(row, "kernel")),
                .threads = (unsigned int)json_integer_value(json_object_get(row, "threads")),
                .cpu_s = number(row, "cpu_s"),
                .package_j = number(share, "package_j"),
                .dram_j = number(share, "dram_j"),
        };
        p->energy_j = number_plus(p->package_j, p->dram_j);
        snprintf(p->comm, sizeof(p->comm), "%s", json_string_value(comm));
        parse_nodes(p->node_cpu_s, nnodes, row, p->cpu_s);
        return 0;
}

static int by_pid(const void *a, const void *b)
{
        const struct top_process *left = a, *right = b;

        return (left->pid > right->pid) - (left->pid < right->pid);
}

/* The process of that pid, as it was but for the energy of its memory. */
static int take_unchanged(struct top_process *p, const json_t *pid, const json_t *dram_j,
                          const struct top_snapshot *before)
{
        const struct top_process wanted = {.pid = json_integer_value(pid)}, *was = NULL;

        if (before && before->nprocesses)
                was = bsearch(&wanted, before->processes, before->nprocesses, sizeof(wanted),
                              by_pid);
        if (!was)
                return -EPROTO;
        *p = *was;
        if (json_is_number(dram_j)) {
                p->dram_j = json_number_value(dram_j);
                p->energy_j = number_plus(p->package_j, p->dram_j);
        }
        return 0;
}

static int parse_processes(struct top_snapshot *s, const json_t *answer,
                           const struct top_snapshot *before)
{
        const json_t *rows = json_object_get(answer, "rows");
        const json_t *unchanged = json_object_get(answer, "unchanged");
        const json_t *dram_j = json_object_get(answer, "unchanged_dram_j");
        size_t n = json_array_size(rows), same = json_array_size(unchanged);
        int r = 0;

        s->processes = calloc(n + same + 1, sizeof(s->processes[0]));
        if (!s->processes)
                return -ENOMEM;
        for (size_t i = 0; i < n && r == 0; i++)
                r = parse_process(&s->processes[i], json_array_get(rows, i), s->nnodes);
        for (size_t i = 0; i < same && r == 0; i++)
                r = take_unchanged(&s->processes[n + i], json_array_get(unchanged, i),
                                   json_array_get(dram_j, i), before);
        if (r < 0)
                return r;
        s->nprocesses = n + same;
        qsort(s->processes, s->nprocesses, sizeof(s->processes[0]), by_pid);
        return 0;
}

static int by_id(const void *a, const void *b)
{
        const struct top_target *left = a, *right = b;

        return (left->id > right->id) - (left->id < right->id);
}

/* A daemon that is older than this client tells of none. */
static int parse_targets(struct top_snapshot *s, const json_t *targets)
{
        size_t n = json_array_size(targets);

        s->targets = calloc(n + 1, sizeof(s->targets[0]));
        if (!s->targets)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const json_t *from = json_array_get(targets, i);
                struct top_target *t = &s->targets[i];

                *t = (struct top_target){
                        .id = report_integer(from, "target"),
                        .pid = report_integer(from, "pid"),
                        .uid = (unsigned int)report_integer(from, "uid"),
                        .processes = (unsigned int)report_integer(from, "processes"),
                        .threads = (unsigned int)report_integer(from, "threads"),
                        .cpu_s = number(from, "cpu_s"),
                        .energy_j = both(json_object_get(from, "share"), "package_j", "dram_j"),
                };
                snprintf(t->name, sizeof(t->name), "%s", report_string(from, "name"));
                parse_nodes(t->node_cpu_s, s->nnodes, from, t->cpu_s);
        }
        s->ntargets = n;
        qsort(s->targets, n, sizeof(s->targets[0]), by_id);
        return 0;
}

/* Joules of each socket since the daemon started. */
static void parse_sums(struct top_snapshot *s, const json_t *sockets)
{
        const json_t *entry;
        size_t i;

        json_array_foreach(sockets, i, entry)
        {
                const json_t *machine = json_object_get(entry, "machine");
                const json_t *rest = json_object_get(entry, "unattributed");

                if (s->nsockets == TOP_MAX_SOCKETS)
                        return;
                s->sockets[s->nsockets++] = (struct top_socket){
                        .socket = (int)json_integer_value(json_object_get(entry, "socket")),
                        .all = both(machine, "package_j", "dram_j"),
                        .dram = number(machine, "dram_j"),
                        .fixed = both(machine, "static_package_j", "static_dram_j"),
                        .unattributed = both(rest, "package_j", "dram_j"),
                };
        }
}

static struct top_socket *socket_of(struct top_snapshot *s, int socket)
{
        for (unsigned int i = 0; i < s->nsockets; i++)
                if (s->sockets[i].socket == socket)
                        return &s->sockets[i];
        if (s->nsockets == TOP_MAX_SOCKETS)
                return NULL;
        s->sockets[s->nsockets] = (struct top_socket){.socket = socket,
                                                      .is_power = true,
                                                      .all = NAN,
                                                      .dram = NAN,
                                                      .fixed = NAN,
                                                      .unattributed = NAN};
        return &s->sockets[s->nsockets++];
}

/* Watts of each socket over the last whole second, as everybody is told. */
static void parse_power(struct top_snapshot *s, const json_t *domains)
{
        const json_t *domain;
        size_t i;

        json_array_foreach(domains, i, domain)
        {
                const char *kind = report_string(domain, "kind");
                double power_w = number(domain, "power_w"), base_w = number(domain, "base_w");
                bool package = strcmp(kind, "package") == 0, dram = strcmp(kind, "dram") == 0;
                const json_t *socket = json_object_get(domain, "socket");
                struct top_socket *to;

                if ((!package && !dram) || !json_is_integer(socket))
                        continue;
                to = socket_of(s, (int)json_integer_value(socket));
                if (!to)
                        return;
                if (dram)
                        to->dram = number_plus(to->dram, power_w);
                to->all = number_plus(to->all, power_w);
                to->fixed = number_plus(to->fixed, base_w > power_w ? power_w : base_w);
        }
}

static void add_note(struct top_snapshot *s, const char *text)
{
        for (unsigned int i = 0; i < s->nnotes; i++)
                if (strncmp(s->notes[i], text, TOP_NOTE_MAX - 1) == 0)
                        return;
        if (s->nnotes < TOP_MAX_NOTES)
                snprintf(s->notes[s->nnotes++], TOP_NOTE_MAX, "%s", text);
}

static void parse_notes(struct top_snapshot *s, const json_t *warnings)
{
        const json_t *warning;
        size_t i;

        json_array_foreach(warnings, i, warning) if (json_is_string(warning))
                add_note(s, json_string_value(warning));
}

int top_snapshot_parse(struct top_snapshot *s, const json_t *rows, const json_t *status,
                       bool own_only, const struct top_snapshot *before)
{
        const json_t *nodes = json_object_get(rows, "nodes");
        const json_t *list = json_object_get(rows, "rows");
        const json_t *exited = json_object_get(rows, "exited");
        int r;

        *s = (struct top_snapshot){
                .uptime_s = number(rows, "uptime_s"),
                .own_only = own_only,
                .exited_cpu_s = number(exited, "cpu_s"),
                .exited_j = both(json_object_get(exited, "share"), "package_j", "dram_j"),
                .estimated = report_estimated(status),
        };
        if (isnan(s->uptime_s) || !json_is_array(list) || !json_is_array(nodes) ||
            !json_is_array(json_object_get(status, "domains")))
                return -EPROTO;
        snprintf(s->source, sizeof(s->source), "%s", report_string(status, "source"));
        for (size_t i = 0; i < json_array_size(nodes) && i < TOP_MAX_NODES; i++)
                s->nodes[s->nnodes++] = (int)json_integer_value(json_array_get(nodes, i));
        if (own_only)
                parse_power(s, json_object_get(status, "domains"));
        else
                parse_sums(s, json_object_get(rows, "sockets"));
        parse_notes(s, json_object_get(status, "warnings"));
        r = parse_processes(s, rows, before);
        if (r == 0)
                r = parse_targets(s, json_object_get(rows, "targets"));
        if (r < 0)
                top_snapshot_deinit(s);
        return r;
}

void top_snapshot_deinit(struct top_snapshot *s)
{
        free(s->processes);
        free(s->targets);
        *s = (struct top_snapshot){0};
}
