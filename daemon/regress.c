/* SPDX-License-Identifier: MIT */
#include "regress.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NORMAL_95        1.96   /* quantile of the normal distribution */
#define MAD_TO_DEVIATION 1.4826 /* for normally distributed values */
#define MIN_POINTS       3
#define MAX_PAIRS        (REGRESS_MAX_POINTS * (REGRESS_MAX_POINTS - 1) / 2)

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

double regress_median(double *values, size_t n)
{
        qsort(values, n, sizeof(values[0]), compare);
        return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

int regress_line(struct line_fit *fit, const double *x, const double *y, size_t n)
{
        double rest[REGRESS_MAX_POINTS], *slopes, mean = 0, spread = 0;
        size_t pairs = 0;

        if (n < MIN_POINTS)
                return -ENODATA;
        if (n > REGRESS_MAX_POINTS)
                return -E2BIG;
        slopes = malloc(MAX_PAIRS * sizeof(slopes[0]));
        if (!slopes)
                return -ENOMEM;
        fit->x_low = fit->x_high = x[0];
        for (size_t i = 0; i < n; i++) {
                mean += x[i] / (double)n;
                fit->x_low = fmin(fit->x_low, x[i]);
                fit->x_high = fmax(fit->x_high, x[i]);
                for (size_t j = 0; j < i; j++)
                        if (x[i] != x[j])
                                slopes[pairs++] = (y[i] - y[j]) / (x[i] - x[j]);
        }
        if (pairs == 0) {
                free(slopes);
                return -ENODATA;
        }
        fit->slope = regress_median(slopes, pairs);
        free(slopes);
        for (size_t i = 0; i < n; i++) {
                rest[i] = y[i] - fit->slope * x[i];
                spread += (x[i] - mean) * (x[i] - mean);
        }
        fit->intercept = regress_median(rest, n);
        for (size_t i = 0; i < n; i++)
                rest[i] = fabs(y[i] - fit->slope * x[i] - fit->intercept);
        fit->half_width = NORMAL_95 * MAD_TO_DEVIATION * regress_median(rest, n) *
                          sqrt(1 / (double)n + mean * mean / spread);
        return 0;
}
