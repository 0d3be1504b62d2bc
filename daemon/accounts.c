/* SPDX-License-Identifier: MIT */
#include "accounts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "clock.h"

/* A package uses energy all the time, and RAPL says so every millisecond.  A counter of it that
 * stands still for so long is not 0 W.  The meter calls it stuck later, when it is sure. */
#define STILL_NS (NS_PER_S / 2)
/* Power varies; a baseline that was not reached for a twentieth of its energy is worth a word. */
#define BASE_HIGH_FACTOR 20
/* So many tell more than how much single ones vary. */
#define BASE_HIGH_TICKS 100

/* Over this, no energy at all is none that was read. */
#define NONE_NS (NS_PER_S / 10)

int accounts_init(struct accounts *a, const struct meter *meter, const struct topology *topology)
{
        const struct domain *domains;
        size_t n = meter_domains(meter, &domains), packages = 0;

        *a = (struct accounts){.nslots = topology->nslots, .nsockets = topology->nsockets};
        a->all = calloc(n + 1, sizeof(a->all[0]));
        if (!a->all)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int socket = topology_socket_index(topology, domains[i].socket);

                if ((domains[i].kind != DOMAIN_PACKAGE && domains[i].kind != DOMAIN_DRAM) ||
                    socket < 0)
                        continue;
                packages += domains[i].kind == DOMAIN_PACKAGE;
                a->all[a->n++] = (struct account){
                        .domain = i,
                        .kind = domains[i].kind == DOMAIN_PACKAGE ? ENERGY_PACKAGE : ENERGY_DRAM,
                        .socket = (unsigned int)socket,
                        .slots = topology_slots_of(topology, domains[i].socket, domains[i].die),
                        .metered = domains[i].kind == DOMAIN_PACKAGE && !meter_estimated(meter),
                        .prompt = domains[i].kind == DOMAIN_PACKAGE && meter_prompt(meter),
                };
        }
        a->nsums = (size_t)SUM_COLUMNS * a->n + SUM_MACHINE_COLUMNS + a->nslots + 1;
        a->sums = calloc(a->nsums, sizeof(a->sums[0]));
        if (!a->sums || !packages) {
                int r = a->sums ? -ENOENT : -ENOMEM;

                accounts_deinit(a);
                return r;
        }
        return 0;
}

void accounts_deinit(struct accounts *a)
{
        free(a->all);
        free(a->sums);
        *a = (struct accounts){0};
}

/* How many domains of one kind share a socket (dies): a socket's baseline is spread over them. */
static unsigned int siblings(const struct accounts *a, const struct account *account)
{
        unsigned int n = 0;

        for (unsigned int i = 0; i < a->n; i++)
                n += a->all[i].kind == account->kind && a->all[i].socket == account->socket;
        return n;
}

void accounts_set_baseline(struct accounts *a, const struct meter *meter, const struct baseline *b)
{
        for (unsigned int i = 0; i < a->n; i++) {
                struct account *account = &a->all[i];
                double w = meter_known_base_w(meter, account->domain);

                if (w < 0 && b && account->socket < b->nsockets) {
                        w = account->kind == ENERGY_PACKAGE ? b->package_w[account->socket]
                                                            : b->dram_w[account->socket];
                        w /= siblings(a, account);
                }
                account->base_known = isfinite(w) && w >= 0 && w * 1e6 <= (double)MODEL_MAX_BASE_UW;
                account->base_uw = account->base_known ? (uint64_t)llround(w * 1e6) : 0;
                account->base_ticks = *machine_sum(a, a->sums, SUM_TICKS);
                account->base_below = *account_sum(a, a->sums, SUM_BELOW_BASE, i);
                account->base_static_uj = *account_sum(a, a->sums, SUM_STATIC_UJ, i);
                account->base_dropped_uj = *account_sum(a, a->sums, SUM_DROPPED_UJ, i);
        }
}

bool accounts_have(const struct accounts *a, const struct domain *domain, size_t number)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].domain == number)
                        return true;
        return domain->kind != DOMAIN_PACKAGE && domain->kind != DOMAIN_DRAM;
}

bool accounts_have_baseline(const struct accounts *a, enum energy_kind kind)
{
        for (unsigned int i = 0; i < a->n; i++)
                if (a->all[i].kind == kind && !a->all[i].base_known)
                        return false;
        return true;
}

uint64_t all_slots_ns(const struct accounts *a, const uint64_t *by_slot)
{
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot < a->nslots + 1; slot++)
                ns += by_slot[slot];
        return ns;
}

uint64_t account_time_ns(const struct account *account, const uint64_t *by_slot,
                         unsigned int nslots)
{
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot < nslots; slot++)
                if (account->slots >> slot & 1)
                        ns += by_slot[slot];
        return ns;
}

bool account_base_is_high(uint64_t dropped_uj, uint64_t static_uj)
{
        return dropped_uj * BASE_HIGH_FACTOR > static_uj;
}

