/* SPDX-License-Identifier: MIT */
#include "report_json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"

/* Fewer missed ticks than one in a hundred are what any busy machine has; they are in the status.
 */
#define MISSED_WORTH_SAYING 100

static const char *const kind_names[ENERGY_KINDS] = {"package", "dram"};

json_t *json_joules(bool known, uint64_t uj)
{
        return known ? json_real((double)uj / 1e6) : json_null();
}

json_t *json_number_if(bool known, double value)
{
        return known ? json_real(value) : json_null();
}

json_t *json_watts(const double *w, unsigned int nsockets)
{
        json_t *array = json_array();

        for (unsigned int i = 0; i < nsockets; i++)
                json_array_append_new(array, json_number_if(!isnan(w[i]), w[i]));
        return array;
}

json_t *json_name(const char *name)
{
        json_t *json = json_string(name); /* NULL when it is no UTF-8 */
        char ascii[256];

        if (json)
                return json;
        snprintf(ascii, sizeof(ascii), "%s", name);
        for (char *c = ascii; *c; c++)
                if ((unsigned char)*c >= 0x80)
                        *c = '?';
        return json_string(ascii);
}

static void __attribute__((format(printf, 2, 3))) warn(json_t *warnings, const char *format, ...)
{
        char text[512];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        json_array_append_new(warnings, json_string(text));
}

void warnings_of_source(json_t *warnings, const struct sampler *sampler, const struct fault *faults,
                        const char *lacking)
{
        const struct meter *meter = sampler_meter(sampler);
        const struct domain *domains;
        size_t n = meter_domains(meter, &domains);
        char text[256];

        if (!accounts_have_baseline(sampler_accounts(sampler), ENERGY_PACKAGE))
                warn(warnings,
                     "no baseline: the idle machine's power is counted as used by programs; run "
                     "'energat --basepower' while it is idle%s%s",
                     lacking ? ", or wait until it is learned, which needs " : "",
                     lacking ? lacking : "");
        else if (!accounts_have_baseline(sampler_accounts(sampler), ENERGY_DRAM))
                warn(warnings,
                     "no baseline of dram: its power on the idle machine is counted as used by "
                     "programs; run 'energat --basepower' while it is idle");
        if (!cputime_exact(sampler_cputime(sampler)))
                warn(warnings, "CPU time is counted by %s: %s",
                     cputime_name(sampler_cputime(sampler)),
                     cputime_precision(sampler_cputime(sampler)));
        for (size_t i = 0; i < n; i++) {
                const char *remedy = sampler_domain_doubt(sampler, i, text, sizeof(text));

                if (remedy)
                        warn(warnings, "%s: %s; %s", domains[i].label, text, remedy);
                fault_text(&faults[i], text, sizeof(text));
                if (text[0])
                        warn(warnings, "%s: %s", domains[i].label, text);
        }
}

void warnings_of_window(json_t *warnings, const struct sampler *sampler, const uint64_t *machine)
{
        if (machine[SUM_MISSED_TICKS] * MISSED_WORTH_SAYING > machine[SUM_TICKS])
                warn(warnings,
                     "%llu ticks were missed and are part of longer ones (%llu ticks were made)",
                     (unsigned long long)machine[SUM_MISSED_TICKS],
                     (unsigned long long)machine[SUM_TICKS]);
        if (machine[SUM_MERGED])
                warn(warnings,
                     "the process table was full: %llu processes are counted in the one that "
                     "started them; raise accounting.max_processes",
                     (unsigned long long)machine[SUM_MERGED]);
        if (machine[SUM_LOST_NS] && !cputime_exact(sampler_cputime(sampler)))
                warn(warnings, "%.3f s of CPU time was used by processes that were not met",
                     (double)machine[SUM_LOST_NS] / NS_PER_S);
        else if (machine[SUM_LOST_THREADS] || machine[SUM_LOST_NS])
                warn(warnings, "CPU time was lost for want of memory: %llu threads, %.3f s",
                     (unsigned long long)machine[SUM_LOST_THREADS],
                     (double)machine[SUM_LOST_NS] / NS_PER_S);
        if (machine[SUM_UNCOUNTED])
                warn(warnings,
                     "CPU time could not be read %llu times, for want of memory or descriptors: "
                     "the "
                     "energy used until then is unattributed",
                     (unsigned long long)machine[SUM_UNCOUNTED]);
        if (machine[SUM_SUSPENDED_NS])
                warn(warnings,
                     "the machine was suspended for %.1f s: the energy of that time is "
                     "unattributed",
                     (double)machine[SUM_SUSPENDED_NS] / NS_PER_S);
        if (machine[SUM_CLOCK_SET])
                warn(warnings,
                     "the system clock was set: times of day before and after do not fit together");
        if (machine[SUM_WRAP_RISK])
                warn(warnings,
                     "power was high enough to take an energy counter round between two readings; "
                     "choose a shorter sampling.period");
        if (machine[SUM_UNPLACED_NS])
                warn(warnings, "%.3f s of CPU time was on CPUs whose socket was not known yet",
                     (double)machine[SUM_UNPLACED_NS] / NS_PER_S);
}

