/* SPDX-License-Identifier: MIT */
/* GetStatus, GetRows and Check: what the daemon knows, from one look at the sampler. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "access.h"
#include "clock.h"
#include "configuration.h"
#include "keeper.h"
#include "learn.h"
#include "report_json.h"
#include "row_copy.h"
#include "server.h"

#define UNREADABLE_BY_OTHERS 0044

/* A question to the sampler: what it holds is copied in its thread and answered in ours. */
struct look {
        struct letter there, back;
        struct server *server;
        struct call *call;
        void (*answer)(struct look *look);
        bool want_rows;
        uint64_t *sums;
        uint64_t now_ns, started_ns;
        unsigned int targets;
        struct cputime_totals totals;
        struct cputime_losses losses;
        struct fault faults[SOURCE_MAX_DOMAINS];
        struct domain_view domains[SOURCE_MAX_DOMAINS];
        struct lateness lateness;
        uint64_t cpu_ns; /* of the sampler's thread */
        struct row_nodes nodes;
        struct row_copy *rows, exited;
        uint64_t *node_cpu_ns; /* nodes.n for each row; NULL where there is one node */
        uint64_t exited_count;
        size_t nrows, max_rows;
};

static void look_free(struct look *look)
{
        free(look->sums);
        free(look->rows);
        free(look->node_cpu_ns);
        free(look);
}

static void on_gone(struct call *call)
{
        struct look *look = call->state;

        look->call = NULL;
        call_free(call);
}

/* ---- in the sampler ---- */

static void copy_row(const struct process *p, void *arg)
{
        struct look *look = arg;
        size_t i = look->nrows;

        if (i == look->max_rows)
                return;
        row_copy_of(&look->rows[i], p, sampler_accounts(look->server->sampler), &look->nodes,
                    look->node_cpu_ns ? look->node_cpu_ns + i * look->nodes.n : NULL);
        look->nrows++;
}

/* Those that have gone, and those that have since the last tick. */
static void copy_exited(struct look *look, const struct accounts *a, const struct processes *ps)
{
        look->exited = (struct row_copy){.cpu_ns = all_slots_ns(a, ps->exited.cpu_ns)};
        row_copy_shares(&look->exited, ps->exited.share_uj, a);
        look->exited_count = ps->exited.count;
        for (const struct process *p = ps->graveyard; p; p = p->next_sibling) {
                look->exited.cpu_ns += all_slots_ns(a, p->cpu_ns);
                row_copy_shares(&look->exited, p->share_uj, a);
                look->exited_count++;
        }
}

static void run_look(struct letter *letter)
{
        struct look *look = (struct look *)(void *)((char *)letter - offsetof(struct look, there));
        struct sampler *s = look->server->sampler;
        const struct accounts *a = sampler_accounts(s);
        const struct processes *ps = sampler_processes(s);
        const uint64_t *sums;
        size_t n = meter_domains(sampler_meter(s), &(const struct domain *){NULL});

        if (look->want_rows) /* so that rows and unattributed add up */
                sampler_settle(s);
        sums = sampler_sums(s, &look->now_ns, &look->started_ns);
        memcpy(look->sums, sums, a->nsums * sizeof(*sums));
        look->targets = sampler_targets(s);
        look->lateness = *sampler_lateness(s);
        look->cpu_ns = sampler_cpu_ns(s);
        look->totals = *cputime_totals(sampler_cputime(s));
        look->losses = *cputime_losses(sampler_cputime(s));
        for (size_t i = 0; i < n; i++)
                meter_fault(sampler_meter(s), i, &look->faults[i]);
        memcpy(look->domains, sampler_domains(s), n * sizeof(look->domains[0]));
        if (look->want_rows) {
                processes_each(ps, copy_row, look);
                copy_exited(look, a, ps);
        }
        mailbox_push(&look->server->mailbox, &look->back);
}

/* ---- in the server ---- */

static void on_back(struct letter *letter)
{
        struct look *look = (struct look *)(void *)((char *)letter - offsetof(struct look, back));

        if (look->call)
                look->answer(look);
        look_free(look);
}

