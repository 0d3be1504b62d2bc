/* SPDX-License-Identifier: MIT */
/*
 * What a calibration ends with: the curve, how sure it is, and how it is told.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "power_fit.h"

struct calibration_result {
        bool gamma; /* else delta */
        struct power_fit fit;
        const int *sockets;               /* by domain */
        const struct power_point *points; /* one of each load and domain */
        size_t npoints;
        unsigned int windows; /* that were taken at each load */
        const char *written;  /* the file that has it now; NULL */
};

/* Half of the 95 % confidence interval that belongs to a standard error of this fit; NAN. */
double calibration_half_width(const struct power_fit *fit, double error);

/* What is wrong with a fit that is not trusted, or NULL. */
const char *calibration_doubt(const struct power_fit *fit);

/* How many times wider than anyone needs the intervals of exponent and bases are: more windows are
 * worth their time when it is above 1.  INFINITY: not known. */
double calibration_excess(const struct power_fit *fit);

void calibration_print(const struct calibration_result *result);
json_t *calibration_json(const struct calibration_result *result);
