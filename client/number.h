/* SPDX-License-Identifier: MIT */
/* Numbers that may not be known: NAN here, null in JSON, and never 0 for either. */
#pragma once

#include <jansson.h>

/* A new reference; null when the value is not finite. */
json_t *number_json(double value);

/* NAN when it is no number, or not there (NULL). */
double number_of(const json_t *value);

/* The sum, in which what is not known adds nothing; NAN when neither is known. */
double number_plus(double a, double b);