static void look_start(struct call *call, void (*answer)(struct look *), bool want_rows)
{
        struct look *look = calloc(1, sizeof(*look));

        if (look) {
                look->sums = calloc(sampler_accounts(call->server->sampler)->nsums,
                                    sizeof(uint64_t));
                if (want_rows) {
                        row_nodes_init(&look->nodes, call->server->topology);
                        look->max_rows = call->server->config->max_processes * 2;
                        look->rows = calloc(look->max_rows, sizeof(look->rows[0]));
                }
                if (look->nodes.n > 1)
                        look->node_cpu_ns = calloc(look->max_rows * look->nodes.n,
                                                   sizeof(uint64_t));
        }
        if (!look || !look->sums || (want_rows && !look->rows) ||
            (look->nodes.n > 1 && !look->node_cpu_ns)) {
                if (look)
                        look_free(look);
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
                return;
        }
        look->server = call->server;
        look->call = call;
        look->answer = answer;
        look->want_rows = want_rows;
        look->there.deliver = run_look;
        look->back.deliver = on_back;
        call->state = look;
        call->gone = on_gone;
        sampler_post(call->server->sampler, &look->there);
}

static json_t *number_or_null(bool known, double value)
{
        return known ? json_real(value) : json_null();
}

static json_t *text_or_null(const char *text)
{
        return text[0] ? json_string(text) : json_null();
}

/* The account of a domain, or -1 when it is only shown. */
static int account_of(const struct accounts *a, size_t domain)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].domain == domain)
                        return (int)i;
        return -1;
}

static json_t *domains_json(struct look *look)
{
        const struct meter *meter = sampler_meter(look->server->sampler);
        const struct accounts *a = sampler_accounts(look->server->sampler);
        const struct domain *domains;
        size_t n = meter_domains(meter, &domains);
        json_t *array = json_array();
        char fault[256];

        for (size_t i = 0; i < n; i++) {
                const struct domain *d = &domains[i];
                const struct domain_view *view = &look->domains[i];
                uint64_t before_uj = keeper_before_uj(look->server->keeper, d->label);
                int account = account_of(a, i);

                fault_text(&look->faults[i], fault, sizeof(fault));
                json_array_append_new(
                        array,
                        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "name",
                                  d->label, "kind", domain_kind_name(d->kind), "socket",
                                  d->socket < 0 ? json_null() : json_integer(d->socket), "die",
                                  d->die < 0 ? json_null() : json_integer(d->die), "range_j",
                                  number_or_null(d->range_uj && d->range_uj != UINT64_MAX,
                                                 (double)d->range_uj / 1e6),
                                  "base_w",
                                  number_or_null(
                                          account >= 0 && a->all[account].base_known,
                                          account >= 0 ? (double)a->all[account].base_uw / 1e6 : 0),
                                  "power_w", number_or_null(!isnan(view->power_w), view->power_w),
                                  "energy_j", json_joules(true, before_uj + view->energy_uj),
                                  "fault", text_or_null(fault), "faults",
                                  (json_int_t)look->faults[i].count));
        }
        return array;
}

static json_t *all_warnings(struct look *look)
{
        const struct accounts *a = sampler_accounts(look->server->sampler);
        json_t *warnings = json_array();
        const char *lacking;

        (void)server_baseline(look->server, &lacking);
        warnings_of_source(warnings, look->server->sampler, look->faults, lacking);
        warnings_of_window(warnings, look->server->sampler, machine_sum(a, look->sums, 0));
        if (look->server->baseline_problem[0] && !look->server->baseline_missing)
                json_array_append_new(warnings, json_string(look->server->baseline_problem));
        configuration_warnings(look->server->configuration, warnings);
        if (look->server->keeper)
                keeper_problems(look->server->keeper, warnings);
        return warnings;
}

static json_t *lateness_json(const struct lateness *l)
{
        return json_pack("{s:f, s:f, s:f}", "p50_s",
                         (double)lateness_quantile_ns(l, 0.5) / NS_PER_S, "p99_s",
                         (double)lateness_quantile_ns(l, 0.99) / NS_PER_S, "max_s",
                         (double)l->max_ns / NS_PER_S);
}

