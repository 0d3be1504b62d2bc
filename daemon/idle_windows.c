/* SPDX-License-Identifier: MIT */
#include "idle_windows.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "clock.h"
#include "regress.h"

static double *at(const struct idle_windows *w, double *values, unsigned int window,
                  unsigned int socket)
{
        return &values[(size_t)window * w->accounts->nsockets + socket];
}

int idle_windows_init(struct idle_windows *w, const struct accounts *accounts,
                      const struct topology *topology, unsigned int wanted)
{
        size_t cells = (size_t)wanted * accounts->nsockets;
        bool good;

        *w = (struct idle_windows){.accounts = accounts, .wanted = wanted};
        w->busy_cpus = calloc(cells, sizeof(double));
        w->unplaced_cpus = calloc(wanted, sizeof(double));
        w->unread = calloc(accounts->n, sizeof(*w->unread));
        w->scratch = calloc(wanted, sizeof(double));
        good = w->busy_cpus && w->unplaced_cpus && w->unread && w->scratch;
        for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++) {
                w->power_w[kind] = calloc(cells, sizeof(double));
                good = good && w->power_w[kind];
        }
        for (unsigned int socket = 0; socket < accounts->nsockets; socket++)
                w->slots[socket] = topology_slots_of(topology, topology->sockets[socket], -1);
        for (unsigned int cpu = 0; cpu < topology->ncpus; cpu++) {
                int socket = topology_socket_index(topology, topology->cpus[cpu].socket);

                if (topology->cpus[cpu].online && socket >= 0 &&
                    (unsigned int)socket < accounts->nsockets)
                        w->ncpus[socket]++;
        }
        if (good)
                return 0;
        idle_windows_deinit(w);
        return -ENOMEM;
}

void idle_windows_deinit(struct idle_windows *w)
{
        for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++)
                free(w->power_w[kind]);
        free(w->busy_cpus);
        free(w->unplaced_cpus);
        free(w->unread);
        free(w->scratch);
        *w = (struct idle_windows){0};
}

/* A die that was not read makes its socket's power unknown, whatever the others used. */
static double power_of(const struct accounts *a, uint64_t *sums, uint64_t *before, double seconds,
                       enum energy_kind kind, unsigned int socket)
{
        double uj = NAN;

        for (unsigned int i = 0; i < a->n; i++) {
                if (a->all[i].kind != kind || a->all[i].socket != socket)
                        continue;
                if (!account_was_read(a, i, sums, before, (uint64_t)(seconds * NS_PER_S)))
                        return NAN;
                uj = (isnan(uj) ? 0 : uj) + (double)(*account_sum(a, sums, SUM_ENERGY_UJ, i) -
                                                     *account_sum(a, before, SUM_ENERGY_UJ, i));
        }
        return uj / 1e6 / seconds;
}

/* Time on CPUs whose socket is not known yet could be of any: it counts for each. */
static double busy_of(const struct idle_windows *w, uint64_t *sums, uint64_t *before,
                      double seconds, unsigned int socket)
{
        const struct accounts *a = w->accounts;
        uint64_t slots = w->slots[socket], ns = 0;

        for (unsigned int slot = 0; slot <= a->nslots; slot++)
                if (slot == a->nslots || slots >> slot & 1)
                        ns += *busy_sum(a, sums, slot) - *busy_sum(a, before, slot);
        return (double)ns / NS_PER_S / seconds;
}

void idle_windows_add(struct idle_windows *w, uint64_t *sums, uint64_t *before, double seconds)
{
        const struct accounts *a = w->accounts;

        for (unsigned int socket = 0; socket < a->nsockets; socket++) {
                for (unsigned int kind = 0; kind < ENERGY_KINDS; kind++)
                        *at(w, w->power_w[kind], w->n, socket) = power_of(
                                a, sums, before, seconds, (enum energy_kind)kind, socket);
                *at(w, w->busy_cpus, w->n, socket) = busy_of(w, sums, before, seconds, socket);
        }
        w->unplaced_cpus[w->n] = (double)(*busy_sum(a, sums, a->nslots) -
                                          *busy_sum(a, before, a->nslots)) /
                                 NS_PER_S / seconds;
        for (unsigned int i = 0; i < a->n; i++)
                w->unread[i] += !account_was_read(a, i, sums, before,
                                                  (uint64_t)(seconds * NS_PER_S));
        w->n++;
}