/* A kind of energy over all sockets: known only if it is on each. */
struct total {
        bool known, base_known, gap, base_high;
        uint64_t energy_uj, static_uj, share_uj, tracer_uj, below_base_ticks, late_ns, still_ns,
                unbased_ns;
        double attributed_j;
};

static struct total total_of(const struct report *r, enum energy_kind kind)
{
        struct total t = {.known = true, .base_known = true};

        for (unsigned int i = 0; i < r->nsockets; i++) {
                const struct energy_report *e = &r->sockets[i].energy[kind];

                t.known &= e->known;
                t.base_known &= e->base_known;
                t.gap |= e->gap;
                t.base_high |= e->base_high;
                if (e->below_base_ticks > t.below_base_ticks)
                        t.below_base_ticks = e->below_base_ticks;
                if (e->late_ns > t.late_ns)
                        t.late_ns = e->late_ns;
                if (e->still_ns > t.still_ns)
                        t.still_ns = e->still_ns;
                if (e->unbased_ns > t.unbased_ns)
                        t.unbased_ns = e->unbased_ns;
                t.energy_uj += e->energy_uj;
                t.static_uj += e->static_uj;
                t.share_uj += e->share_uj;
                t.tracer_uj += e->tracer_uj;
                t.attributed_j += e->attributed_j;
        }
        return t;
}

static json_t *machine_json(bool known[], bool base[], uint64_t energy_uj[], uint64_t static_uj[])
{
        return json_pack(
                "{s:o, s:o, s:o, s:o}", "package_j",
                json_joules(known[ENERGY_PACKAGE], energy_uj[ENERGY_PACKAGE]), "dram_j",
                json_joules(known[ENERGY_DRAM], energy_uj[ENERGY_DRAM]), "static_package_j",
                json_joules(known[ENERGY_PACKAGE] && base[ENERGY_PACKAGE],
                            static_uj[ENERGY_PACKAGE]),
                "static_dram_j",
                json_joules(known[ENERGY_DRAM] && base[ENERGY_DRAM], static_uj[ENERGY_DRAM]));
}

static json_t *pair_json(json_t *package, json_t *dram)
{
        return json_pack("{s:o, s:o}", "package_j", package, "dram_j", dram);
}

static json_t *socket_json(const struct report_header *h, const struct report *r, unsigned int i)
{
        const struct socket_report *s = &r->sockets[i];
        const struct energy_report *p = &s->energy[ENERGY_PACKAGE], *d = &s->energy[ENERGY_DRAM];
        bool dram = d->known && d->credit >= 0; /* used by somebody we know of */
        bool known[] = {p->known, d->known}, base[] = {p->base_known, d->base_known};
        uint64_t energy[] = {p->energy_uj, d->energy_uj}, fixed[] = {p->static_uj, d->static_uj};

        return json_pack(
                "{s:i, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "socket", h->topology->sockets[i],
                "cpu_s", (double)s->cpu_ns / NS_PER_S, "busy_s", (double)s->busy_ns / NS_PER_S,
                "package_credit", p->credit > 0 ? p->credit : 0.0, "dram_credit",
                json_number_if(d->credit >= 0, d->credit), "attributed",
                pair_json(json_number_if(p->known, p->attributed_j),
                          json_number_if(dram, d->attributed_j)),
                "share",
                pair_json(json_joules(p->known, p->share_uj), json_joules(dram, d->share_uj)),
                "tracer",
                pair_json(json_joules(p->known, p->tracer_uj), json_joules(dram, d->tracer_uj)),
                "machine", machine_json(known, base, energy, fixed));
}

