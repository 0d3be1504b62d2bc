/* SPDX-License-Identifier: MIT */
#include "totals.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "counter.h"

/* What a domain may draw where nothing has been seen of it, and how far above the highest power
 * seen it may go: as in meter.c, which judges steps of a counter in the same way. */
#define ASSUMED_UW       UINT64_C(1000000000)
#define PLAUSIBLE_FACTOR 4
#define SLACK_NS         (NS_PER_S / 10) /* counters and clocks are not read at one instant */

/* ---- what is counted ---- */

static void take_cpu_time(struct totals_live *live, const struct sampler *s)
{
        const struct cputime_totals *t = cputime_totals(sampler_cputime(s));
        const struct accounts *a = sampler_accounts(s);

        live->busy_ns = all_slots_ns(a, t->busy_ns);
        live->nobody_ns = all_slots_ns(a, t->nobody_ns);
        live->irq_ns = t->irq_known ? all_slots_ns(a, t->irq_ns) : 0;
        live->idle_ns = t->idle_known ? t->idle_ns : 0;
        live->irq_known = t->irq_known;
        live->idle_known = t->idle_known;
        live->stolen_ns = t->stolen_ns;
        live->lost_ns = cputime_losses(sampler_cputime(s))->lost_ns;
        live->wall_ns = t->cpu_wall_ns;
}

/*
 * Energy that is not split yet is not told yet: it may become a share or nobody's, and neither may
 * ever become less.  The counter is taken back with it, so that who goes on from there finds it.
 */
static void take_back(struct totals_live *live, size_t domain, uint64_t pending_uj)
{
        struct meter_counter *counter = &live->counters[domain];
        uint64_t range_uj = live->domains[domain].range_uj;

        live->energy_uj[domain] -= pending_uj;
        if (counter->counter_uj >= pending_uj)
                counter->counter_uj -= pending_uj;
        else if (range_uj >= pending_uj)
                counter->counter_uj += range_uj - pending_uj + 1;
        else
                counter->known = false;
}

void totals_take(struct totals_live *live, struct sampler *s, bool exact)
{
        const struct meter *meter = sampler_meter(s);
        const struct accounts *a = sampler_accounts(s);
        uint64_t now_ns, started_ns;
        uint64_t *sums = (uint64_t *)sampler_sums(s, &now_ns, &started_ns);
        uint64_t asleep_ns; /* since the boot */

        if (exact)
                sampler_settle(s);
        else
                sums = (uint64_t *)sampler_mark_sums(s);
        asleep_ns = clock_ns(CLOCK_BOOTTIME);
        asleep_ns -= monotonic_ns();
        *live = (struct totals_live){.source = meter_source_name(meter),
                                     .estimated = meter_estimated(meter),
                                     .boottime_ns = now_ns + asleep_ns,
                                     .counted_ns = now_ns - started_ns};
        live->ndomains = meter_domains(meter, &live->domains);
        for (size_t i = 0; i < live->ndomains; i++) {
                live->energy_uj[i] = exact ? sampler_energy_uj(s)[i]
                                           : sampler_domains(s)[i].energy_uj;
                meter_counter(meter, i, &live->counters[i]);
        }
        for (unsigned int i = 0; i < a->n; i++) {
                size_t domain = a->all[i].domain;

                live->static_uj[domain] = *account_sum(a, sums, SUM_STATIC_UJ, i);
                live->unattributed_uj[domain] = *account_sum(a, sums, SUM_UNATTRIBUTED_UJ, i);
                live->base_uw[domain] = a->all[i].base_uw;
                if (exact)
                        take_back(live, domain, sampler_pending_uj(s)[i]);
        }
        take_cpu_time(live, s);
}

static uint64_t range_of(const struct domain *domain)
{
        return domain->range_uj ? domain->range_uj : UINT64_MAX;
}

void totals_add(struct state *state, const struct totals_live *live)
{
        for (size_t i = 0; i < live->ndomains; i++) {
                const struct domain *domain = &live->domains[i];
                const struct meter_counter *counter = &live->counters[i];
                struct state_domain *d = state_domain(state, domain->label, domain->kind);

                if (!d) /* more than any machine has: said by whoever asks for it */
                        continue;
                d->energy_uj += live->energy_uj[i];
                d->estimated_uj += live->estimated ? live->energy_uj[i] : 0;
                d->static_uj += live->static_uj[i];
                d->unattributed_uj += live->unattributed_uj[i];
                d->counter_uj = counter->counter_uj;
                d->range_uj = range_of(domain);
                d->base_uw = live->base_uw[i];
                if (counter->highest_uw > d->highest_uw)
                        d->highest_uw = counter->highest_uw;
                snprintf(d->source, sizeof(d->source), "%s", counter->known ? live->source : "");
        }
        state->boottime_ns = live->boottime_ns;
        state->busy_ns += live->busy_ns;
        state->nobody_ns += live->nobody_ns;
        state->idle_ns += live->idle_ns;
        state->irq_ns += live->irq_ns;
        state->stolen_ns += live->stolen_ns;
        state->lost_ns += live->lost_ns;
        state->wall_ns += live->wall_ns;
}

