/* SPDX-License-Identifier: MIT */
#include "base_fit.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "regress.h"

#define CHI2_95          3.841 /* quantiles of chi-squared with one degree of freedom */
#define CHI2_99          6.635
#define NORMAL_95        1.96
#define HUBER            1.345 /* 95 % as good as least squares where noise is normal */
#define MAD_TO_DEVIATION 1.4826
#define ROUNDS           4    /* of reweighting: the loss hardly changes any more */
#define LEAST_SCALE      5e-4 /* of power: a counter that moves every ms is no better over 0.5 s */
#define MAX_CORRELATION  0.95
#define GRID             20 /* shapes looked at first; then between the neighbours of the best */
#define REFINEMENTS      12
#define BISECTIONS       10 /* to where a law ceases to fit */
#define ACROSS           12 /* laws looked at between the ends of what fits */
#define GOLDEN           0.6180339887498949
#define REST_PART        20 /* of the points, those with the least load; at least so many: */
#define REST_MIN         5

#define LOWEST_EXPONENT  0.05
#define HIGHEST_EXPONENT 3.0
#define LOWEST_BEND      (-0.5) /* power stops growing at the highest load */
#define HIGHEST_BEND     4.0

/* A family of laws by one number, its shape, in which the straight line is one. */
struct family {
        double low, high, straight;
        double (*value)(double load, double shape, double high_load);
};

static double power_value(double load, double shape, double high_load)
{
        (void)high_load;
        return load > 0 ? pow(load, shape) : 0;
}

static double polygon_value(double load, double shape, double high_load)
{
        double whole = floor(load);

        (void)high_load;
        return power_value(whole, shape, 0) * (1 - (load - whole)) +
               power_value(whole + 1, shape, 0) * (load - whole);
}

static double bend_value(double load, double shape, double high_load)
{
        return load * (1 + shape * load / high_load);
}

static const struct family families[] = {
        {LOWEST_EXPONENT, HIGHEST_EXPONENT, 1, power_value},
        {LOWEST_EXPONENT, HIGHEST_EXPONENT, 1, polygon_value},
        {LOWEST_BEND, HIGHEST_BEND, 0, bend_value},
};

#define NFAMILIES (sizeof(families) / sizeof(families[0]))

struct points {
        const double *load, *watts;
        size_t n;
        double low_load, high_load;
        double scale; /* standard deviation of the scatter at one load */
};

/* One law fitted. */
struct fitted {
        double base, slope, base_error;
        double loss; /* twice the sum of Huber's function: chi-squared where noise is normal */
};

static double huber_weight(double off)
{
        return fabs(off) <= HUBER ? 1 : HUBER / fabs(off);
}

static double huber_loss(double off)
{
        return fabs(off) <= HUBER ? off * off : 2 * HUBER * fabs(off) - HUBER * HUBER;
}

static void fit_law(struct fitted *fitted, const struct points *p, const struct family *family,
                    double shape)
{
        double value[REGRESS_MAX_POINTS] = {0}, weight[REGRESS_MAX_POINTS];

        for (size_t i = 0; i < p->n; i++) {
                value[i] = family->value(p->load[i], shape, p->high_load);
                weight[i] = 1;
        }
        for (unsigned int round = 0; round < ROUNDS; round++) {
                double sum = 0, mean_x = 0, mean_y = 0, xx = 0, xy = 0;

                for (size_t i = 0; i < p->n; i++) {
                        sum += weight[i];
                        mean_x += weight[i] * value[i];
                        mean_y += weight[i] * p->watts[i];
                }
                mean_x /= sum;
                mean_y /= sum;
                for (size_t i = 0; i < p->n; i++) {
                        xx += weight[i] * (value[i] - mean_x) * (value[i] - mean_x);
                        xy += weight[i] * (value[i] - mean_x) * (p->watts[i] - mean_y);
                }
                fitted->slope = xx > 0 ? xy / xx : 0;
                fitted->base = mean_y - fitted->slope * mean_x;
                fitted->base_error = p->scale * sqrt(1 / sum + (xx > 0 ? mean_x * mean_x / xx : 0));
                fitted->loss = 0;
                for (size_t i = 0; i < p->n; i++) {
                        double off = (p->watts[i] - fitted->base - fitted->slope * value[i]) /
                                     p->scale;

                        weight[i] = huber_weight(off);
                        fitted->loss += huber_loss(off);
                }
        }
}

static double loss_at(const struct points *p, const struct family *family, double shape)
{
        struct fitted fitted;

        fit_law(&fitted, p, family, shape);
        return fitted.loss;
}

