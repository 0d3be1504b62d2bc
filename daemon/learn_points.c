/* SPDX-License-Identifier: MIT */
#include "learn_points.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "clock.h"
#include "regress.h"

_Static_assert(LEARN_POINTS <= REGRESS_MAX_POINTS, "all points are fitted at once");

struct domain_points {
        double load[LEARN_POINTS], watts[LEARN_POINTS]; /* rings; load in CPUs */
        uint64_t period[LEARN_POINTS];                  /* in which the point was taken */
        size_t n, next;
        unsigned int ncpus; /* behind it */
        int error;          /* of the last fit; 0: there is one */
        struct base_fit fit;
};

struct learn_points {
        const struct accounts *accounts;
        struct domain_points *domains; /* by account */
        uint64_t periods;              /* that have been added */
        unsigned int since_fit;        /* the same */
};

int learn_points_new(struct learn_points **ret, const struct accounts *accounts,
                     const struct topology *topology)
{
        struct learn_points *p = calloc(1, sizeof(*p));

        if (p)
                p->domains = calloc(accounts->n, sizeof(*p->domains));
        if (!p || !p->domains) {
                free(p);
                return -ENOMEM;
        }
        p->accounts = accounts;
        for (unsigned int i = 0; i < accounts->n; i++) {
                p->domains[i].error = -ENODATA;
                for (unsigned int cpu = 0; cpu < topology->ncpus; cpu++)
                        p->domains[i].ncpus += topology->cpus[cpu].slot >= 0 &&
                                               (accounts->all[i].slots >> topology->cpus[cpu].slot &
                                                1);
        }
        *ret = p;
        return 0;
}

void learn_points_free(struct learn_points *p)
{
        if (!p)
                return;
        free(p->domains);
        free(p);
}

/* The i-th in the order of time. */
static size_t place(const struct domain_points *d, size_t i)
{
        return (d->next + LEARN_POINTS - d->n + i) % LEARN_POINTS;
}

/* A domain that is not read has no new points, and its old ones say nothing of today's machine. */
static void forget_old(struct domain_points *d, uint64_t now)
{
        while (d->n && now - d->period[place(d, 0)] >= LEARN_POINTS)
                d->n--;
}

static void add_point(struct domain_points *d, uint64_t period, double load, double watts)
{
        d->period[d->next] = period;
        d->load[d->next] = load;
        d->watts[d->next] = watts;
        d->next = (d->next + 1) % LEARN_POINTS;
        if (d->n < LEARN_POINTS)
                d->n++;
}

void learn_points_add(struct learn_points *p, uint64_t *sums, uint64_t *before, double seconds)
{
        const struct accounts *a = p->accounts;

        for (unsigned int i = 0; i < a->n; i++) {
                uint64_t busy_ns, uj;

                forget_old(&p->domains[i], p->periods);
                if (!account_was_read(a, i, sums, before, (uint64_t)(seconds * NS_PER_S)))
                        continue;
                busy_ns = account_time_ns(&a->all[i], busy_sum(a, sums, 0), a->nslots) -
                          account_time_ns(&a->all[i], busy_sum(a, before, 0), a->nslots);
                uj = *account_sum(a, sums, SUM_ENERGY_UJ, i) -
                     *account_sum(a, before, SUM_ENERGY_UJ, i);
                add_point(&p->domains[i], p->periods, (double)busy_ns / NS_PER_S / seconds,
                          (double)uj / 1e6 / seconds);
        }
        p->periods++;
        p->since_fit++;
}

static void fit_domain(struct domain_points *d)
{
        double load[LEARN_POINTS], watts[LEARN_POINTS];

        for (size_t i = 0; i < d->n; i++) {
                load[i] = d->load[place(d, i)];
                watts[i] = d->watts[place(d, i)];
        }
        d->error = base_fit(&d->fit, load, watts, d->n);
}

void learn_points_fit(struct learn_points *p)
{
        if (p->since_fit < LEARN_FIT_EVERY)
                return;
        p->since_fit = 0;
        for (unsigned int i = 0; i < p->accounts->n; i++)
                fit_domain(&p->domains[i]);
}

const struct base_fit *learn_points_of(const struct learn_points *p, unsigned int account)
{
        return p->domains[account].error == 0 ? &p->domains[account].fit : NULL;
}

const char *learn_points_lacking(const struct learn_points *p, unsigned int account)
{
        const struct domain_points *d = &p->domains[account];

        if (d->error == 0)
                return base_fit_lacking(&d->fit, d->n, d->ncpus);
        if (d->n < BASE_FIT_MIN_POINTS)
                return "more time";
        if (d->error == -ERANGE)
                return "readings other than 0";
        return d->error == -ENODATA ? "a load that varies more" : "more time";
}

size_t learn_points_count(const struct learn_points *p, unsigned int account)
{
        return p->domains[account].n;
}

static void base_of_socket(const struct learn_points *p, bool trusted, enum energy_kind kind,
                           unsigned int socket, double *base_w, double *half_width_w)
{
        const struct accounts *a = p->accounts;
        double base = 0, half_width = 0;
        unsigned int dies = 0;

        *base_w = *half_width_w = NAN;
        for (unsigned int i = 0; i < a->n; i++) {
                const struct base_fit *fit = learn_points_of(p, i);

                if (a->all[i].kind != kind || a->all[i].socket != socket)
                        continue;
                if (!fit || (trusted && learn_points_lacking(p, i)))
                        return;
                base += fit->base_w;
                half_width += fit->half_width_w;
                dies++;
        }
        if (!dies)
                return;
        *base_w = base;
        *half_width_w = half_width;
}

/* Of the CPUs behind a socket's packages, median over the points; NAN: there are none. */
static double percent_of_socket(const struct learn_points *p, unsigned int socket)
{
        const struct accounts *a = p->accounts;
        double busy = 0, load[LEARN_POINTS];
        unsigned int ncpus = 0;

        for (unsigned int i = 0; i < a->n; i++) {
                const struct domain_points *d = &p->domains[i];

                if (a->all[i].kind != ENERGY_PACKAGE || a->all[i].socket != socket || !d->n)
                        continue;
                for (size_t j = 0; j < d->n; j++)
                        load[j] = d->load[place(d, j)];
                busy += regress_median(load, d->n);
                ncpus += d->ncpus;
        }
        return ncpus ? fmin(100, 100 * busy / ncpus) : NAN;
}

void learn_points_base(const struct learn_points *p, bool trusted, struct baseline *b)
{
        for (unsigned int socket = 0; socket < p->accounts->nsockets; socket++) {
                base_of_socket(p, trusted, ENERGY_PACKAGE, socket, &b->package_w[socket],
                               &b->package_half_width_w[socket]);
                base_of_socket(p, trusted, ENERGY_DRAM, socket, &b->dram_w[socket],
                               &b->dram_half_width_w[socket]);
                b->package_percent[socket] = percent_of_socket(p, socket);
        }
}
