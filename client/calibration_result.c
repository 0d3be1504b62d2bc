/* SPDX-License-Identifier: MIT */
#include "calibration_result.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdio.h>

#include "number.h"
#include "text.h"

#define CONFIDENCE_95    0.975 /* of both sides */
#define MOST_HALF_WIDTH  0.1   /* of an exponent that is worth using */
#define EXACT_EXPONENT   0.02
#define EXACT_BASE_RATIO 0.02

double calibration_half_width(const struct power_fit *fit, double error)
{
        return fit->freedom >= 1 ? error * gsl_cdf_tdist_Pinv(CONFIDENCE_95, fit->freedom) : NAN;
}

const char *calibration_doubt(const struct power_fit *fit)
{
        for (unsigned int i = 0; i < fit->ngroups; i++)
                if (fit->base_w[i] < 0)
                        return "the curve has a base power below 0, so it is not the machine's";
        if (calibration_half_width(fit, fit->exponent_error) <= MOST_HALF_WIDTH)
                return NULL;
        return fit->misfit ? "the points are on no such curve: more of them would not help"
                           : "it is too uncertain: calibrate a machine that is at rest, or with "
                             "more --windows";
}

double calibration_excess(const struct power_fit *fit)
{
        double most = calibration_half_width(fit, fit->exponent_error) / EXACT_EXPONENT;

        for (unsigned int i = 0; i < fit->ngroups && !isnan(most); i++) {
                double half_width = calibration_half_width(fit, fit->base_error_w[i]);

                most = isnan(half_width)
                               ? NAN
                               : fmax(most,
                                      half_width / (EXACT_BASE_RATIO * fmax(fit->base_w[i], 0)));
        }
        return isnan(most) ? INFINITY : most;
}

json_t *calibration_json(const struct calibration_result *result)
{
        const struct power_fit *fit = &result->fit;
        json_t *points = json_array(), *domains = json_array();

        for (unsigned int i = 0; i < fit->ngroups; i++)
                json_array_append_new(
                        domains,
                        json_pack("{s:o, s:o, s:o, s:o}", "socket",
                                  json_integer(result->sockets[i]), "base_w",
                                  number_json(fit->base_w[i]), "base_half_width_w",
                                  number_json(calibration_half_width(fit, fit->base_error_w[i])),
                                  "slope_w", number_json(fit->slope_w[i])));
        for (size_t i = 0; i < result->npoints; i++) {
                const struct power_point *p = &result->points[i];

                json_array_append_new(points,
                                      json_pack("{s:i, s:f, s:f, s:f}", "domain", (int)p->group,
                                                "load", p->load, "power_w", p->watts, "fitted_w",
                                                power_fit_watts(fit, p->group, p->load)));
        }
        return json_pack("{s:s, s:f, s:o, s:s, s:f, s:o, s:o, s:i, s:o}", "exponent",
                         result->gamma ? "gamma" : "delta", "value", fit->exponent, "half_width",
                         number_json(calibration_half_width(fit, fit->exponent_error)), "law",
                         fit->law == POWER_POLYGON ? "polygon" : "smooth", "residual_w",
                         fit->residual_w, "domains", domains, "points", points, "windows",
                         (int)result->windows, "written",
                         result->written ? json_string(result->written) : json_null());
}

static void print_points(const struct calibration_result *result)
{
        char measured[TEXT_NUMBER_MAX], fitted[TEXT_NUMBER_MAX];

        printf("  %-8s %12s %12s %12s\n", "socket", result->gamma ? "busy CPUs" : "GiB", "measured",
               "fitted");
        for (size_t i = 0; i < result->npoints; i++) {
                const struct power_point *p = &result->points[i];

                printf("  %-8d", result->sockets[p->group]);
                printf(" %12.2f %12s %12s\n", p->load, text_quantity(measured, p->watts, "W"),
                       text_quantity(fitted, power_fit_watts(&result->fit, p->group, p->load),
                                     "W"));
        }
}

static void print_bases(const struct calibration_result *result)
{
        const struct power_fit *fit = &result->fit;

        for (unsigned int i = 0; i < fit->ngroups; i++) {
                double half_width = calibration_half_width(fit, fit->base_error_w[i]);
                char base[TEXT_NUMBER_MAX], width[TEXT_NUMBER_MAX];

                printf("base power of %ssocket %d %s", result->gamma ? "" : "the dram of ",
                       result->sockets[i], text_quantity(base, fit->base_w[i], "W"));
                if (isfinite(half_width))
                        printf(" +- %s", text_quantity(width, half_width, "W"));
                printf("\n");
        }
}

void calibration_print(const struct calibration_result *result)
{
        const struct power_fit *fit = &result->fit;
        const char *name = result->gamma ? "gamma" : "delta";
        double half_width = calibration_half_width(fit, fit->exponent_error);
        char residual[TEXT_NUMBER_MAX];

        print_points(result);
        printf("\n%s %.3f", name, fit->exponent);
        if (isfinite(half_width))
                printf(" +- %.3f (95 %% confidence)", half_width);
        printf("\n");
        print_bases(result);
        if (result->gamma)
                printf("between whole cores the curve is %s\n",
                       fit->law == POWER_POLYGON ? "straight" : "smooth");
        printf("off the curve by %s on average, after %u windows at each load\n",
               text_quantity(residual, fit->residual_w, "W"), result->windows);
        if (fit->misfit)
                puts("the points are off the curve by more than chance: its errors count that");
        if (result->written) {
                fputs("written to ", stdout);
                text_print_safe(stdout, result->written);
                puts("; in force after 'systemctl reload energatd'");
        } else if (!calibration_doubt(fit)) {
                printf("nothing was changed: --write puts it into the configuration, or --%s %.3f "
                       "uses it once\n",
                       name, fit->exponent);
        }
}
