/* SPDX-License-Identifier: MIT */
/* A report for people: a header line, a small table, and what one has to know about it. */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* `title` is what was measured, as the user called it. */
void report_print_text(FILE *out, const json_t *report, const char *title);
