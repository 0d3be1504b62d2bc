/* SPDX-License-Identifier: MIT */
/*
 * A robust straight line y = intercept + slope * x through points of which some are wrong.
 *
 * Slope: the median of the slopes of all pairs (Theil 1950, Sen 1968,
 * doi 10.1080/01621459.1968.10480934); up to 29 % of the points may be anything.  Intercept: the
 * median of y - slope * x.  Its 95 % confidence interval comes from the spread of the residuals as
 * in ordinary least squares, the standard deviation taken as 1.4826 times their median absolute
 * deviation:
 *
 *     half-width = 1.96 * sd * sqrt(1/n + mean(x)^2 / sum((x - mean(x))^2))
 *
 * Points that follow each other closely in time are not independent; the interval is then too
 * narrow.  Who asks sees to it that they are apart.  Pure functions.
 */
#pragma once

#include <stddef.h>

#define REGRESS_MAX_POINTS 256

struct line_fit {
        double slope, intercept;
        double half_width;    /* of the intercept's 95 % confidence interval */
        double x_low, x_high; /* range of x */
};

/* -ENODATA: fewer than 3 points, or all at one x; -E2BIG. */
int regress_line(struct line_fit *fit, const double *x, const double *y, size_t n);

/* Median of n > 0 values; reorders them. */
double regress_median(double *values, size_t n);