static double realtime_of(uint64_t monotonic)
{
        uint64_t ago_ns = monotonic_ns() - monotonic;

        return (double)(clock_ns(CLOCK_REALTIME) - ago_ns) / NS_PER_S;
}

static void warnings_of_totals(json_t *warnings, const struct total totals[], uint64_t ticks)
{
        for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++) {
                if (totals[kind].known && totals[kind].late_ns)
                        warn(warnings,
                             "%s energy could not be read all the time: that of %.2f s came "
                             "afterwards, is the machine's and no program's, and can be older than "
                             "this measurement",
                             kind_names[kind], (double)totals[kind].late_ns / NS_PER_S);
                else if (totals[kind].known && totals[kind].still_ns)
                        warn(warnings,
                             "%s energy is incomplete: a counter stood still for %.1f s of this "
                             "time",
                             kind_names[kind], (double)totals[kind].still_ns / NS_PER_S);
                else if (totals[kind].known && totals[kind].gap)
                        warn(warnings, "%s energy could not be read all the time: it is incomplete",
                             kind_names[kind]);
                if (totals[kind].known && totals[kind].unbased_ns)
                        warn(warnings,
                             "%s: the baseline came when %.1f s were over: until then the idle "
                             "machine's power is counted as used by programs",
                             kind_names[kind], (double)totals[kind].unbased_ns / NS_PER_S);
                if (totals[kind].known && totals[kind].base_high && !totals[kind].still_ns)
                        warn(warnings,
                             "%s: the machine used less than its baseline in %llu of %llu ticks; "
                             "measure it again with 'energat --basepower'",
                             kind_names[kind], (unsigned long long)totals[kind].below_base_ticks,
                             (unsigned long long)ticks);
        }
}

/* What the dram values rest on. */
static json_t *memory_json(const struct report *r)
{
        const struct held_basis *b = &r->held_basis;

        return json_pack("{s:I, s:o, s:o}", "held_bytes", (json_int_t)r->held_bytes, "exact_part",
                         json_number_if(b->bytes > 0, (double)b->exact_bytes / (double)b->bytes),
                         "age_s",
                         json_number_if(b->exact_bytes > 0,
                                        ((double)r->end_ns - (double)b->exact_ns) / NS_PER_S));
}

static bool has_dram(const struct accounts *a, unsigned int socket)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].kind == ENERGY_DRAM && a->all[i].socket == socket)
                        return true;
        return false;
}

/* What is wrong with a domain of that kind; NULL: nothing that is known now. */
static json_t *fault_of_kind(const struct report_header *h, enum energy_kind kind)
{
        const struct accounts *a = sampler_accounts(h->sampler);
        const struct domain *domains;
        char fault[256];

        (void)meter_domains(sampler_meter(h->sampler), &domains);
        for (unsigned int i = 0; i < a->n; i++) {
                if (a->all[i].kind != kind)
                        continue;
                fault_text(&h->faults[a->all[i].domain], fault, sizeof(fault));
                if (fault[0])
                        return json_sprintf("%s: %s", domains[a->all[i].domain].label, fault);
        }
        return NULL;
}

/* Why dram energy is not known: no meter for it, on some socket or on any, or one that fails. */
static json_t *dram_reason(const struct report_header *h, const struct report *r)
{
        const struct accounts *a = sampler_accounts(h->sampler);
        unsigned int without = 0, first_without = 0;
        json_t *fault;

        for (unsigned int socket = r->nsockets; socket-- > 0;) {
                if (has_dram(a, socket))
                        continue;
                without++;
                first_without = socket;
        }
        if (without == r->nsockets)
                return json_string("this machine has no dram domain");
        fault = fault_of_kind(h, ENERGY_DRAM);
        if (fault)
                return fault;
        if (without)
                return json_sprintf("socket %d has no dram domain, others have",
                                    h->topology->sockets[first_without]);
        return json_string("a dram domain could not be read in this time");
}

