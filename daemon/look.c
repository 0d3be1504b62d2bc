/* SPDX-License-Identifier: MIT */
#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "configuration.h"
#include "keeper.h"
#include "report_json.h"

static void look_free(struct look *look)
{
        free(look->sums);
        free(look->rows);
        free(look->node_cpu_ns);
        target_copies_deinit(&look->targets);
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
        /* What waits to be split is not told yet, or rows would not add up to it. */
        for (unsigned int i = 0; i < a->n; i++)
                *account_sum(a, look->sums, SUM_ENERGY_UJ, i) -= sampler_pending_uj(s)[i];
        look->ntargets = sampler_targets(s);
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
                target_copies_take(&look->targets, s, &look->nodes);
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

/* Room for what the sampler copies. */
static int make_room(struct look *look)
{
        const struct server *s = look->server;

        look->sums = calloc(sampler_accounts(s->sampler)->nsums, sizeof(uint64_t));
        if (!look->sums)
                return -ENOMEM;
        if (!look->want_rows)
                return 0;
        row_nodes_init(&look->nodes, s->topology);
        look->max_rows = (size_t)s->config->max_processes * 2;
        look->rows = calloc(look->max_rows, sizeof(look->rows[0]));
        if (look->nodes.n > 1)
                look->node_cpu_ns = calloc(look->max_rows * look->nodes.n, sizeof(uint64_t));
        if (!look->rows || (look->nodes.n > 1 && !look->node_cpu_ns))
                return -ENOMEM;
        return target_copies_init(&look->targets, s, &look->nodes);
}

void look_start(struct call *call, void (*answer)(struct look *look), bool want_rows)
{
        struct look *look = calloc(1, sizeof(*look));

        if (look) {
                look->server = call->server;
                look->want_rows = want_rows;
        }
        if (!look || make_room(look) < 0) {
                if (look)
                        look_free(look);
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
                return;
        }
        look->call = call;
        look->answer = answer;
        look->there.deliver = run_look;
        look->back.deliver = on_back;
        call->state = look;
        call->gone = on_gone;
        sampler_post(call->server->sampler, &look->there);
}

bool look_baseline_is_high(struct look *look, char *text, size_t size)
{
        const struct sampler *s = look->server->sampler;
        const struct accounts *a = sampler_accounts(s);
        const struct domain *domains;

        (void)meter_domains(sampler_meter(s), &domains);
        for (unsigned int i = 0; i < a->n; i++) {
                uint64_t ticks, below = account_below_base(a, i, look->sums, &ticks);

                if (!below)
                        continue;
                snprintf(text, size,
                         "%s used less than its baseline of %.1f W in %llu of %llu ticks: it is "
                         "too high",
                         domains[a->all[i].domain].label, (double)a->all[i].base_uw / 1e6,
                         (unsigned long long)below, (unsigned long long)ticks);
                return true;
        }
        return false;
}

json_t *look_warnings(struct look *look)
{
        const struct accounts *a = sampler_accounts(look->server->sampler);
        json_t *warnings = json_array();
        const char *lacking, *doubt = server_baseline_doubt(look->server);
        char high[256];

        (void)server_baseline(look->server, &lacking);
        warnings_of_source(warnings, look->server->sampler, look->faults, lacking);
        warnings_of_window(warnings, look->server->sampler, machine_sum(a, look->sums, 0));
        if (look->server->baseline_problem[0] && !look->server->baseline_missing)
                json_array_append_new(warnings, json_string(look->server->baseline_problem));
        if (*doubt)
                json_array_append_new(warnings, json_string(doubt));
        if (look_baseline_is_high(look, high, sizeof(high)))
                json_array_append_new(
                        warnings,
                        json_sprintf("%s; measure it again with 'energat --basepower'", high));
        configuration_warnings(look->server->configuration, warnings);
        if (look->server->keeper)
                keeper_problems(look->server->keeper, warnings);
        return warnings;
}
