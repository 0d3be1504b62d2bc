/* SPDX-License-Identifier: MIT */
#include "power_fit.h"

#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID         95 /* steps of 0.01 from POWER_FIT_LOWEST to 1 */
#define REFINEMENTS  60 /* golden sections: 0.618^60 is below 1e-12 */
#define GOLDEN       0.6180339887498949
#define CURVE_STEP   1e-4 /* for the derivative */
#define SAME_LOAD    0.25 /* loads nearer than this part of the range are one */
#define FEWEST_LOADS 3    /* that differ: base, slope and exponent */
#define LOWEST_SLOPE 1e-9
#define OWN_LOAD     0.1  /* of a core: below it others do more than we */
#define MAX_TERMS    3    /* base, slope, unevenness */
#define CHANCE       0.99 /* that points on the curve are not taken for others */

/* load^exponent, by the law between whole numbers */
static double raised(double load, double exponent, enum power_law law)
{
        double whole;

        if (load <= 0)
                return 0;
        if (law != POWER_POLYGON)
                return pow(load, exponent);
        whole = floor(load);
        return (whole > 0 ? pow(whole, exponent) : 0) * (1 - (load - whole)) +
               pow(whole + 1, exponent) * (load - whole);
}

/* What uneven work takes off load^exponent, for a variance of 2: see the header. */
static double taken_off(double load, double exponent)
{
        return load > 0 ? exponent * (1 - exponent) * pow(load, exponent - 2) : 0;
}

struct problem {
        const struct power_point *points;
        size_t n;
        unsigned int ngroups;
        enum power_law law;
        double most_others[POWER_FIT_MAX_GROUPS]; /* by group: of all its points */
        /* of one group at a time */
        gsl_multifit_linear_workspace *work;
        gsl_matrix *terms;
        gsl_vector *watts, *weights;
};

static int problem_init(struct problem *p, const struct power_point *points, size_t n,
                        enum power_law law)
{
        *p = (struct problem){.points = points, .n = n, .law = law};
        for (size_t i = 0; i < n; i++)
                if (points[i].group >= p->ngroups)
                        p->ngroups = points[i].group + 1;
        if (!n || p->ngroups > POWER_FIT_MAX_GROUPS)
                return -ENODATA;
        for (size_t i = 0; i < n; i++)
                p->most_others[points[i].group] = fmax(p->most_others[points[i].group],
                                                       points[i].others);
        p->work = gsl_multifit_linear_alloc(n, MAX_TERMS);
        p->terms = gsl_matrix_alloc(n, MAX_TERMS);
        p->watts = gsl_vector_alloc(n);
        p->weights = gsl_vector_alloc(n);
        return p->work && p->terms && p->watts && p->weights ? 0 : -ENOMEM;
}

static void problem_deinit(struct problem *p)
{
        if (p->work)
                gsl_multifit_linear_free(p->work);
        gsl_matrix_free(p->terms);
        gsl_vector_free(p->watts);
        gsl_vector_free(p->weights);
}

/* What is linear once the exponent is given, of one group. */
struct line {
        double base, slope, uneven; /* the last in W: slope x variance / 2 */
        double rest;                /* the sum of squares */
};

/* With so many of the terms, and that variance where it is none of them.  A group without points,
 * or with fewer than terms, leaves no rest. */
static struct line solve(struct problem *p, unsigned int group, double exponent, size_t nterms,
                         double variance)
{
        double values[MAX_TERMS] = {0}, covariance[MAX_TERMS * MAX_TERMS] = {0};
        gsl_vector_view c = gsl_vector_view_array(values, nterms);
        gsl_matrix_view cov = gsl_matrix_view_array(covariance, nterms, nterms);
        struct line line = {0};
        size_t count = 0;

        for (size_t i = 0; i < p->n; i++) {
                const struct power_point *point = &p->points[i];

                if (point->group != group)
                        continue;
                gsl_matrix_set(p->terms, count, 0, 1);
                gsl_matrix_set(p->terms, count, 1,
                               raised(point->load, exponent, p->law) -
                                       variance / 2 * taken_off(point->load, exponent));
                if (nterms > 2)
                        gsl_matrix_set(p->terms, count, 2, -taken_off(point->load, exponent));
                gsl_vector_set(p->watts, count, point->watts);
                gsl_vector_set(p->weights, count++, 1);
        }
        if (count >= nterms) {
                gsl_matrix_const_view x = gsl_matrix_const_submatrix(p->terms, 0, 0, count, nterms);
                gsl_vector_const_view y = gsl_vector_const_subvector(p->watts, 0, count);
                gsl_vector_const_view w = gsl_vector_const_subvector(p->weights, 0, count);

                gsl_multifit_wlinear(&x.matrix, &w.vector, &y.vector, &c.vector, &cov.matrix,
                                     &line.rest, p->work);
        }
        line.base = values[0];
        line.slope = values[1];
        line.uneven = nterms > 2 ? values[2] : line.slope * variance / 2;
        return line;
}

