/* SPDX-License-Identifier: MIT */
/*
 * The curve of power against load, by least squares:
 *
 *     P = base + k x u^exponent
 *
 * with u the number of busy cores of a package (its exponent is EnergAt's gamma), or the memory in
 * use (delta).  Several packages share one exponent and have a base and a k each.
 *
 * Between whole numbers of cores there are two laws.  Cores are busy or not, so a package with u =
 * 2.4 on average may have been at 2 for 60 % and at 3 for 40 % of the time, and its power between:
 * the polygon through the whole numbers (POWER_POLYGON).  Where work comes in pieces that are short
 * beside what the package does to save power, the curve is smooth (POWER_SMOOTH).  At rest they are
 * far apart: 2 % of a core are 2 % of its power, or 0.02^0.3 = 31 %.  So loads of parts of a core
 * are measured, too, and the law that fits better is taken.
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

enum power_law { POWER_SMOOTH, POWER_POLYGON };

struct power_point {
        unsigned int group; /* package */
        double load, watts;
};

struct power_fit {
        enum power_law law;
        double exponent, exponent_error; /* one standard error; NAN when there are too few points */
        unsigned int ngroups;
        double base_w[POWER_FIT_MAX_GROUPS], base_error_w[POWER_FIT_MAX_GROUPS];
        double slope_w[POWER_FIT_MAX_GROUPS]; /* k */
        double residual_w;                    /* root mean square */
        double freedom; /* degrees of it: the points fitted, less what was fitted to them */
};

/*
 * known_base_w: NULL, or the base power of each group, which is then not fitted.
 *
 * 0; -ENODATA: too few loads that differ (3 in a group, 2 with known bases); -ERANGE: power does
 * not grow with the load.
 */
int power_fit(struct power_fit *fit, const struct power_point *points, size_t n, enum power_law law,
              const double *known_base_w);

/*
 * The same with whichever law leaves the smaller residual at loads of our own.  The smooth curve is
 * that of loads of our own: it is steep at rest, and there are only others, at work for
 * microseconds at a time.
 */
int power_fit_cores(struct power_fit *fit, const struct power_point *points, size_t n);

/* The curve at a load. */
double power_fit_watts(const struct power_fit *fit, unsigned int group, double load);
