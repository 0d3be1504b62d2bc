/* SPDX-License-Identifier: MIT */
#include "power_fit.h"

#include <errno.h>
#include <math.h>

#define GRID         95 /* steps of 0.01 from POWER_FIT_LOWEST to 1 */
#define REFINEMENTS  60 /* golden sections: 0.618^60 is below 1e-12 */
#define GOLDEN       0.6180339887498949
#define CURVE_STEP   1e-3 /* for the second derivative */
#define SAME_LOAD    0.25 /* loads nearer than this part of the range are one */
#define LOWEST_SLOPE 1e-9
#define REST_LOAD    0.2 /* of a core: below it is what others do, in pieces that are in no law */
#define MAX_LOADED   2048

/* load^exponent, by the law between whole numbers */
static double raised(double load, double exponent, enum power_law law)
{
        double whole;

        if (load <= 0)
                return 0;
        if (law == POWER_SMOOTH)
                return pow(load, exponent);
        whole = floor(load);
        return (whole > 0 ? pow(whole, exponent) : 0) * (1 - (load - whole)) +
               pow(whole + 1, exponent) * (load - whole);
}

/* The straight line of one group.  Returns the sum of squares. */
static double fit_line(const struct power_point *points, size_t n, unsigned int group,
                       double exponent, enum power_law law, const double *known_base_w,
                       double *base, double *slope)
{
        double mean_x = 0, mean_y = 0, xx = 0, xy = 0, rest = 0;
        size_t count = 0;

        for (size_t i = 0; i < n; i++) {
                if (points[i].group != group)
                        continue;
                mean_x += raised(points[i].load, exponent, law);
                mean_y += points[i].watts;
                count++;
        }
        *base = *slope = 0;
        if (!count)
                return 0;
        mean_x /= (double)count;
        mean_y /= (double)count;
        if (known_base_w) { /* the line goes through it */
                mean_x = 0;
                mean_y = known_base_w[group];
        }
        for (size_t i = 0; i < n; i++) {
                double x = raised(points[i].load, exponent, law) - mean_x;

                if (points[i].group != group)
                        continue;
                xx += x * x;
                xy += x * (points[i].watts - mean_y);
        }
        *slope = xx > 0 ? xy / xx : 0;
        *base = mean_y - *slope * mean_x;
        for (size_t i = 0; i < n; i++) {
                double off;

                if (points[i].group != group)
                        continue;
                off = points[i].watts - *base - *slope * raised(points[i].load, exponent, law);
                rest += off * off;
        }
        return rest;
}

struct problem {
        const struct power_point *points;
        size_t n;
        unsigned int ngroups;
        enum power_law law;
        const double *known_base_w;
};

static double rest_at(const struct problem *p, double exponent)
{
        double base, slope, rest = 0;

        for (unsigned int group = 0; group < p->ngroups; group++)
                rest += fit_line(p->points, p->n, group, exponent, p->law, p->known_base_w, &base,
                                 &slope);
        return rest;
}