/* ---- going on ---- */

static uint64_t at_most(uint64_t power_uw, uint64_t time_ns)
{
        unsigned __int128 uj = (unsigned __int128)power_uw * time_ns / NS_PER_S;

        return uj > UINT64_MAX ? UINT64_MAX : (uint64_t)uj;
}

/* Energy of a domain between its last saved counter and the daemon's first reading.  NULL, or why
 * it is not known. */
static const char *gap_energy(const struct state_domain *d, const struct totals_live *live,
                              size_t i, uint64_t elapsed_ns, uint64_t *gap_uj)
{
        const struct meter_counter *counter = &live->counters[i];
        uint64_t highest_uw = counter->highest_uw > d->highest_uw ? counter->highest_uw
                                                                  : d->highest_uw;
        uint64_t delta_uj;

        if (!d->source[0] || !counter->known)
                return "the counter begins with the daemon";
        if (strcmp(d->source, live->source) != 0)
                return "energy is read from another source now";
        if (d->range_uj != range_of(&live->domains[i]) || d->counter_uj > d->range_uj ||
            counter->counter_uj > d->range_uj)
                return "the counter's range is another now";
        if (!highest_uw)
                highest_uw = ASSUMED_UW;
        if (at_most(highest_uw, elapsed_ns) >= d->range_uj)
                return "the counter can have gone round more than once";
        delta_uj = counter_delta_uj(d->counter_uj, counter->counter_uj, d->range_uj);
        if (delta_uj > at_most(PLAUSIBLE_FACTOR * highest_uw, elapsed_ns + SLACK_NS) ||
            delta_uj < live->energy_uj[i])
                return "the counter has begun anew";
        *gap_uj = delta_uj - live->energy_uj[i];
        return NULL;
}

static void book_gap(struct state_domain *d, uint64_t gap_uj, uint64_t gap_ns)
{
        uint64_t static_uj = at_most(d->base_uw, gap_ns);

        d->energy_uj += gap_uj;
        d->gap_uj += gap_uj;
        if (d->kind != DOMAIN_PACKAGE && d->kind != DOMAIN_DRAM)
                return;
        if (static_uj > gap_uj)
                static_uj = gap_uj;
        d->static_uj += static_uj;
        d->unattributed_uj += gap_uj - static_uj;
}

bool totals_resume(struct state *before, const struct totals_live *live, const char *boot_id,
                   char *said, size_t size)
{
        uint64_t elapsed_ns, gap_ns, package_uj = 0;
        const char *unknown = NULL, *where = "";

        said[0] = '\0';
        if (!before->starts)
                return true;
        if (strcmp(before->boot_id, boot_id) != 0 || live->boottime_ns < before->boottime_ns) {
                snprintf(said, size,
                         "the machine was started anew: what it used since the last save is not "
                         "known");
                return false;
        }
        elapsed_ns = live->boottime_ns - before->boottime_ns;
        gap_ns = elapsed_ns > live->counted_ns ? elapsed_ns - live->counted_ns : 0;
        before->gap_ns += gap_ns;
        for (size_t i = 0; i < live->ndomains; i++) {
                struct state_domain *d = state_find(before, live->domains[i].label);
                uint64_t gap_uj = 0;
                const char *why;

                if (!d)
                        continue;
                why = gap_energy(d, live, i, elapsed_ns, &gap_uj);
                if (why && !unknown) {
                        unknown = why;
                        where = d->label;
                }
                if (why)
                        continue;
                book_gap(d, gap_uj, gap_ns);
                if (d->kind == DOMAIN_PACKAGE)
                        package_uj += gap_uj;
        }
        if (unknown) {
                before->missing_ns += gap_ns;
                snprintf(said, size,
                         "energy of %.3f s without energatd is not known and missing in the totals "
                         "(%s: %s)",
                         (double)gap_ns / (double)NS_PER_S, where, unknown);
        } else {
                snprintf(said, size,
                         "%.3f s without energatd: %.3f J of package energy in that time are "
                         "nobody's",
                         (double)gap_ns / (double)NS_PER_S, (double)package_uj / 1e6);
        }
        return !unknown;
}
