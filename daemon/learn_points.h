/* SPDX-License-Identifier: MIT */
/*
 * The points that base power is learned from: of each package and dram domain its power and the
 * busy CPUs behind it, over the last two minutes, and the law fitted to them (base_fit.h).
 *
 * A socket's base power is the sum of its dies', and is not known before each die's is; so is the
 * half-width of its interval, because what moves one die's fit moves the others'.
 */
#pragma once

#include "accounts.h"
#include "base_fit.h"
#include "baseline.h"

#define LEARN_POINTS    240 /* two minutes of LEARN_PERIOD_NS */
#define LEARN_FIT_EVERY 10

struct learn_points;

/* -ENOMEM.  `accounts` is kept. */
int learn_points_new(struct learn_points **ret, const struct accounts *accounts,
                     const struct topology *topology);
void learn_points_free(struct learn_points *p);

/* The sums at the end and the beginning of some time.  A domain not read all the time has no point
 * in it. */
void learn_points_add(struct learn_points *p, uint64_t *sums, uint64_t *before, double seconds);

/* Fit all anew when LEARN_FIT_EVERY points have come since: it takes some milliseconds an account.
 */
void learn_points_fit(struct learn_points *p);

/* ---- as of the last fit ---- */

/* The fit of an account; NULL: none can be made yet. */
const struct base_fit *learn_points_of(const struct learn_points *p, unsigned int account);
/* What is missing for it to be trusted; NULL: nothing. */
const char *learn_points_lacking(const struct learn_points *p, unsigned int account);
/* How many there are of an account. */
size_t learn_points_count(const struct learn_points *p, unsigned int account);

/*
 * Powers, half-widths and the CPUs' use of `b`, of all sockets whose every die has a fit (trusted:
 * one that is to be trusted); NAN for the others.  Nothing else of `b` is touched.
 */
void learn_points_base(const struct learn_points *p, bool trusted, struct baseline *b);
