/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Iglewicz and Hoaglin 1993: 0.6745 makes the MAD of a normal distribution its deviation. */
#define MAD_TO_DEVIATION 0.6745
#define OUTLIER_SCORE    3.5
#define CONFIDENCE_UPPER 0.975 /* of a two-sided 95 % interval */

/* The known values, sorted when asked; free with free().  NULL: none, or no memory. */
static double *known(const double *values, size_t count, bool sorted, size_t *n)
{
        double *copy = calloc(count ? count : 1, sizeof(*copy));

        *n = 0;
        for (size_t i = 0; copy && i < count; i++)
                if (isfinite(values[i]))
                        copy[(*n)++] = values[i];
        if (*n == 0) {
                free(copy);
                return NULL;
        }
        if (sorted)
                gsl_sort(copy, 1, *n);
        return copy;
}

double statistics_median(double *values, size_t count)
{
        gsl_sort(values, 1, count);
        return gsl_stats_median_from_sorted_data(values, 1, count);
}

struct statistics statistics_of(const double *values, size_t count)
{
        struct statistics s = {
                .mean = NAN,
                .median = NAN,
                .min = NAN,
                .max = NAN,
                .deviation = NAN,
                .low = NAN,
                .high = NAN,
        };
        double *sorted = known(values, count, true, &s.count);

        if (!sorted)
                return s;
        s.mean = gsl_stats_mean(sorted, 1, s.count);
        s.median = gsl_stats_median_from_sorted_data(sorted, 1, s.count);
        s.min = sorted[0];
        s.max = sorted[s.count - 1];
        if (s.count >= 2) {
                double margin;

                s.deviation = gsl_stats_sd_m(sorted, 1, s.count, s.mean);
                margin = gsl_cdf_tdist_Pinv(CONFIDENCE_UPPER, (double)s.count - 1) * s.deviation /
                         sqrt((double)s.count);
                s.low = s.mean - margin;
                s.high = s.mean + margin;
        }
        free(sorted);
        return s;
}

void statistics_outliers(const double *values, size_t count, bool *out)
{
        double *sorted, median, mad;
        size_t n;

        memset(out, 0, count * sizeof(*out));
        sorted = known(values, count, true, &n);
        if (!sorted || n < STATISTICS_OUTLIER_MIN) {
                free(sorted);
                return;
        }
        median = gsl_stats_median_from_sorted_data(sorted, 1, n);
        for (size_t i = 0; i < n; i++)
                sorted[i] = fabs(sorted[i] - median);
        gsl_sort(sorted, 1, n);
        mad = gsl_stats_median_from_sorted_data(sorted, 1, n);
        free(sorted);
        /* more than half of the values are the same: nothing to measure a distance with */
        if (!(mad > 0))
                return;
        for (size_t i = 0; i < count; i++)
                out[i] = isfinite(values[i]) &&
                         fabs(MAD_TO_DEVIATION * (values[i] - median) / mad) > OUTLIER_SCORE;
}

/* From the difference and its standard error. */
static void conclude(struct comparison *c, double error)
{
        double margin;

        c->t = c->difference / error;
        if (error == 0) /* all alike: certain, one way or the other */
                c->p = c->difference == 0 ? 1 : 0;
        else
                c->p = 2 * gsl_cdf_tdist_Q(fabs(c->t), c->freedom);
        margin = error == 0 ? 0 : gsl_cdf_tdist_Pinv(CONFIDENCE_UPPER, c->freedom) * error;
        c->low = c->difference - margin;
        c->high = c->difference + margin;
}

static struct comparison comparison_unknown(bool paired)
{
        return (struct comparison){
                .paired = paired,
                .difference = NAN,
                .low = NAN,
                .high = NAN,
                .ratio = NAN,
                .t = NAN,
                .freedom = NAN,
                .p = NAN,
        };
}

struct comparison comparison_paired(const double *a, const double *b, size_t count)
{
        struct comparison c = comparison_unknown(true);
        double *differences = calloc(count ? count : 1, sizeof(*differences)), sum_a = 0, sum_b = 0;

        if (!differences)
                return c;
        for (size_t i = 0; i < count; i++) {
                if (!isfinite(a[i]) || !isfinite(b[i]))
                        continue;
                differences[c.count++] = b[i] - a[i];
                sum_a += a[i];
                sum_b += b[i];
        }
        if (c.count >= 1) {
                c.difference = gsl_stats_mean(differences, 1, c.count);
                c.ratio = sum_a != 0 ? sum_b / sum_a : NAN;
        }
        if (c.count >= 2) {
                c.freedom = (double)c.count - 1;
                conclude(&c, gsl_stats_sd_m(differences, 1, c.count, c.difference) /
                                     sqrt((double)c.count));
        }
        free(differences);
        return c;
}

struct comparison comparison_welch(const double *a, size_t na, const double *b, size_t nb)
{
        struct comparison c = comparison_unknown(false);
        struct statistics sa = statistics_of(a, na), sb = statistics_of(b, nb);
        double va, vb, error2;

        c.count = sa.count < sb.count ? sa.count : sb.count;
        if (c.count == 0)
                return c;
        c.difference = sb.mean - sa.mean;
        c.ratio = sa.mean != 0 ? sb.mean / sa.mean : NAN;
        if (c.count < 2)
                return c;
        va = sa.deviation * sa.deviation / (double)sa.count;
        vb = sb.deviation * sb.deviation / (double)sb.count;
        error2 = va + vb;
        /* the equation of Welch and Satterthwaite */
        c.freedom = error2 == 0 ? NAN
                                : error2 * error2 /
                                          (va * va / ((double)sa.count - 1) +
                                           vb * vb / ((double)sb.count - 1));
        conclude(&c, sqrt(error2));
        return c;
}
