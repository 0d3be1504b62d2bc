/* SPDX-License-Identifier: MIT */
/* GetRows: every process, and what of the machine is theirs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "access.h"
#include "clock.h"
#include "look.h"
#include "report_json.h"
#include "rows_told.h"

#define MAX_UPTIME_S 1e9 /* 30 years: what is more is no moment of ours */

/* What the machine used, of each socket and kind that accounts are kept for. */
static json_t *sockets_json(struct look *look)
{
        const struct accounts *a = sampler_accounts(look->server->sampler);
        const struct topology *topology = look->server->topology;
        json_t *array = json_array();

        for (unsigned int socket = 0; socket < a->nsockets; socket++) {
                uint64_t energy[ENERGY_KINDS] = {0}, fixed[ENERGY_KINDS] = {0};
                uint64_t rest[ENERGY_KINDS] = {0};
                bool has[ENERGY_KINDS] = {false}, base[ENERGY_KINDS] = {true, true};

                for (unsigned int i = 0; i < a->n; i++) {
                        enum energy_kind kind = a->all[i].kind;

                        if (a->all[i].socket != socket)
                                continue;
                        has[kind] = true;
                        base[kind] &= a->all[i].base_known;
                        energy[kind] += *account_sum(a, look->sums, SUM_ENERGY_UJ, i);
                        fixed[kind] += *account_sum(a, look->sums, SUM_STATIC_UJ, i);
                        rest[kind] += *account_sum(a, look->sums, SUM_UNATTRIBUTED_UJ, i);
                }
                json_array_append_new(
                        array,
                        json_pack("{s:i, s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o}}", "socket",
                                  topology->sockets[socket], "machine", "package_j",
                                  json_joules(has[ENERGY_PACKAGE], energy[ENERGY_PACKAGE]),
                                  "dram_j", json_joules(has[ENERGY_DRAM], energy[ENERGY_DRAM]),
                                  "static_package_j",
                                  json_joules(has[ENERGY_PACKAGE] && base[ENERGY_PACKAGE],
                                              fixed[ENERGY_PACKAGE]),
                                  "static_dram_j",
                                  json_joules(has[ENERGY_DRAM] && base[ENERGY_DRAM],
                                              fixed[ENERGY_DRAM]),
                                  "unattributed", "package_j",
                                  json_joules(has[ENERGY_PACKAGE], rest[ENERGY_PACKAGE]), "dram_j",
                                  json_joules(has[ENERGY_DRAM], rest[ENERGY_DRAM])));
        }
        return array;
}

/*
 * The rows, and with since_s the pids of those that have not changed since: a process that sleeps,
 * as most do, costs its number and what its memory has used, not its row.
 */
static void list_rows(struct look *look, json_t *rows, json_t *unchanged, json_t *dram)
{
        const json_t *since = json_object_get(look->call->parameters, "since_s");
        uint64_t since_ns = 0;
        int r;

        qsort(look->rows, look->nrows, sizeof(look->rows[0]), row_copy_by_pid);
        r = rows_told_update(&look->server->rows_told, look->rows, look->nrows, look->nodes.n,
                             look->now_ns);
        if (json_is_number(since))
                since_ns = look->started_ns +
                           (uint64_t)llround(json_number_value(since) * NS_PER_S);
        for (size_t i = 0; i < look->nrows; i++) {
                const struct row_copy *row = &look->rows[i];

                if (r < 0 || !json_is_array(unchanged) ||
                    rows_told_changed(look->server->rows_told, i, since_ns)) {
                        json_array_append_new(rows, row_copy_json(row, &look->nodes));
                        continue;
                }
                json_array_append_new(unchanged, json_integer(row->pid));
                json_array_append_new(dram, json_joules(row->share_known[ENERGY_DRAM],
                                                        row->share_uj[ENERGY_DRAM]));
        }
}

static bool has_dram(const struct accounts *a)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].kind == ENERGY_DRAM)
                        return true;
        return false;
}