static void answer_status(struct look *look)
{
        struct sampler *s = look->server->sampler;
        const struct accounts *a = sampler_accounts(s);
        uint64_t ticks = *machine_sum(a, look->sums, SUM_TICKS);

        call_reply(
                look->call,
                json_pack("{s:s, s:s, s:b, s:s, s:f, s:f, s:I, s:I, s:o, s:f, s:I, s:i, s:o, s:o}",
                          "version", ENERGAT_VERSION, "source", meter_source_name(sampler_meter(s)),
                          "estimated", meter_estimated(sampler_meter(s)), "probe",
                          cputime_name(sampler_cputime(s)), "period_s",
                          (double)look->server->config->tick_ns / NS_PER_S, "uptime_s",
                          (double)(look->now_ns - look->started_ns) / NS_PER_S, "ticks",
                          (json_int_t)ticks, "missed_ticks",
                          (json_int_t)*machine_sum(a, look->sums, SUM_MISSED_TICKS), "lateness",
                          lateness_json(&look->lateness), "tick_cpu_s",
                          ticks ? (double)look->cpu_ns / NS_PER_S / (double)ticks : 0.0,
                          "hidden_switches", (json_int_t)look->losses.hidden_switches, "targets",
                          (int)look->targets, "domains", domains_json(look), "warnings",
                          all_warnings(look)),
                false);
}

void method_status(struct call *call)
{
        look_start(call, answer_status, false);
}

/* ---- rows ---- */

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

static void answer_rows(struct look *look)
{
        struct sampler *s = look->server->sampler;
        const struct accounts *a = sampler_accounts(s);
        const struct cputime_totals *t = &look->totals;
        uint64_t energy[ENERGY_KINDS] = {0}, fixed[ENERGY_KINDS] = {0}, rest[ENERGY_KINDS] = {0};
        bool has[ENERGY_KINDS] = {false}, base[ENERGY_KINDS] = {true, true};
        json_t *rows = json_array();
        unsigned int ncpus = 0;

        for (unsigned int i = 0; i < a->n; i++) {
                enum energy_kind kind = a->all[i].kind;

                has[kind] = true;
                base[kind] &= a->all[i].base_known;
                energy[kind] += *account_sum(a, look->sums, SUM_ENERGY_UJ, i);
                fixed[kind] += *account_sum(a, look->sums, SUM_STATIC_UJ, i);
                rest[kind] += *account_sum(a, look->sums, SUM_UNATTRIBUTED_UJ, i);
        }
        for (size_t i = 0; i < look->nrows; i++)
                json_array_append_new(rows, row_copy_json(&look->rows[i], &look->nodes));
        for (unsigned int cpu = 0; cpu < look->server->topology->ncpus; cpu++)
                ncpus += look->server->topology->cpus[cpu].online;
        snprintf(look->exited.comm, sizeof(look->exited.comm), "(exited)");
        call_reply(
                look->call,
                json_pack(
                        "{s:f, s:o, s:o, s:o, s:o, s:I, s:f, s:o, s:o, s:f, s:f, s:f, s:f, s:i, "
                        "s:{s:o, s:o, s:o, s:o}, s:{s:o, s:o}, s:o}",
                        "uptime_s", (double)(look->now_ns - look->started_ns) / NS_PER_S, "nodes",
                        row_nodes_json(&look->nodes), "sockets", sockets_json(look), "rows", rows,
                        "exited", row_copy_json(&look->exited, &look->nodes), "exited_count",
                        (json_int_t)look->exited_count, "cpu_s",
                        (double)all_slots_ns(a, t->busy_ns) / NS_PER_S, "idle_s",
                        number_or_null(t->idle_known, (double)t->idle_ns / NS_PER_S), "irq_s",
                        number_or_null(t->irq_known, (double)all_slots_ns(a, t->irq_ns) / NS_PER_S),
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
                        all_warnings(look)),
                false);
}

void method_rows(struct call *call)
{
        struct denial denial;

        access_administer(&denial, call->server->config, call_peer(call), "see all processes");
        if (denial.rule)
                call_denied(call, &denial);
        else
                look_start(call, answer_rows, true);
}

/* ---- check ---- */

