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
 * Points are taken all the time, in the main thread.  As long as there is no baseline they are
 * fitted by itself, and results are marked meanwhile; afterwards only for `Calibrate` with online,
 * and for dram where that was kept before dram could be learned.
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
        const char *lacking;         /* what is missing for trust; NULL when trusted */
        unsigned int account;        /* the first for which it is */
};

int learner_new(struct learner **ret, struct server *server);
void learner_free(struct learner *l);

/* Of all packages; with dram: and of all dram domains. */
void learner_state(struct learner *l, bool dram, struct learned *state);
/* A baseline as a calibration makes one, of what is trusted; trusted false: of what is known. */
void learner_baseline(struct learner *l, bool trusted, struct baseline *b);
