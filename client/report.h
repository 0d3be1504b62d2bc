/* SPDX-License-Identifier: MIT */
/*
 * A Report of io.energat as the client handles it: a JSON object that is passed on as it came,
 * read by name, and added up when the daemon cannot do it any more.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Is it one: the members there that everything below relies on, of the right type? */
bool report_valid(const json_t *report);

/* A number by name, NAN when it is null or absent.  `part` may be NULL for the report itself. */
double report_number(const json_t *report, const char *part, const char *key);
/* The time that the machine's values cover; it is longer than the report's own for ordinary users.
 */
double report_machine_s(const json_t *report);
/* Does that cover more than what was measured, so that it is worth saying?  Ordinary users are told
 * of the machine in whole seconds (docs/access.md). */
bool report_is_rounded(const json_t *report);
long long report_integer(const json_t *report, const char *key);  /* -1 when absent */
const char *report_string(const json_t *report, const char *key); /* "" when absent */
bool report_estimated(const json_t *report);

/* The one with that number, of a list of sockets; NULL. */
json_t *report_socket(const json_t *sockets, long long number);

/*
 * The part that answers the question, by the report's `model`: "attributed" (energat) or "share"
 * (additive); "attributed" for a daemon that knows no models.
 */
const char *report_answer(const json_t *report);
/* The other one of the two. */
const char *report_other_answer(const json_t *report);

/*
 * The sum of reports over windows that follow each other.  A part that is null in one of them adds
 * nothing (after a fault the counter's next good reading brings what was missed); it stays null
 * when it is null in all.  `total` is a new object to begin with.  0 or -ENOMEM.
 */
int report_add(json_t *total, const json_t *report);

/* What `whole` holds beyond `total`, the sum of its windows so far.  New reference or NULL. */
json_t *report_rest(const json_t *whole, const json_t *total);

/*
 * Append to "warnings", once for each text: of two that differ in their counts alone ("in 37 of 100
 * ticks") the later one stays.  The list is bounded, and its last one then says so.
 */
#define REPORT_WARNINGS_MAX 64
int report_warn(json_t *report, const char *warning);

/* The object that --format json prints: the report with "exit_status" after "name".  Takes the
 * reference to exit_status.  New reference or NULL. */
json_t *report_for_output(const json_t *report, json_t *exit_status);

/* Print JSON for programs, with a newline.  0 or -errno. */
int report_print_json(FILE *out, const json_t *object);