static void line(json_t *lines, const char *result, const char *name, const char *remedy,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void line(json_t *lines, const char *result, const char *name, const char *remedy,
                 const char *format, ...)
{
        char detail[2048];
        va_list args;

        va_start(args, format);
        vsnprintf(detail, sizeof(detail), format, args);
        va_end(args);
        json_array_append_new(lines, json_pack("{s:s, s:s, s:s, s:s?}", "name", name, "result",
                                               result, "detail", detail, "remedy", remedy));
}

static void check_topology(json_t *lines, const struct topology *t)
{
        unsigned int online = 0;
        uint64_t nodes = 0;

        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++)
                online += t->cpus[cpu].online;
        for (unsigned int i = 0; i < t->nslots; i++)
                nodes |= 1ull << (t->slots[i].node & 63);
        line(lines, "pass", "topology", NULL,
             "%u socket%s, %d NUMA node%s with CPUs, %u CPUs online", t->nsockets,
             t->nsockets == 1 ? "" : "s", __builtin_popcountll(nodes),
             __builtin_popcountll(nodes) == 1 ? "" : "s", online);
}

static void check_domains(json_t *lines, struct look *look)
{
        const struct meter *meter = sampler_meter(look->server->sampler);
        const struct domain *domains;
        size_t n = meter_domains(meter, &domains);

        for (size_t i = 0; i < n; i++) {
                char name[DOMAIN_NAME_MAX + 16], fault[256];

                snprintf(name, sizeof(name), "domain %s", domains[i].label);
                fault_text(&look->faults[i], fault, sizeof(fault));
                if (fault[0])
                        line(lines, "fail", name,
                             "see the kernel's log, and whether another program holds the device",
                             "%s (%llu faulty readings)", fault,
                             (unsigned long long)look->faults[i].count);
                else if (domains[i].range_uj && domains[i].range_uj != UINT64_MAX)
                        line(lines, "pass", name, NULL,
                             "counter range %.1f J, %llu faulty readings",
                             (double)domains[i].range_uj / 1e6,
                             (unsigned long long)look->faults[i].count);
                else
                        line(lines, "pass", name, NULL, "%llu faulty readings",
                             (unsigned long long)look->faults[i].count);
        }
}

static void check_source(json_t *lines, const struct sampler *s)
{
        const struct meter *meter = sampler_meter(s);

        if (meter_estimated(meter))
                line(lines, "fail", "meter",
                     "on real hardware load the kernel's intel_rapl_msr module; in a virtual "
                     "machine there is "
                     "no meter: results stay estimates",
                     "no energy meter on this machine, energy is estimated from CPU time%s%s",
                     meter_why_passed_over(meter)[0] ? ": " : "", meter_why_passed_over(meter));
        else
                line(lines, "pass", "meter", NULL, "%s", meter_source_name(meter));
}

static void check_probe(json_t *lines, const struct look *look)
{
        const struct cputime *c = sampler_cputime(look->server->sampler);
        uint64_t hidden = look->losses.hidden_switches;

        if (cputime_exact(c) && hidden)
                line(lines, "warn", "probe",
                     "a sandbox may hide its own agent's threads; other processes' times are not "
                     "touched",
                     "%s: %s; but %llu switches of other threads were hidden from it",
                     cputime_name(c), cputime_precision(c), (unsigned long long)hidden);
        else if (cputime_exact(c))
                line(lines, "pass", "probe", NULL, "%s: %s", cputime_name(c), cputime_precision(c));
        else
                line(lines, "warn", "probe",
                     "short-lived processes need BPF: a kernel with BTF (CONFIG_DEBUG_INFO_BTF), "
                     "not locked down",
                     "%s: %s; %s", cputime_name(c), cputime_precision(c),
                     cputime_why_passed_over(c));
}

