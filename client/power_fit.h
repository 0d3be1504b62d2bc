/* SPDX-License-Identifier: MIT */
/*
 * The curve of power against load, by least squares:
 *
 *     P = base + k x u^exponent
 *
 * with u the number of busy cores of a package (its exponent is EnergAt's gamma), or the memory in
 * use (delta).  Several packages share one exponent and have a base and a k each.
 *
 * Cores are busy or not, so a package with u = 2.4 on average was at 2 for 60 % and at 3 for 40 %
 * of the time, and its power between: with `cores` the curve is the polygon through the whole
 * numbers.  Without that, a machine that is 2 % busy at rest would seem to need 0.02^0.3 = 31 % of
 * a core's power.
 *
 * For a given exponent the rest is a straight line, so the search is in one dimension: a grid, then
 * a golden section (Kiefer, "Sequential minimax search for a maximum", 1953).  Errors are from the
 * curvature of the sum of squares at its minimum.
 *
 * Pure: tables of numbers in, numbers out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POWER_FIT_MAX_GROUPS 64
#define POWER_FIT_LOWEST     0.05 /* of exponents looked at; the highest is 1 */

struct power_point {
        unsigned int group; /* package */
        double load, watts;
};

struct power_fit {
        double exponent, exponent_error; /* one standard error; NAN when there are too few points */
        unsigned int ngroups;
        double base_w[POWER_FIT_MAX_GROUPS], base_error_w[POWER_FIT_MAX_GROUPS];
        double slope_w[POWER_FIT_MAX_GROUPS]; /* k */
        double residual_w;                    /* root mean square */
};

/*
 * known_base_w: NULL, or the base power of each group, which is then not fitted.
 *
 * 0; -ENODATA: too few loads that differ (3 in a group, 2 with known bases); -ERANGE: power does
 * not grow with the load.
 */
int power_fit(struct power_fit *fit, const struct power_point *points, size_t n, bool cores,
              const double *known_base_w);

/* The curve at a load. */
double power_fit_watts(const struct power_fit *fit, unsigned int group, double load, bool cores);
