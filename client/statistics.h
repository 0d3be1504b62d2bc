/* SPDX-License-Identifier: MIT */
/*
 * What can be said of repeated measurements.  Pure: tables of numbers in, numbers out.
 *
 * The confidence interval of a mean is Student's ("The probable error of a mean", Biometrika 6,
 * 1908): mean +- t x s / sqrt(n), with t of n - 1 degrees of freedom and s the sample's standard
 * deviation.  Whether two commands differ is asked of pairs of runs that stood beside each other:
 * a paired t-test on the differences, because what disturbs a machine (heat, clock rates, other
 * users) disturbs both runs of a pair.  Where runs failed and pairs are incomplete, Welch's test
 * ("The generalization of Student's problem ...", Biometrika 34, 1947) on two samples.  Outliers
 * are marked by the modified z-score: |0.6745 (x - median) / MAD| > 3.5 (Iglewicz and Hoaglin, "How
 * to Detect and Handle Outliers", 1993); they are never left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* NAN: cannot be told from so few. */
struct statistics {
        size_t count;
        double mean, median, min, max;
        double deviation; /* of the sample, so with n - 1 */
        double low, high; /* the 95 % confidence interval of the mean */
};

/* Values that are NAN are not known and are left out. */
struct statistics statistics_of(const double *values, size_t count);

/* Sorts the values, which are all known, and at least one. */
double statistics_median(double *values, size_t count);

/* out[i]: values[i] is an outlier.  None is when there are fewer than STATISTICS_OUTLIER_MIN. */
#define STATISTICS_OUTLIER_MIN 5
void statistics_outliers(const double *values, size_t count, bool *out);

struct comparison {
        bool paired;
        size_t count;      /* of pairs, or of values in both samples */
        double difference; /* mean(b) - mean(a) */
        double low, high;  /* its 95 % confidence interval */
        double ratio;      /* mean(b) / mean(a) */
        double t, freedom;
        double p; /* two-sided: so probable is a difference as large when there is none */
};

/* a[i] and b[i] are a pair; pairs in which one is NAN are left out. */
struct comparison comparison_paired(const double *a, const double *b, size_t count);
/* Two samples without pairs. */
struct comparison comparison_welch(const double *a, size_t na, const double *b, size_t nb);

/* Below this p a difference is called one. */
#define COMPARISON_ALPHA 0.05