static void check_ticks(json_t *lines, struct look *look)
{
        const struct accounts *a = sampler_accounts(look->server->sampler);
        uint64_t ticks = *machine_sum(a, look->sums, SUM_TICKS);
        uint64_t missed = *machine_sum(a, look->sums, SUM_MISSED_TICKS);
        bool realtime = sampler_realtime(look->server->sampler);
        bool many = missed * 100 > ticks;

        line(lines, many ? "warn" : "pass", "ticks",
             !many      ? NULL
             : realtime ? "the machine stalls for longer than a tick; a longer sampling.period "
                          "misses fewer"
                        : "let the daemon have CAP_SYS_NICE, or choose a longer sampling.period",
             "every %g ms, %llu made, %llu missed%s", (double)look->server->config->tick_ns / 1e6,
             (unsigned long long)ticks, (unsigned long long)missed,
             realtime ? "" : ", without real-time priority");
}

static void check_losses(json_t *lines, struct look *look)
{
        json_t *warnings = json_array();
        const struct accounts *a = sampler_accounts(look->server->sampler);
        size_t i;
        json_t *w;

        *machine_sum(a, look->sums, SUM_MISSED_TICKS) = 0; /* has its own line */
        warnings_of_window(warnings, look->server->sampler, machine_sum(a, look->sums, 0));
        if (json_array_size(warnings) == 0)
                line(lines, "pass", "losses", NULL, "no CPU time lost since the start");
        json_array_foreach(warnings, i, w)
                line(lines, "warn", "losses", NULL, "%s", json_string_value(w));
        json_decref(warnings);
}

static void check_calibration(json_t *lines, struct look *look)
{
        struct server *s = look->server;
        const char *lacking, *state = server_baseline(s, &lacking);
        struct learned learned;

        if (strcmp(state, "known") == 0) {
                line(lines, "pass", "calibration", NULL, "idle power is part of the estimate");
        } else if (strcmp(state, "measured") == 0) {
                line(lines, "pass", "calibration", NULL, "baseline of %s",
                     s->baseline->date[0] ? s->baseline->date : "unknown date");
        } else if (strcmp(state, "learned") == 0) {
                learner_state(s->learner, &learned);
                line(lines, "pass", "calibration", NULL,
                     "base power learned from the machine in use, %.2f W +- %.2f W", learned.base_w,
                     learned.half_width_w);
        } else {
                line(lines, "warn", "calibration",
                     "run 'energat --basepower' while the machine is idle", "%s%s%s",
                     s->baseline_problem[0] ? s->baseline_problem : "there is no baseline",
                     lacking ? "; it is being learned, which needs " : "", lacking ? lacking : "");
        }
}

static void check_permissions(json_t *lines, struct look *look)
{
        const struct server *s = look->server;
        char path[CONFIG_PATH_MAX + 64];
        struct stat st;

        /* PLATYPUS: the reason why the kernel keeps these files from ordinary users */
        snprintf(path, sizeof(path), "%s/intel-rapl:0/energy_uj", s->config->powercap_root);
        if (strcmp(meter_source_name(sampler_meter(s->sampler)), "powercap") == 0 &&
            stat(path, &st) == 0 && st.st_mode & UNREADABLE_BY_OTHERS)
                line(lines, "warn", "energy files",
                     "chmod 0400 them: energat does not need them to be readable, and they leak "
                     "secrets "
                     "(CVE-2020-8694)",
                     "%s can be read by ordinary users (mode %04o)", path, st.st_mode & 07777u);
        if (call_peer(look->call)->trusted)
                line(lines, "pass", "permissions", NULL,
                     "you may follow every process, at any interval");
        else
                line(lines, "pass", "permissions", NULL,
                     "you may follow your own processes at intervals of 1 s or more; root and "
                     "members of group "
                     "energat all, at any");
}

static void answer_check(struct look *look)
{
        json_t *lines = json_array(), *l;
        bool ok = true;
        size_t i;

        check_topology(lines, look->server->topology);
        check_source(lines, look->server->sampler);
        check_domains(lines, look);
        check_probe(lines, look);
        check_ticks(lines, look);
        check_losses(lines, look);
        check_calibration(lines, look);
        check_permissions(lines, look);
        json_array_foreach(lines, i, l)
                ok &= strcmp(json_string_value(json_object_get(l, "result")), "fail") != 0;
        call_reply(look->call, json_pack("{s:b, s:o}", "ok", ok, "lines", lines), false);
}

void method_check(struct call *call)
{
        look_start(call, answer_check, false);
}