static double best_shape(const struct points *p, const struct family *family)
{
        double step = (family->high - family->low) / GRID, best = family->straight;
        double least = loss_at(p, family, best), low, high;

        for (unsigned int i = 0; i <= GRID; i++) {
                double loss = loss_at(p, family, family->low + i * step);

                if (loss >= least)
                        continue;
                least = loss;
                best = family->low + i * step;
        }
        low = fmax(best - step, family->low);
        high = fmin(best + step, family->high);
        for (unsigned int i = 0; i < REFINEMENTS; i++) {
                double a = high - GOLDEN * (high - low), b = low + GOLDEN * (high - low);

                if (loss_at(p, family, a) < loss_at(p, family, b))
                        high = b;
                else
                        low = a;
        }
        return (low + high) / 2;
}

/* The last shape from `inside` towards `outside` whose loss is not above `most`. */
static double last_shape(const struct points *p, const struct family *family, double inside,
                         double outside, double most)
{
        if (loss_at(p, family, outside) <= most)
                return outside;
        for (unsigned int i = 0; i < BISECTIONS; i++) {
                double middle = (inside + outside) / 2;

                if (loss_at(p, family, middle) <= most)
                        inside = middle;
                else
                        outside = middle;
        }
        return inside;
}

struct interval {
        double low, high;
};

/* Widen the interval by the bases for which a law has a loss of at most `most`. */
static void widen(struct interval *bases, const struct points *p, const struct family *family,
                  double shape, double most)
{
        struct fitted fitted;
        double within;

        fit_law(&fitted, p, family, shape);
        if (fitted.loss > most)
                return;
        within = fitted.base_error * sqrt(most - fitted.loss);
        bases->low = fmin(bases->low, fitted.base - within);
        bases->high = fmax(bases->high, fitted.base + within);
}

static void widen_family(struct interval *bases, const struct points *p,
                         const struct family *family, double best, double most)
{
        double low, high;

        if (loss_at(p, family, best) > most)
                return;
        low = last_shape(p, family, best, family->low, most);
        high = last_shape(p, family, best, family->high, most);
        for (unsigned int i = 0; i <= ACROSS; i++)
                widen(bases, p, family, low + (high - low) * i / ACROSS, most);
}

/* ---- the scatter ---- */

static void sort_by_load(double *load, double *watts, size_t n)
{
        for (size_t i = 1; i < n; i++) { /* by insertion: some hundred points */
                double x = load[i], y = watts[i];
                size_t at = i;

                for (; at > 0 && load[at - 1] > x; at--) {
                        load[at] = load[at - 1];
                        watts[at] = watts[at - 1];
                }
                load[at] = x;
                watts[at] = y;
        }
}

/* How far a point is from the straight line through its neighbours in load, brought to its own
 * deviation. */
static double scatter(const struct points *p)
{
        double x[REGRESS_MAX_POINTS], y[REGRESS_MAX_POINTS], off[REGRESS_MAX_POINTS], scale;

        memcpy(x, p->load, p->n * sizeof(x[0]));
        memcpy(y, p->watts, p->n * sizeof(y[0]));
        sort_by_load(x, y, p->n);
        for (size_t i = 1; i + 1 < p->n; i++) {
                double right = x[i + 1] > x[i - 1] ? (x[i] - x[i - 1]) / (x[i + 1] - x[i - 1])
                                                   : 0.5;

                off[i - 1] = fabs(y[i] - (1 - right) * y[i - 1] - right * y[i + 1]) /
                             sqrt(1 + right * right + (1 - right) * (1 - right));
        }
        scale = MAD_TO_DEVIATION * regress_median(off, p->n - 2);
        return fmax(scale, LEAST_SCALE * fabs(regress_median(y, p->n)));
}

/* Correlation of each value with the next, from 0. */
static double correlation(const double *values, size_t n)
{
        double mean = 0, squares = 0, products = 0;

        for (size_t i = 0; i < n; i++)
                mean += values[i] / (double)n;
        for (size_t i = 0; i < n; i++) {
                squares += (values[i] - mean) * (values[i] - mean);
                if (i)
                        products += (values[i] - mean) * (values[i - 1] - mean);
        }
        return squares > 0 ? fmin(fmax(products / squares, 0), MAX_CORRELATION) : 0;
}

/* How much worse points tell than independent ones with the neighbours' scatter would. */
struct doubt {
        double loss;    /* factor on differences in loss */
        double level_w; /* of power as a whole: a drift in time that the load has no part in */
};

/*
 * For AR(1) processes the variance of a mean grows by (1 + r) / (1 - r), and that of a slope by the
 * same with the product of both correlations (Bartlett, "Some aspects of the time-correlation
 * problem", 1935).
 */
