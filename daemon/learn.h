/* SPDX-License-Identifier: MIT */
/*
 * Base power from a machine in use.
 *
 * Every half second the power of each package and dram domain and the busy CPUs behind it make a
 * point; base power is the intercept of a robust line through the last two minutes of them
 * (regress.h). It is trusted when there are enough points, when the load has varied enough for the
 * line to have a direction, and when the intercept's 95 % confidence interval is within 5 % of it.
 * What this assumes: power that grows in proportion to busy CPUs.  Where it does not (turbo at few
 * busy CPUs), the intercept is too high; a calibration of the idle machine is better, and takes
 * precedence.
 *
 * Points are taken all the time, in the main thread.  As long as there is no baseline the line is
 * fitted by itself, and results are marked meanwhile; afterwards only for `Calibrate` with online.
 */
#pragma once

#include <stdbool.h>

#include "baseline.h"
#include "sampler.h"
#include "server.h"

#define LEARN_PERIOD_NS  500000000ull
#define LEARN_MIN_POINTS 40
#define LEARN_MIN_SPREAD 0.2  /* highest less lowest load, in CPUs, per CPU of the socket */
#define LEARN_MAX_WIDTH  0.05 /* half-width of the interval, of the intercept */

struct learner;

/* What is known so far of one domain's base power. */
struct learned {
        bool trusted;
        double base_w, half_width_w; /* NAN: nothing yet */
        const char *lacking;         /* what is missing for trust; NULL when trusted */
};

int learner_new(struct learner **ret, struct server *server);
void learner_free(struct learner *l);

/* Worst of all packages. */
void learner_state(struct learner *l, struct learned *state);
/* A baseline as a calibration makes one.  false: not trusted yet. */
bool learner_baseline(struct learner *l, struct baseline *b);