static double best_exponent(const struct problem *p)
{
        double step = (1 - POWER_FIT_LOWEST) / GRID, best = POWER_FIT_LOWEST, low, high, a, b;

        for (unsigned int i = 1; i <= GRID; i++)
                if (rest_at(p, POWER_FIT_LOWEST + i * step) < rest_at(p, best))
                        best = POWER_FIT_LOWEST + i * step;
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

/* The exponent, and a slope and mostly a base for each group, are what is fitted. */
static double freedom_of(const struct problem *p)
{
        return (double)p->n - 1 - (p->known_base_w ? 1 : 2) * (double)p->ngroups;
}

/* Standard error of the exponent. */
static double exponent_error(const struct problem *p, double exponent)
{
        double h = CURVE_STEP, freedom = freedom_of(p), middle, curvature;

        if (freedom < 1)
                return NAN;
        middle = fmin(exponent, 1 - h); /* at the end of the range: beside it */
        curvature = (rest_at(p, middle + h) - 2 * rest_at(p, middle) + rest_at(p, middle - h)) /
                    (h * h);
        return curvature > 0 ? sqrt(2 * rest_at(p, exponent) / freedom / curvature) : NAN;
}

static double squared(double x)
{
        return x * x;
}

/* Standard error of a base: of the line, and by what the exponent's error moves it. */
static double base_error(const struct problem *p, const struct power_fit *fit, unsigned int group)
{
        double freedom = freedom_of(p), mean = 0, xx = 0, line, moved, base, slope;
        size_t count = 0;

        if (p->known_base_w || freedom < 1)
                return p->known_base_w ? 0 : NAN;
        for (size_t i = 0; i < p->n; i++) {
                if (p->points[i].group != group)
                        continue;
                mean += raised(p->points[i].load, fit->exponent, p->law);
                count++;
        }
        mean /= (double)count;
        for (size_t i = 0; i < p->n; i++)
                if (p->points[i].group == group)
                        xx += squared(raised(p->points[i].load, fit->exponent, p->law) - mean);
        line = rest_at(p, fit->exponent) / freedom * (1 / (double)count + squared(mean) / xx);
        fit_line(p->points, p->n, group, fit->exponent - fit->exponent_error, p->law, NULL, &base,
                 &slope);
        moved = base - fit->base_w[group];
        return sqrt(line + squared(moved));
}

int power_fit(struct power_fit *fit, const struct power_point *points, size_t n, enum power_law law,
              const double *known_base_w)
{
        struct problem p = {.points = points, .n = n, .law = law, .known_base_w = known_base_w};

        for (size_t i = 0; i < n; i++)
                if (points[i].group >= p.ngroups)
                        p.ngroups = points[i].group + 1;
        if (!n || p.ngroups > POWER_FIT_MAX_GROUPS)
                return -ENODATA;
        for (unsigned int group = 0; group < p.ngroups; group++)
                if (different_loads(&p, group) < (known_base_w ? 2 : 3))
                        return -ENODATA;
        *fit = (struct power_fit){.law = law, .exponent = best_exponent(&p), .ngroups = p.ngroups};
        fit->residual_w = sqrt(rest_at(&p, fit->exponent) / (double)n);
        fit->freedom = freedom_of(&p);
        fit->exponent_error = exponent_error(&p, fit->exponent);
        for (unsigned int group = 0; group < p.ngroups; group++) {
                fit_line(points, n, group, fit->exponent, law, known_base_w, &fit->base_w[group],
                         &fit->slope_w[group]);
                if (!(fit->slope_w[group] > LOWEST_SLOPE))
                        return -ERANGE;
        }
        for (unsigned int group = 0; group < p.ngroups; group++)
                fit->base_error_w[group] = base_error(&p, fit, group);
        return 0;
}

/* The points with a load of our own. */
static size_t loaded(struct power_point *some, const struct power_point *points, size_t n)
{
        size_t count = 0;

        for (size_t i = 0; i < n && count < MAX_LOADED; i++)
                if (points[i].load >= REST_LOAD)
                        some[count++] = points[i];
        return count;
}

/* Both laws are compared over the same points, which are as good for the one as for the other. */
int power_fit_cores(struct power_fit *fit, const struct power_point *points, size_t n)
{
        struct power_fit smooth, polygon;
        struct power_point some[MAX_LOADED];
        size_t count = loaded(some, points, n);
        int r = power_fit(&smooth, some, count, POWER_SMOOTH, NULL);
        int other = power_fit(&polygon, some, count, POWER_POLYGON, NULL);

        if (r == 0 && (other < 0 || smooth.residual_w < polygon.residual_w)) {
                *fit = smooth;
                return 0;
        }
        other = power_fit(&polygon, points, n, POWER_POLYGON, NULL);
        if (r < 0 && other < 0)
                return r;
        *fit = other < 0 ? smooth : polygon;
        return 0;
}

double power_fit_watts(const struct power_fit *fit, unsigned int group, double load)
{
        return fit->base_w[group] + fit->slope_w[group] * raised(load, fit->exponent, fit->law);
}