/* No variance is below 0, or above what others can do: near exponent 1 it could be any curve.  Who
 * keeps m of a core busy varies by m at most, when it is all of a core or none. */
static struct line line_at(struct problem *p, unsigned int group, double exponent)
{
        struct line line;
        double most;

        if (p->law != POWER_UNEVEN)
                return solve(p, group, exponent, 2, 0);
        most = p->most_others[group];
        line = solve(p, group, exponent, 3, 0);
        if (line.uneven < 0)
                return solve(p, group, exponent, 2, 0);
        return line.uneven <= line.slope * most / 2 ? line : solve(p, group, exponent, 2, most);
}

static double rest_at(struct problem *p, double exponent)
{
        double rest = 0;

        for (unsigned int group = 0; group < p->ngroups; group++)
                rest += line_at(p, group, exponent).rest;
        return rest;
}

static double best_exponent(struct problem *p)
{
        double step = (1 - POWER_FIT_LOWEST) / GRID, best = POWER_FIT_LOWEST, low, high, a, b;
        double least = rest_at(p, best);

        for (unsigned int i = 1; i <= GRID; i++) {
                double rest = rest_at(p, POWER_FIT_LOWEST + i * step);

                if (rest < least) {
                        least = rest;
                        best = POWER_FIT_LOWEST + i * step;
                }
        }
        low = fmax(best - step, POWER_FIT_LOWEST);
        high = fmin(best + step, 1);
        for (unsigned int i = 0; i < REFINEMENTS; i++) {
                a = high - GOLDEN * (high - low);
                b = low + GOLDEN * (high - low);
                if (rest_at(p, a) < rest_at(p, b))
                        high = b;
                else
                        low = a;
        }
        return (low + high) / 2;
}

/* Loads of a group that differ by a good part of their range. */
static unsigned int different_loads(const struct problem *p, unsigned int group)
{
        double low = INFINITY, high = -INFINITY, last;
        unsigned int count = 0;

        for (size_t i = 0; i < p->n; i++) {
                if (p->points[i].group != group)
                        continue;
                low = fmin(low, p->points[i].load);
                high = fmax(high, p->points[i].load);
        }
        if (!(high > low))
                return low <= high;
        for (last = -INFINITY;;) {
                double next = INFINITY;

                for (size_t i = 0; i < p->n; i++)
                        if (p->points[i].group == group &&
                            p->points[i].load >= last + SAME_LOAD * (high - low))
                                next = fmin(next, p->points[i].load);
                if (isinf(next))
                        return count;
                last = next;
                count++;
        }
}

/* What is fitted: the exponent, and some terms for each group. */
static double fitted_numbers(enum power_law law, unsigned int ngroups)
{
        return 1 + (law == POWER_UNEVEN ? 3 : 2) * (double)ngroups;
}

static int by_step(const void *a, const void *b)
{
        const struct power_point *x = a, *y = b;

        if (x->group != y->group)
                return x->group < y->group ? -1 : 1;
        return (x->step > y->step) - (x->step < y->step);
}

/* How far the means of repeated points are off the curve: the sum of squares, and of how many. */
static int repetitions(const struct problem *p, const struct power_fit *fit, double *off_mean,
                       size_t *nmeans)
{
        struct power_point *points = calloc(p->n, sizeof(points[0]));

        if (!points)
                return -ENOMEM;
        memcpy(points, p->points, p->n * sizeof(points[0]));
        qsort(points, p->n, sizeof(points[0]), by_step);
        *off_mean = 0;
        *nmeans = 0;
        for (size_t i = 0, end; i < p->n; i = end) {
                double sum = 0;

                for (end = i; end == i || (end < p->n && points[i].step &&
                                           by_step(&points[i], &points[end]) == 0);
                     end++)
                        sum += points[end].watts -
                               power_fit_watts(fit, points[end].group, points[end].load);
                *off_mean += sum * sum / (double)(end - i);
                (*nmeans)++;
        }
        free(points);
        return 0;
}