uint64_t account_below_base(const struct accounts *a, unsigned int account, uint64_t *sums,
                            uint64_t *ticks)
{
        const struct account *own = &a->all[account];
        uint64_t below;

        if (*machine_sum(a, sums, SUM_TICKS) < own->base_ticks)
                return 0; /* a copy of before the baseline */
        *ticks = *machine_sum(a, sums, SUM_TICKS) - own->base_ticks;
        below = *account_sum(a, sums, SUM_BELOW_BASE, account) - own->base_below;
        if (below < BASE_HIGH_TICKS || below > *ticks ||
            !account_base_is_high(
                    *account_sum(a, sums, SUM_DROPPED_UJ, account) - own->base_dropped_uj,
                    *account_sum(a, sums, SUM_STATIC_UJ, account) - own->base_static_uj))
                return 0;
        return below;
}

static uint64_t since(const struct accounts *a, unsigned int account, enum account_column column,
                      uint64_t *sums, uint64_t *before)
{
        return *account_sum(a, sums, column, account) - *account_sum(a, before, column, account);
}

static bool has_none(const struct accounts *a, unsigned int account, uint64_t *sums,
                     uint64_t *before, uint64_t window_ns)
{
        return a->all[account].metered && window_ns >= NONE_NS &&
               since(a, account, SUM_ENERGY_UJ, sums, before) == 0;
}

bool account_was_read(const struct accounts *a, unsigned int account, uint64_t *sums,
                      uint64_t *before, uint64_t window_ns)
{
        return since(a, account, SUM_UNKNOWN_NS, sums, before) == 0 &&
               since(a, account, SUM_STILL_NS, sums, before) == 0 &&
               !has_none(a, account, sums, before, window_ns);
}

bool account_was_dark(const struct accounts *a, unsigned int account, uint64_t *sums,
                      uint64_t *before, uint64_t window_ns)
{
        uint64_t dark_ns = since(a, account, SUM_UNKNOWN_NS, sums, before) +
                           since(a, account, SUM_STILL_NS, sums, before);

        return (window_ns && dark_ns >= window_ns) || has_none(a, account, sums, before, window_ns);
}

/* Time for which a counter stands still counts from its beginning, once it is long. */
static void count_still(struct accounts *a, unsigned int account, uint64_t energy_uj,
                        uint64_t elapsed_ns)
{
        struct account *own = &a->all[account];
        uint64_t still_ns = own->still_ns;

        own->still_ns = energy_uj || !own->prompt ? 0 : still_ns + elapsed_ns;
        if (own->still_ns >= STILL_NS)
                *account_sum(a, a->sums, SUM_STILL_NS,
                             account) += still_ns < STILL_NS ? own->still_ns : elapsed_ns;
}

/* The baseline's part of what was read.  A counter that stands still says nothing of the baseline.
 */
static uint64_t static_part_uj(struct account *own, uint64_t covered_ns, uint64_t energy_uj)
{
        const struct model_static before = own->carry;
        uint64_t static_uj = model_static_uj(&own->carry, own->base_uw, covered_ns, energy_uj);

        if (own->metered && !energy_uj)
                own->carry.dropped_fj = before.dropped_fj;
        return static_uj;
}

uint64_t account_book(struct accounts *a, unsigned int account, const struct meter_tick *tick,
                      bool gap)
{
        struct account *own = &a->all[account];
        uint64_t energy_uj, static_uj, dynamic_uj, covered_ns, dropped_uj;
        uint64_t late_uj = 0, late_ns = 0;

        if (!tick->known[own->domain]) {
                *account_sum(a, a->sums, SUM_UNKNOWN_NS, account) += tick->elapsed_ns;
                own->gap |= gap;
                return 0;
        }
        energy_uj = tick->energy_uj[own->domain];
        covered_ns = tick->covered_ns[own->domain];
        count_still(a, account, energy_uj, tick->elapsed_ns);
        static_uj = static_part_uj(own, covered_ns, energy_uj);
        dynamic_uj = energy_uj - static_uj;
        if (covered_ns > tick->elapsed_ns) { /* the reading before failed */
                late_ns = covered_ns - tick->elapsed_ns;
                late_uj = dynamic_uj - (uint64_t)((double)dynamic_uj * (double)tick->elapsed_ns /
                                                  (double)covered_ns);
        }
        if (gap || own->gap)
                late_uj = dynamic_uj;
        own->gap = false;
        *account_sum(a, a->sums, SUM_ENERGY_UJ, account) += energy_uj;
        *account_sum(a, a->sums, SUM_STATIC_UJ, account) += static_uj;
        *account_sum(a, a->sums, SUM_DYNAMIC_UJ, account) += dynamic_uj - late_uj;
        *account_sum(a, a->sums, SUM_UNATTRIBUTED_UJ, account) += late_uj;
        *account_sum(a, a->sums, SUM_LATE_NS, account) += late_ns;
        *account_sum(a, a->sums, SUM_UNBASED_NS, account) += own->base_known ? 0 : covered_ns;
        dropped_uj = (uint64_t)(own->carry.dropped_fj / MODEL_FJ_PER_UJ);
        if (dropped_uj != *account_sum(a, a->sums, SUM_DROPPED_UJ, account))
                *account_sum(a, a->sums, SUM_BELOW_BASE, account) += 1;
        *account_sum(a, a->sums, SUM_DROPPED_UJ, account) = dropped_uj;
        return dynamic_uj - late_uj;
}
