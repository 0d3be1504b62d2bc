/* SPDX-License-Identifier: MIT */
/*
 * Base power from points of load and power of a machine that is never at rest, and how far it can
 * be known from them.
 *
 * Below the lowest load there are no points, so base power depends on the law by which power goes
 * on to load 0.  A straight line is not taken on trust: its intercept can be 50 % too high where
 * power is base + k x u^0.3 (EnergAt's model).  Three families of laws are tried, and each has the
 * straight line in it:
 *
 *     base + k x u^g                   g from 0.05 to 3
 *     base + k x polygon(u, g)         the same at whole CPUs, straight in between: CPUs are busy
 *                                      or not, and u is an average
 *     base + k x u (1 + q u / u_max)   q from -0.5 to 4
 *
 * Each is fitted for every g or q by Huber's estimator ("Robust estimation of a location
 * parameter", 1964), the scale being that of the scatter between neighbours in load, which is the
 * same whatever the law (Gasser, Sroka and Jennen-Steinmetz, "Residual variance and residual
 * pattern in nonlinear regression", Biometrika 73, 1986).  The interval is the profile likelihood's
 * over all three: every base for which some law is not significantly worse than the best of all.
 * It is wider for power that drifts in time at the same load, and for scatter beyond the
 * neighbours', which no law explains.
 *
 * What points cannot show is a law that changes below all of them, as when a package saves power
 * only with all CPUs at rest.  Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BASE_FIT_MIN_POINTS 40
#define BASE_FIT_MIN_SPREAD 0.2  /* highest less lowest load, in CPUs, per CPU of the domain */
#define BASE_FIT_MAX_WIDTH  0.05 /* half-width of the interval, of the base */
#define BASE_FIT_AT_REST    0.02 /* of the CPUs busy: for power on a curve, which is steep there */

struct base_fit {
        double base_w; /* of the straight line when that is one of the laws, else the best's */
        double half_width_w;        /* the 95 % confidence interval, all of it, is within */
        bool straight;              /* a straight line is as good as any law */
        double low_load, high_load; /* in CPUs */
        double rest_load, rest_w;   /* medians of the twentieth of the points with the least load:
   power   at rest is not above it */
};

/* Points in the order of time.  -ENODATA: fewer than 3, or all at one load; -ERANGE: their power is
 * 0; -E2BIG; -ENOMEM. */
int base_fit(struct base_fit *fit, const double *load, const double *watts, size_t n);

/* What is missing for the fit to n points of a domain of `ncpus` to be trusted; NULL: nothing. */
const char *base_fit_lacking(const struct base_fit *fit, size_t n, unsigned int ncpus);
