/* SPDX-License-Identifier: MIT */
/*
 * A report for people, in parts that are printed one below the other: a header line and a small
 * table; power over time; energy in other units; and what one has to know about all that.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "impact.h"
#include "power.h"

/* `title` is what was measured, as the user called it. */
void report_print_text(FILE *out, const json_t *report, const char *title);

/* `label` says whose.  Nothing when there are fewer than two windows. */
void report_print_power(FILE *out, const char *label, const struct power *power);

/* Wh, and CO2 and money as far as they are configured. */
void report_print_impact(FILE *out, const struct impact_factors *f, const json_t *report);

/* The "warnings" of a document that is no report: of the whole machine. */
void report_print_warnings(FILE *out, const json_t *document);

/* What is not known, and why; warnings. */
void report_print_notes(FILE *out, const json_t *report);
