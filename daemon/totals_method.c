/* SPDX-License-Identifier: MIT */
/* GetTotals: what is counted over restarts. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "keeper.h"
#include "report_json.h"
#include "server.h"

static bool is_present(const struct sampler *s, const char *label)
{
        const struct domain *domains;
        size_t n = meter_domains(sampler_meter(s), &domains);

        for (size_t i = 0; i < n; i++)
                if (strcmp(domains[i].label, label) == 0)
                        return true;
        return false;
}

/*
 * Static part, shares and what is nobody's are told apart of packages and dram only; and of dram's
 * dynamic energy the parts are not known as of a mark, because they are made when somebody asks.
 */
static json_t *domain_json(const struct state_domain *d, bool present, bool exact)
{
        bool has_static = d->kind == DOMAIN_PACKAGE || d->kind == DOMAIN_DRAM;
        bool split = d->kind == DOMAIN_PACKAGE || (d->kind == DOMAIN_DRAM && exact);
        uint64_t parts_uj = d->static_uj + d->unattributed_uj;
        uint64_t share_uj = d->energy_uj > parts_uj ? d->energy_uj - parts_uj : 0;

        return json_pack(
                "{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "name", d->label, "kind",
                domain_kind_name(d->kind), "present", present, "energy_j",
                json_joules(true, d->energy_uj), "estimated_j", json_joules(true, d->estimated_uj),
                "static_j", json_joules(has_static, d->static_uj), "share_j",
                json_joules(split, share_uj), "unattributed_j",
                json_joules(split, d->unattributed_uj), "gap_j", json_joules(true, d->gap_uj));
}

static json_t *totals_json(const struct state *state, const struct keeper *k,
                           const struct sampler *sampler, bool exact)
{
        json_t *domains = json_array(), *warnings = json_array();
        double age_s = keeper_age_s(k);

        keeper_problems(k, warnings);
        for (size_t i = 0; i < state->ndomains; i++)
                json_array_append_new(
                        domains, domain_json(&state->domains[i],
                                             is_present(sampler, state->domains[i].label), exact));
        return json_pack(
                "{s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}",
                "since", (json_int_t)state->since_s, "starts", (json_int_t)state->starts, "boots",
                (json_int_t)state->boots, "gap_s", (double)state->gap_ns / NS_PER_S, "missing_s",
                (double)state->missing_ns / NS_PER_S, "saved_s",
                isnan(age_s) ? json_null() : json_real(age_s), "domains", domains, "cpu_s",
                (double)state->busy_ns / NS_PER_S, "idle_s", (double)state->idle_ns / NS_PER_S,
                "irq_s", (double)state->irq_ns / NS_PER_S, "stolen_s",
                (double)state->stolen_ns / NS_PER_S, "nobody_s",
                (double)state->nobody_ns / NS_PER_S, "lost_s", (double)state->lost_ns / NS_PER_S,
                "wall_s", (double)state->wall_ns / NS_PER_S, "warnings", warnings);
}

void method_totals(struct call *call)
{
        const struct keeper *k = call->server->keeper;
        bool exact = call_peer(call)->trusted;
        struct state *state = k ? malloc(sizeof(*state)) : NULL;

        if (!state) {
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
                return;
        }
        keeper_totals(k, exact, state);
        call_reply(call, totals_json(state, k, call->server->sampler, exact), false);
        free(state);
}
