/* SPDX-License-Identifier: MIT */
/*
 * estimate: no meter, but a linear model of one, so that a machine without a meter gives an answer
 * of the same shape, marked as estimated wherever it is shown.  For each socket
 *
 *         energy = idle_w x online logical CPUs x t + busy_w x busy time
 *
 * The form and the defaults in configs/energatd.conf follow Cloud Carbon Footprint, methodology,
 * "Compute" (https://www.cloudcarbonfootprint.org/docs/methodology/), which takes them from the
 * SPECpower_ssj2008 results of the processors of a cloud: average watts = minimum + utilisation x
 * (maximum - minimum), per logical CPU, with a minimum of 0.74 W and a maximum of 3.5 W for AWS.
 * Hence 0.74 W per logical CPU, and 2.76 W more for a busy one.  SPECpower measures whole servers:
 * the estimate is of the server's power, and is told as the package's.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "source.h"

/* Above any processor: the largest packages of today draw 1 to 2 kW in all. */
#define MAX_W_PER_CPU 10000.0

/* Powers are in microwatts and times in nanoseconds, so energy arises in this unit's parts. */
#define UW_NS_PER_UJ UINT64_C(1000000000)

struct socket_energy {
        uint64_t counter_uj;
        uint64_t remainder_uw_ns; /* not yet a whole microjoule; carried, so that nothing drifts */
};

struct source {
        /* the sampler's, which refreshes it when CPUs come and go; outlives the source */
        const struct topology *topology;
        uint64_t idle_uw; /* per online logical CPU */
        uint64_t busy_uw; /* more, per busy logical CPU */
        struct domain domains[TOPOLOGY_MAX_SOCKETS];
        struct socket_energy energy[TOPOLOGY_MAX_SOCKETS];
        size_t ndomains;
        bool started;
        uint64_t last_ns;
        uint64_t last_busy_ns[TOPOLOGY_MAX_SLOTS]; /* the highest seen */
};

static bool valid_power(double w)
{
        return isfinite(w) && w >= 0 && w <= MAX_W_PER_CPU;
}

static int estimate_probe(const struct source_config *config, const struct topology *topology,
                          char *why)
{
        if (!valid_power(config->estimate_idle_w) || !valid_power(config->estimate_busy_w)) {
                snprintf(why, SOURCE_WHY_MAX,
                         "estimate_idle_w %g and estimate_busy_w %g must be 0 to %g W per CPU",
                         config->estimate_idle_w, config->estimate_busy_w, MAX_W_PER_CPU);
                return -EINVAL;
        }
        if (topology->nsockets == 0) {
                snprintf(why, SOURCE_WHY_MAX, "the machine's CPUs are not known");
                return -ENODEV;
        }
        return 0;
}

static int estimate_open(struct source **ret, const struct source_config *config,
                         const struct topology *topology, char *why)
{
        struct source *s;
        int r = estimate_probe(config, topology, why);

        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s) {
                snprintf(why, SOURCE_WHY_MAX, "out of memory");
                return -ENOMEM;
        }
        s->topology = topology;
        s->idle_uw = (uint64_t)llround(config->estimate_idle_w * 1e6);
        s->busy_uw = (uint64_t)llround(config->estimate_busy_w * 1e6);
        for (unsigned int i = 0; i < topology->nsockets; i++) {
                struct domain *d = &s->domains[s->ndomains++];

                *d = (struct domain){
                        .kind = DOMAIN_PACKAGE,
                        .socket = topology->sockets[i],
                        .die = -1,
                        .range_uj = UINT64_MAX,
                        .resolution_uj = 1,
                };
                snprintf(d->name, sizeof(d->name), "package-%d", d->socket);
                snprintf(d->label, sizeof(d->label), "package-%d", d->socket);
        }
        *ret = s;
        return 0;
}

static size_t estimate_domains(const struct source *s, const struct domain **ret)
{
        *ret = s->domains;
        return s->ndomains;
}

static unsigned int online_cpus(const struct topology *t, int socket)
{
        unsigned int n = 0;

        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++)
                n += t->cpus[cpu].online && t->cpus[cpu].socket == socket;
        return n;
}

static size_t slots_in(const struct source *s, const struct source_input *input)
{
        return input->nslots < s->topology->nslots ? input->nslots : s->topology->nslots;
}

/*
 * The accounting may run ahead by an estimate and take a part of it back (a thread that is still
 * running).  Energy cannot be taken back: it waits at the highest busy time that was seen.
 */
static uint64_t busy_since_last(const struct source *s, const struct source_input *input,
                                int socket)
{
        uint64_t busy_ns = 0;

        for (size_t i = 0; i < slots_in(s, input); i++)
                if (s->topology->slots[i].socket == socket &&
                    input->slot_busy_ns[i] > s->last_busy_ns[i])
                        busy_ns += input->slot_busy_ns[i] - s->last_busy_ns[i];
        return busy_ns;
}

static void estimate_read(struct source *s, const struct source_input *input,
                          struct reading *readings)
{
        if (!input || !input->slot_busy_ns || (s->started && input->now_ns < s->last_ns)) {
                for (size_t i = 0; i < s->ndomains; i++)
                        readings[i] = (struct reading){.error = -EINVAL};
                return;
        }
        for (size_t i = 0; i < s->ndomains; i++) {
                struct socket_energy *e = &s->energy[i];

                if (s->started) {
                        int socket = s->domains[i].socket;
                        unsigned __int128 uw_ns = e->remainder_uw_ns;

                        uw_ns += (unsigned __int128)s->idle_uw * online_cpus(s->topology, socket) *
                                 (input->now_ns - s->last_ns);
                        uw_ns += (unsigned __int128)s->busy_uw * busy_since_last(s, input, socket);
                        e->counter_uj += (uint64_t)(uw_ns / UW_NS_PER_UJ);
                        e->remainder_uw_ns = (uint64_t)(uw_ns % UW_NS_PER_UJ);
                }
                readings[i] = (struct reading){.counter_uj = e->counter_uj};
        }
        for (size_t i = 0; i < slots_in(s, input); i++)
                if (!s->started || input->slot_busy_ns[i] > s->last_busy_ns[i])
                        s->last_busy_ns[i] = input->slot_busy_ns[i];
        s->started = true;
        s->last_ns = input->now_ns;
}

static double estimate_known_base_w(const struct source *s, size_t domain)
{
        return (double)s->idle_uw * 1e-6 * online_cpus(s->topology, s->domains[domain].socket);
}

static void estimate_close(struct source *s)
{
        free(s);
}

extern const struct source_driver source_estimate;

const struct source_driver source_estimate = {
        .name = "estimate",
        .estimated = true,
        .probe = estimate_probe,
        .open = estimate_open,
        .domains = estimate_domains,
        .read = estimate_read,
        .known_base_w = estimate_known_base_w,
        .close = estimate_close,
};