/* The variance of a point, and what it rests on. */
static int find_variance(struct problem *p, struct power_fit *fit, double *variance)
{
        double rest = rest_at(p, fit->exponent), fitted = fitted_numbers(p->law, p->ngroups);
        double off_mean, between, within;
        size_t nmeans;
        int r = repetitions(p, fit, &off_mean, &nmeans);

        if (r < 0)
                return r;
        fit->freedom = (double)p->n - fitted;
        *variance = fit->freedom >= 1 ? rest / fit->freedom : NAN;
        between = (double)nmeans - fitted;
        within = (double)(p->n - nmeans);
        if (between < 1 || within < 1)
                return 0;
        fit->misfit = off_mean / between > gsl_cdf_fdist_Pinv(CHANCE, between, within) *
                                                   fmax(rest - off_mean, 0) / within;
        if (fit->misfit) {
                fit->freedom = between;
                *variance = off_mean / between;
        }
        return 0;
}

/* The numbers that are fitted: the exponent, and then those of each group. */
static size_t column_of(const struct problem *p, unsigned int group)
{
        return 1 + (size_t)group * (p->law == POWER_UNEVEN ? 3 : 2);
}

/* Where a group's unevenness can be anything that others allow, that is its standard deviation. */
static double uneven_deviation(const struct problem *p, const struct power_fit *fit,
                               unsigned int group)
{
        return fit->slope_w[group] * p->most_others[group] / 2 / sqrt(12);
}

/* What a point of the curve changes by with the exponent and its group's numbers, of which the
 * unevenness is told in its standard deviations. */
static void gradient(const struct problem *p, const struct power_fit *fit,
                     const struct power_point *point, double by[1 + MAX_TERMS])
{
        double k = fit->slope_w[point->group], uneven = fit->uneven_w[point->group];
        double more = fit->exponent + CURVE_STEP, less = fit->exponent - CURVE_STEP;

        by[0] = (k * (raised(point->load, more, p->law) - raised(point->load, less, p->law)) -
                 uneven * (taken_off(point->load, more) - taken_off(point->load, less))) /
                (2 * CURVE_STEP);
        by[1] = 1;
        by[2] = raised(point->load, fit->exponent, p->law);
        by[3] = -taken_off(point->load, fit->exponent) * uneven_deviation(p, fit, point->group);
}

/* The normal equations at the minimum.  That an unevenness is at a limit does not make it known:
 * what others allow counts as one observation of it. */
static void normal_equations(const struct problem *p, const struct power_fit *fit, double variance,
                             gsl_matrix *normal)
{
        size_t terms = p->law == POWER_UNEVEN ? 3 : 2;

        gsl_matrix_set_zero(normal);
        for (size_t i = 0; i < p->n; i++) {
                size_t first = column_of(p, p->points[i].group);
                double by[1 + MAX_TERMS];

                gradient(p, fit, &p->points[i], by);
                for (size_t a = 0; a <= terms; a++)
                        for (size_t b = 0; b <= terms; b++)
                                *gsl_matrix_ptr(normal, a ? first + a - 1 : 0,
                                                b ? first + b - 1 : 0) += by[a] * by[b];
        }
        for (unsigned int group = 0; p->law == POWER_UNEVEN && group < p->ngroups; group++)
                *gsl_matrix_ptr(normal, column_of(p, group) + 2,
                                column_of(p, group) + 2) += variance > 0 ? variance : 1;
}