static void answer_rows(struct look *look)
{
        struct sampler *s = look->server->sampler;
        const struct accounts *a = sampler_accounts(s);
        const struct cputime_totals *t = &look->totals;
        uint64_t energy[ENERGY_KINDS] = {0}, fixed[ENERGY_KINDS] = {0}, rest[ENERGY_KINDS] = {0};
        bool has[ENERGY_KINDS] = {false}, base[ENERGY_KINDS] = {true, true};
        bool partly = json_is_number(json_object_get(look->call->parameters, "since_s"));
        json_t *rows = json_array(), *unchanged = partly ? json_array() : json_null();
        json_t *dram = partly && has_dram(a) ? json_array() : json_null();
        unsigned int ncpus = 0;

        for (unsigned int i = 0; i < a->n; i++) {
                enum energy_kind kind = a->all[i].kind;

                has[kind] = true;
                base[kind] &= a->all[i].base_known;
                energy[kind] += *account_sum(a, look->sums, SUM_ENERGY_UJ, i);
                fixed[kind] += *account_sum(a, look->sums, SUM_STATIC_UJ, i);
                rest[kind] += *account_sum(a, look->sums, SUM_UNATTRIBUTED_UJ, i);
        }
        list_rows(look, rows, unchanged, dram);
        for (unsigned int cpu = 0; cpu < look->server->topology->ncpus; cpu++)
                ncpus += look->server->topology->cpus[cpu].online;
        snprintf(look->exited.comm, sizeof(look->exited.comm), "(exited)");
        call_reply(
                look->call,
                json_pack(
                        "{s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:f, s:o, s:o, s:f, s:f, "
                        "s:f, s:f, s:i, "
                        "s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o}, s:o}",
                        "uptime_s", (double)(look->now_ns - look->started_ns) / NS_PER_S, "nodes",
                        row_nodes_json(&look->nodes), "sockets", sockets_json(look), "rows", rows,
                        "unchanged", unchanged, "unchanged_dram_j", dram, "targets",
                        target_copies_json(&look->targets, look->server, call_peer(look->call),
                                           &look->nodes),
                        "exited", row_copy_json(&look->exited, &look->nodes), "exited_count",
                        (json_int_t)look->exited_count, "cpu_s",
                        (double)all_slots_ns(a, t->busy_ns) / NS_PER_S, "idle_s",
                        json_number_if(t->idle_known, (double)t->idle_ns / NS_PER_S), "irq_s",
                        json_number_if(t->irq_known, (double)all_slots_ns(a, t->irq_ns) / NS_PER_S),
                        "stolen_s", (double)t->stolen_ns / NS_PER_S, "nobody_s",
                        (double)all_slots_ns(a, t->nobody_ns) / NS_PER_S, "lost_s",
                        (double)look->losses.lost_ns / NS_PER_S, "wall_s",
                        (double)t->cpu_wall_ns / NS_PER_S, "cpus", (int)ncpus, "machine",
                        "package_j", json_joules(has[ENERGY_PACKAGE], energy[ENERGY_PACKAGE]),
                        "dram_j", json_joules(has[ENERGY_DRAM], energy[ENERGY_DRAM]),
                        "static_package_j",
                        json_joules(has[ENERGY_PACKAGE] && base[ENERGY_PACKAGE],
                                    fixed[ENERGY_PACKAGE]),
                        "static_dram_j",
                        json_joules(has[ENERGY_DRAM] && base[ENERGY_DRAM], fixed[ENERGY_DRAM]),
                        "unattributed", "package_j",
                        json_joules(has[ENERGY_PACKAGE], rest[ENERGY_PACKAGE]), "dram_j",
                        json_joules(has[ENERGY_DRAM], rest[ENERGY_DRAM]), "warnings",
                        look_warnings(look)),
                false);
}

void method_rows(struct call *call)
{
        const json_t *since = json_object_get(call->parameters, "since_s");
        struct denial denial;

        if (since && !json_is_null(since) &&
            (!json_is_number(since) || !(json_number_value(since) >= 0) ||
             json_number_value(since) > MAX_UPTIME_S)) {
                call_invalid_parameter(call, "since_s");
                return;
        }
        access_administer(&denial, call->server->config, call_peer(call), "see all processes");
        if (denial.rule)
                call_denied(call, &denial);
        else
                look_start(call, answer_rows, true);
}