static struct doubt doubt_of(const struct points *p, const struct family *family, double shape)
{
        double off[REGRESS_MAX_POINTS], r, both, more;
        struct fitted fitted;

        fit_law(&fitted, p, family, shape);
        for (size_t i = 0; i < p->n; i++) {
                off[i] = (p->watts[i] - fitted.base -
                          fitted.slope * family->value(p->load[i], shape, p->high_load)) /
                         p->scale;
                off[i] *= huber_weight(off[i]);
        }
        r = correlation(off, p->n);
        both = r * correlation(p->load, p->n);
        for (size_t i = 0; i < p->n; i++)
                off[i] = fabs(off[i]);
        more = fmax(1, MAD_TO_DEVIATION * regress_median(off, p->n));
        return (struct doubt){.loss = more * more * (1 + both) / (1 - both),
                              .level_w = NORMAL_95 * more * p->scale *
                                         sqrt((1 + r) / (1 - r) / (double)p->n)};
}

/* What was measured at the least loads. */
static void look_at_rest(struct base_fit *fit, const struct points *p)
{
        double load[REGRESS_MAX_POINTS], watts[REGRESS_MAX_POINTS];
        size_t n = p->n / REST_PART > REST_MIN ? p->n / REST_PART : REST_MIN;

        if (n > p->n)
                n = p->n;
        memcpy(load, p->load, p->n * sizeof(load[0]));
        memcpy(watts, p->watts, p->n * sizeof(watts[0]));
        sort_by_load(load, watts, p->n);
        fit->rest_load = regress_median(load, n);
        fit->rest_w = regress_median(watts, n);
}

/* ---- the fit ---- */

int base_fit(struct base_fit *fit, const double *load, const double *watts, size_t n)
{
        struct points p = {.load = load, .watts = watts, .n = n};
        struct interval bases = {INFINITY, -INFINITY};
        double shape[NFAMILIES], most, straight_loss;
        struct doubt doubt;
        struct fitted best = {.loss = INFINITY};
        struct line_fit line;
        size_t best_family = 0;
        int r;

        r = regress_line(&line, load, watts, n);
        if (r < 0)
                return r;
        p.low_load = line.x_low;
        p.high_load = line.x_high;
        p.scale = scatter(&p);
        if (!(p.scale > 0)) /* no power at all */
                return -ERANGE;
        for (size_t i = 0; i < NFAMILIES; i++) {
                struct fitted fitted;

                shape[i] = best_shape(&p, &families[i]);
                fit_law(&fitted, &p, &families[i], shape[i]);
                if (fitted.loss < best.loss) {
                        best = fitted;
                        best_family = i;
                }
        }
        doubt = doubt_of(&p, &families[best_family], shape[best_family]);
        straight_loss = loss_at(&p, &families[0], families[0].straight);
        *fit = (struct base_fit){.low_load = p.low_load, .high_load = p.high_load};
        fit->straight = straight_loss <= best.loss + CHI2_99 * doubt.loss;
        most = best.loss + CHI2_95 * doubt.loss;
        if (fit->straight) /* and so is every law that is as good */
                most = fmax(most, straight_loss);
        for (size_t i = 0; i < NFAMILIES; i++)
                widen_family(&bases, &p, &families[i], shape[i], most);
        fit->base_w = fit->straight ? line.intercept : best.base;
        fit->half_width_w = fmax(bases.high - fit->base_w, fit->base_w - bases.low) + doubt.level_w;
        if (fit->straight)
                fit->half_width_w = fmax(fit->half_width_w, line.half_width);
        look_at_rest(fit, &p);
        return 0;
}

/*
 * A curve is trusted only where the machine was seen as good as at rest: there is no end of curves,
 * and the one that fits is to tell no more than the last twentieth.
 */
const char *base_fit_lacking(const struct base_fit *fit, size_t n, unsigned int ncpus)
{
        double width = BASE_FIT_MAX_WIDTH * fit->base_w;

        if (n < BASE_FIT_MIN_POINTS)
                return "more time";
        if (fit->high_load - fit->low_load < BASE_FIT_MIN_SPREAD * ncpus)
                return "a load that varies more";
        if (!fit->straight &&
            !(fit->rest_load <= BASE_FIT_AT_REST * ncpus && fit->rest_w <= fit->base_w + width))
                return "power in proportion to use, which it is not here: 'energat basepower' "
                       "measures the idle machine";
        if (!(fit->base_w > 0) || fit->base_w > fit->rest_w + width)
                return "power that depends on use and on little else";
        if (!(fit->half_width_w <= width))
                return "a narrower confidence interval, by more time or lower loads";
        return NULL;
}
