/* SPDX-License-Identifier: MIT */
/* GetStatus and Check: what the daemon is and does, from one look at the sampler. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "access.h"
#include "clock.h"
#include "keeper.h"
#include "learn.h"
#include "look.h"
#include "report_json.h"
#include "server.h"

#define UNREADABLE_BY_OTHERS 0044

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
                                  json_number_if(d->range_uj && d->range_uj != UINT64_MAX,
                                                 (double)d->range_uj / 1e6),
                                  "base_w",
                                  json_number_if(
                                          account >= 0 && a->all[account].base_known,
                                          account >= 0 ? (double)a->all[account].base_uw / 1e6 : 0),
                                  "power_w", json_number_if(!isnan(view->power_w), view->power_w),
                                  "energy_j", json_joules(true, before_uj + view->energy_uj),
                                  "fault", text_or_null(fault), "faults",
                                  (json_int_t)look->faults[i].count));
        }
        return array;
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
                          (int)look->ntargets, "domains", domains_json(look), "warnings",
                          look_warnings(look)),
                false);
}

void method_status(struct call *call)
{
        look_start(call, answer_status, false);
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
                char name[DOMAIN_NAME_MAX + 16], fault[256], doubt[256];
                const char *remedy;

                snprintf(name, sizeof(name), "domain %s", domains[i].label);
                fault_text(&look->faults[i], fault, sizeof(fault));
                if (fault[0])
                        line(lines, "fail", name,
                             "see the kernel's log, and whether another program holds the device",
                             "%s (%llu faulty readings)", fault,
                             (unsigned long long)look->faults[i].count);
                else if ((remedy = sampler_domain_doubt(look->server->sampler, i, doubt,
                                                        sizeof(doubt))))
                        line(lines, "warn", name, remedy, "%s", doubt);
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
        const char *doubt = server_baseline_doubt(s);
        const struct domain *domains;
        struct learned learned;
        char high[256];

        if (look_baseline_is_high(look, high, sizeof(high)))
                line(lines, "warn", "calibration",
                     "run 'energat --basepower' while the machine is idle", "%s", high);
        if (strcmp(state, "known") == 0) {
                line(lines, "pass", "calibration", NULL, "idle power is part of the estimate");
        } else if (s->baseline) {
                line(lines, *doubt ? "warn" : "pass", "calibration",
                     *doubt ? "run 'energat --basepower' while the machine is idle" : NULL,
                     "baseline of %s%s%s%s",
                     s->baseline->date[0] ? s->baseline->date : "unknown date",
                     strcmp(state, "learned") == 0 ? ", learned from the machine in use" : "",
                     *doubt ? "; " : "", doubt);
        } else if (strcmp(state, "learned") == 0) {
                learner_state(s->learner, false, &learned);
                (void)meter_domains(sampler_meter(s->sampler), &domains);
                line(lines, "pass", "calibration", NULL,
                     "base power learned from the machine in use, %.2f W +- %.2f W of %s%s",
                     learned.base_w, learned.half_width_w,
                     domains[sampler_accounts(s->sampler)->all[learned.worst].domain].label,
                     learned.packages > 1 ? ", and that of the others more exactly" : "");
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
        char path[CONFIG_PATH_MAX + 64], rights[256];
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
        access_summary(rights, sizeof(rights), s->config, call_peer(look->call));
        line(lines, "pass", "permissions", NULL, "%s", rights);
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
