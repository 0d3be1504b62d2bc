/* SPDX-License-Identifier: MIT */
/*
 * Base power from a machine in use.
 *
 * Every half second the power of each package and dram domain and the busy CPUs behind it make a
 * point (learn_points.h); base power is what the last two minutes of them tell of power at rest
 * (base_fit.h).  It is trusted when there are enough points, when the load has varied enough, when
 * its 95 % confidence interval, over all laws that the points allow, is within 5 % of it, and when
 * power is in proportion to use or the machine was as good as at rest.  A calibration of the idle
 * machine assumes less, and takes precedence.
 *
 * Points are taken all the time, in the main thread.  As long as no baseline is kept they are
 * fitted by itself: every five seconds until there is one to trust, and results are marked
 * meanwhile, then every minute.  With one that is kept they are fitted for `Calibrate` with online
 * alone, and every minute where dram was not known when it was learned.
 */
#pragma once

#include <stdbool.h>

#include "baseline.h"
#include "sampler.h"
#include "server.h"

#define LEARN_PERIOD_NS 500000000ull

struct learner;

/* What is known so far. */
struct learned {
        bool trusted;
        double base_w, half_width_w; /* of the package told worst; NAN: nothing yet */
        unsigned int worst;          /* its account */
        unsigned int packages;       /* accounts of packages */
        const char *lacking;         /* what is missing for trust; NULL when trusted */
        unsigned int account;        /* the first for which it is */
};

int learner_new(struct learner **ret, struct server *server);
void learner_free(struct learner *l);

/* Look at the points that have come since, once there are enough to make it worth the time. */
void learner_fit(struct learner *l);

/* ---- as of the last fit ---- */

/* Of all packages; with dram: and of all dram domains. */
void learner_state(const struct learner *l, bool dram, struct learned *state);
/* The powers of a baseline, and nothing else of it; trusted false: also those that only are known.
 */
void learner_powers(const struct learner *l, bool trusted, struct baseline *b);
/* A whole baseline as a calibration makes one, of what is trusted.  It reads files. */
void learner_baseline(const struct learner *l, struct baseline *b);