/* The diagonal of the inverse; NAN throughout where there is none. */
static void inverse_diagonal(gsl_matrix *normal, double *diagonal)
{
        size_t size = normal->size1;
        gsl_error_handler_t *before = gsl_set_error_handler_off();
        int r;

        for (size_t i = 0; i < size; i++)
                diagonal[i] = sqrt(gsl_matrix_get(normal, i, i));
        for (size_t i = 0; i < size; i++)
                for (size_t j = 0; j < size; j++)
                        *gsl_matrix_ptr(normal, i, j) /= diagonal[i] * diagonal[j];
        r = gsl_linalg_cholesky_decomp1(normal);
        if (r == 0)
                r = gsl_linalg_cholesky_invert(normal);
        for (size_t i = 0; i < size; i++)
                diagonal[i] = r == 0 ? gsl_matrix_get(normal, i, i) / (diagonal[i] * diagonal[i])
                                     : NAN;
        gsl_set_error_handler(before);
}

/* Standard errors, for that variance of a point: those of Gauss and Newton. */
static int find_errors(const struct problem *p, struct power_fit *fit, double variance)
{
        size_t size = column_of(p, p->ngroups);
        gsl_matrix *normal = gsl_matrix_alloc(size, size);
        double *inverse = calloc(size, sizeof(inverse[0]));
        int r = normal && inverse ? 0 : -ENOMEM;

        if (r == 0) {
                normal_equations(p, fit, variance, normal);
                inverse_diagonal(normal, inverse);
                fit->exponent_error = sqrt(variance * inverse[0]);
                for (unsigned int group = 0; group < p->ngroups; group++)
                        fit->base_error_w[group] = sqrt(variance * inverse[column_of(p, group)]);
        }
        free(inverse);
        gsl_matrix_free(normal);
        return r;
}

static int solve_problem(struct problem *p, struct power_fit *fit)
{
        double variance;
        int r;

        fit->exponent = best_exponent(p);
        fit->ngroups = p->ngroups;
        fit->residual_w = sqrt(rest_at(p, fit->exponent) / (double)p->n);
        for (unsigned int group = 0; group < p->ngroups; group++) {
                struct line line = line_at(p, group, fit->exponent);

                if (!(line.slope > LOWEST_SLOPE))
                        return -ERANGE;
                fit->base_w[group] = line.base;
                fit->slope_w[group] = line.slope;
                fit->uneven_w[group] = line.uneven;
        }
        r = find_variance(p, fit, &variance);
        if (r < 0)
                return r;
        return find_errors(p, fit, variance);
}

int power_fit(struct power_fit *fit, const struct power_point *points, size_t n, enum power_law law)
{
        struct problem p;
        int r = problem_init(&p, points, n, law);

        *fit = (struct power_fit){.law = law};
        for (unsigned int group = 0; r == 0 && group < p.ngroups; group++)
                if (different_loads(&p, group) < FEWEST_LOADS)
                        r = -ENODATA;
        if (r == 0)
                r = solve_problem(&p, fit);
        problem_deinit(&p);
        return r;
}

/* The points with a load of our own, of which others' is a part. */
static size_t loaded(struct power_point *some, const struct power_point *points, size_t n)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                if (points[i].load - points[i].others >= OWN_LOAD)
                        some[count++] = points[i];
        return count;
}

/* Which of two fits to the same points is better: by the variance that they leave, for as many
 * numbers as they fit. */
static double variance_left(const struct power_fit *fit, size_t n)
{
        double freedom = (double)n - fitted_numbers(fit->law, fit->ngroups);

        return freedom >= 1 ? fit->residual_w * fit->residual_w * (double)n / freedom : INFINITY;
}

int power_fit_cores(struct power_fit *fit, const struct power_point *points, size_t n)
{
        struct power_point *own = calloc(n ? n : 1, sizeof(own[0]));
        struct power_fit polygon;
        size_t count;
        int r, other;

        if (!own)
                return -ENOMEM;
        count = loaded(own, points, n);
        r = power_fit(fit, own, count, POWER_UNEVEN);
        other = power_fit(&polygon, own, count, POWER_POLYGON);
        free(own);
        if (r == 0 && (other < 0 || variance_left(fit, count) < variance_left(&polygon, count)))
                return 0;
        /* Straight lines hold at rest, too. */
        other = power_fit(&polygon, points, n, POWER_POLYGON);
        if (other == 0)
                *fit = polygon;
        return r < 0 ? other : 0;
}

double power_fit_watts(const struct power_fit *fit, unsigned int group, double load)
{
        return fit->base_w[group] + fit->slope_w[group] * raised(load, fit->exponent, fit->law) -
               fit->uneven_w[group] * taken_off(load, fit->exponent);
}
