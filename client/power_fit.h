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
 * Not all work is as even: others, and who measures, have something to do now and then.  A curve
 * that bends down is lower on average than at the average, for a small variance v of u by
 *
 *     k x exponent x (1 - exponent) x u^(exponent - 2) x v / 2
 *
 * (the second term of Taylor's series), which is most at low loads and would bend the fit.  So v,
 * of each package, is fitted, too (POWER_UNEVEN), as far as others can be the reason.
 *
 * For a given exponent the rest is linear, so the search is in one dimension: a grid, then a golden
 * section (Kiefer, "Sequential minimax search for a maximum", 1953).  Errors are those of all
 * numbers together, of the normal equations at the minimum; v is in them as what it can be at most,
 * and so is not taken for known where it comes out as 0.  Where the same load was measured several
 * times, the means of the loads are off the curve by no more than the repetitions allow, or the law
 * does not hold: an F test of lack of fit, at 1 %.
 *
 * Pure: tables of numbers in, numbers out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POWER_FIT_MAX_GROUPS 64
#define POWER_FIT_LOWEST     0.05 /* of exponents looked at; the highest is 1 */

enum power_law { POWER_SMOOTH, POWER_UNEVEN, POWER_POLYGON };

struct power_point {
        unsigned int group; /* package */
        double load, watts;
        double others;     /* what part of the load is not ours */
        unsigned int step; /* from 1: points of a group with the same are repetitions; 0: none is */
};

struct power_fit {
        enum power_law law;
        double exponent, exponent_error; /* one standard error; NAN when there are too few points */
        unsigned int ngroups;
        double base_w[POWER_FIT_MAX_GROUPS], base_error_w[POWER_FIT_MAX_GROUPS];
        double slope_w[POWER_FIT_MAX_GROUPS];  /* k */
        double uneven_w[POWER_FIT_MAX_GROUPS]; /* k x v / 2, with POWER_UNEVEN */
        double residual_w;                     /* root mean square */
        double freedom; /* degrees of it: the points fitted, less what was fitted to them */
        bool misfit;    /* the law does not hold: errors are those of the steps from the curve, and
                           not smaller for more repetitions; so is the freedom */
};

/*
 * 0; -ENODATA: too few loads that differ (3 in a group); -ERANGE: power does not grow with the
 * load; -ENOMEM.
 */
int power_fit(struct power_fit *fit, const struct power_point *points, size_t n,
              enum power_law law);

/*
 * The same with the law that leaves less at loads of our own, POWER_UNEVEN or POWER_POLYGON.  The
 * smooth curve is that of loads of our own alone: it is steep at rest, and there are only others,
 * at work for microseconds at a time.
 */
int power_fit_cores(struct power_fit *fit, const struct power_point *points, size_t n);

/* The curve at a load. */
double power_fit_watts(const struct power_fit *fit, unsigned int group, double load);
