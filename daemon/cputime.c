/* SPDX-License-Identifier: MIT */
#include "cputime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cputime {
        const struct cputime_driver *driver;
        void *state;
        struct cputime_totals totals;
        struct cputime_losses losses;
        char passed_over[512];
};

/* In the order of preference. */
static const struct cputime_driver *const drivers[] = {&cputime_bpf, &cputime_proc, NULL};

int cputime_open(struct cputime **ret, const struct cputime_config *config,
                 const struct topology *topology, struct processes *ps, char *why, size_t why_size)
{
        bool any = strcmp(config->probe, "auto") == 0;
        struct cputime *c = calloc(1, sizeof(*c));
        int r = -ENOENT;

        if (!c)
                return -ENOMEM;
        snprintf(why, why_size, "there is no CPU accounting called \"%s\"", config->probe);
        for (size_t i = 0; drivers[i]; i++) {
                if (!any && strcmp(config->probe, drivers[i]->name) != 0)
                        continue;
                r = drivers[i]->open(&c->state, config, topology, ps, why, why_size);
                if (r >= 0) {
                        c->driver = drivers[i];
                        *ret = c;
                        return 0;
                }
                snprintf(c->passed_over, sizeof(c->passed_over), "%s", why);
        }
        free(c);
        return r;
}

void cputime_close(struct cputime *c)
{
        if (!c)
                return;
        c->driver->close(c->state);
        free(c);
}

int cputime_collect(struct cputime *c, bool force)
{
        return c->driver->collect(c->state, force, &c->totals, &c->losses);
}

int cputime_meet(struct cputime *c, pid_t pid)
{
        return c->driver->meet(c->state, pid, &c->totals, &c->losses);
}

const struct cputime_totals *cputime_totals(const struct cputime *c)
{
        return &c->totals;
}

const struct cputime_losses *cputime_losses(const struct cputime *c)
{
        return &c->losses;
}

void cputime_set_topology(struct cputime *c, const struct topology *topology)
{
        c->driver->set_topology(c->state, topology);
}

const char *cputime_name(const struct cputime *c)
{
        return c->driver->describe(c->state);
}

const char *cputime_precision(const struct cputime *c)
{
        return c->driver->precision(c->state);
}

const char *cputime_why_passed_over(const struct cputime *c)
{
        return c->passed_over;
}

bool cputime_exact(const struct cputime *c)
{
        return c->driver->exact;
}