double idle_windows_power_w(const struct idle_windows *w, enum energy_kind kind,
                            unsigned int socket)
{
        return *at(w, w->power_w[kind], w->n - 1, socket);
}

static double percent_of(const struct idle_windows *w, unsigned int window)
{
        double unplaced = w->unplaced_cpus[window], busy = unplaced; /* once, for all */
        unsigned int ncpus = 0;

        for (unsigned int socket = 0; socket < w->accounts->nsockets; socket++) {
                busy += *at(w, w->busy_cpus, window, socket) - unplaced;
                ncpus += w->ncpus[socket];
        }
        return 100 * busy / (ncpus ? ncpus : 1);
}

double idle_windows_busy_percent(const struct idle_windows *w)
{
        return percent_of(w, w->n - 1);
}

double idle_windows_median_percent(struct idle_windows *w)
{
        for (unsigned int window = 0; window < w->n; window++)
                w->scratch[window] = percent_of(w, window);
        return regress_median(w->scratch, w->n);
}

/* Median of what is known, and median absolute deviation; NAN: nothing is. */
static void robust(struct idle_windows *w, double *values, unsigned int socket, double *middle,
                   double *mad)
{
        unsigned int n = 0;

        *middle = *mad = NAN;
        for (unsigned int window = 0; window < w->n; window++)
                if (!isnan(*at(w, values, window, socket)))
                        w->scratch[n++] = *at(w, values, window, socket);
        if (!n)
                return;
        *middle = regress_median(w->scratch, n);
        for (unsigned int i = 0; i < n; i++)
                w->scratch[i] = fabs(w->scratch[i] - *middle);
        *mad = regress_median(w->scratch, n);
}

void idle_windows_base(struct idle_windows *w, struct baseline *b)
{
        for (unsigned int socket = 0; socket < w->accounts->nsockets; socket++) {
                robust(w, w->power_w[ENERGY_PACKAGE], socket, &b->package_w[socket],
                       &b->package_mad_w[socket]);
                robust(w, w->power_w[ENERGY_DRAM], socket, &b->dram_w[socket],
                       &b->dram_mad_w[socket]);
                b->package_percent[socket] =
                        w->ncpus[socket] ? fmin(100, 100 * idle_windows_busy_cpus(w, socket) /
                                                             w->ncpus[socket])
                                         : NAN;
        }
}

static const double *powers_of(const struct baseline *b, enum energy_kind kind)
{
        return kind == ENERGY_PACKAGE ? b->package_w : b->dram_w;
}

int idle_windows_unread(const struct idle_windows *w, enum energy_kind kind,
                        const struct baseline *b, const struct baseline *kept)
{
        const struct accounts *a = w->accounts;
        int worst = -1;

        for (unsigned int i = 0; i < a->n; i++) {
                unsigned int socket = a->all[i].socket;

                if (a->all[i].kind == kind && isnan(powers_of(b, kind)[socket]) &&
                    !(kept && isnan(powers_of(kept, kind)[socket])) &&
                    (worst < 0 || w->unread[i] > w->unread[worst]))
                        worst = (int)i;
        }
        return worst;
}

double idle_windows_busy_cpus(struct idle_windows *w, unsigned int socket)
{
        for (unsigned int window = 0; window < w->n; window++)
                w->scratch[window] = *at(w, w->busy_cpus, window, socket);
        return regress_median(w->scratch, w->n);
}

/*
 * A twentieth of two CPUs is a tenth of one, and is what a small machine's own services take.  A
 * twentieth of 128 would be six busy CPUs, many times what idle power is to be told to: a socket's
 * services take no more of a large machine than of a small one, so half a CPU is enough for them.
 */
double idle_windows_allowed(const struct idle_windows *w, unsigned int socket)
{
        return fmin(IDLE_MAX_BUSY_PART * w->ncpus[socket], IDLE_MAX_BUSY_CPUS);
}