static json_t *package_reason(const struct report_header *h)
{
        json_t *fault = fault_of_kind(h, ENERGY_PACKAGE);

        return fault ? fault
                     : json_string("a package's counter stood still, or could not be read, in this "
                                   "time");
}

/* Why the static part is not known. */
static json_t *static_reason(const struct total *t)
{
        if (t->unbased_ns)
                return json_sprintf("there was no baseline in the first %.1f s",
                                    (double)t->unbased_ns / NS_PER_S);
        return json_string("there is no baseline");
}

json_t *report_json(const struct report_header *h, const struct report *r)
{
        struct total totals[ENERGY_KINDS] = {total_of(r, ENERGY_PACKAGE), total_of(r, ENERGY_DRAM)};
        const struct total *p = &totals[ENERGY_PACKAGE], *d = &totals[ENERGY_DRAM];
        bool known[] = {p->known, d->known}, base[] = {p->base_known, d->base_known},
             dram = d->known;
        uint64_t energy[] = {p->energy_uj, d->energy_uj}, fixed[] = {p->static_uj, d->static_uj};
        json_t *warnings = json_array(), *sockets = json_array(), *reasons = json_object();

        for (unsigned int i = 0; i < r->nsockets; i++) {
                dram &= r->sockets[i].energy[ENERGY_DRAM].credit >= 0;
                json_array_append_new(sockets, socket_json(h, r, i));
        }
        if (!p->known)
                json_object_set_new(reasons, "package", package_reason(h));
        if (!d->known)
                json_object_set_new(reasons, "dram", dram_reason(h, r));
        else if (!dram)
                json_object_set_new(
                        reasons, "dram",
                        json_string("the target's memory was not measured in this time"));
        if (!p->base_known)
                json_object_set_new(reasons, "static", static_reason(p));
        if (d->known && !d->base_known)
                json_object_set_new(reasons, "static_dram", static_reason(d));
        warnings_of_source(warnings, h->sampler, h->faults, h->lacking);
        warnings_of_totals(warnings, totals, r->machine[SUM_TICKS]);
        warnings_of_window(warnings, h->sampler, r->machine);
        if (dram && r->memory_unknown_ns)
                warn(warnings,
                     "the target's memory was not measured in %.1f s of the time: no dram energy "
                     "is charged for them",
                     (double)r->memory_unknown_ns / NS_PER_S);
        if (r->event == REPORT_FINAL && r->cpu_ns == 0 &&
            !cputime_exact(sampler_cputime(h->sampler)))
                warn(warnings,
                     "no CPU time of this target was seen: 0 means not known here, for what lives "
                     "shorter than the time between two looks at /proc");
        if (r->event == REPORT_FINAL && r->detached)
                warn(warnings, "processes of the target were still running at the end");
        return json_pack(
                "{s:s, s:b, s:i, s:o, s:f, s:f, s:f, s:f, s:i, s:i, s:s, s:f, s:f, s:s, s:o, s:o, "
                "s:o, "
                "s:o, s:o, s:o, s:o, s:o}",
                "source", meter_source_name(sampler_meter(h->sampler)), "estimated",
                meter_estimated(sampler_meter(h->sampler)), "pid", (int)h->pid, "name",
                json_name(h->name), "time", realtime_of(r->end_ns), "duration_s",
                (double)(r->end_ns - r->start_ns) / NS_PER_S, "machine_s",
                (double)r->machine_ns / NS_PER_S, "cpu_s", (double)r->cpu_ns / NS_PER_S,
                "processes", (int)r->processes, "threads", (int)r->threads, "model", h->model,
                "gamma", h->gamma, "delta", h->delta, "baseline", h->baseline, "attributed",
                pair_json(json_number_if(p->known, p->attributed_j),
                          json_number_if(dram, d->attributed_j)),
                "share",
                pair_json(json_joules(p->known, p->share_uj), json_joules(dram, d->share_uj)),
                "tracer",
                pair_json(json_joules(p->known, p->tracer_uj), json_joules(dram, d->tracer_uj)),
                "machine", machine_json(known, base, energy, fixed), "sockets", sockets, "memory",
                dram ? memory_json(r) : json_null(), "reasons", reasons, "warnings", warnings);
}
