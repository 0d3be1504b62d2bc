/* SPDX-License-Identifier: MIT */
/*
 * Text for people: numbers with three significant digits, and strings of other programs made safe
 * to print.  Numbers always have a decimal point: the program never leaves the "C" locale for
 * anything but LC_CTYPE.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TEXT_NUMBER_MAX 32

/* "240", "7.99", "0.0123": three significant digits, no exponent; "-" when not finite. */
const char *text_number(char text[TEXT_NUMBER_MAX], double value);

/* "79.9 J", "1.23 kJ", "150 mW"; "-" when not finite. */
const char *text_quantity(char text[TEXT_NUMBER_MAX], double value, const char *unit);

/* "42 s", "12 min", "3 h 12 min", "5 d 3 h" */
const char *text_duration(char text[TEXT_NUMBER_MAX], double seconds);

/* Print a string that came from elsewhere: '?' for each control character, also of those that turn
 * the direction of writing, and for each byte that is not UTF-8. */
void text_print_safe(FILE *out, const char *s);

/* The same of the first character of `s`, which is not "".  Returns the bytes that it takes. */
size_t text_print_character(FILE *out, const char *s);

/* '?' for each byte that is not UTF-8, for JSON: of a text that was cut, after cutting. */
void text_make_utf8(char *s);

/* A copy with '?' for each byte that is not UTF-8; free with free().  NULL: no memory. */
char *text_to_utf8(const char *s);

/* The same as a JSON string: jansson takes nothing but UTF-8, and arguments, paths and the
 * environment need not be.  NULL: no memory. */
json_t *text_json(const char *s);

/* Does the user's locale write UTF-8? */
bool text_utf8(void);

/* May `out` be coloured: a terminal, not a dumb one, and NO_COLOR (no-color.org) is not set. */
bool text_colour(FILE *out);

/* One line "energat: ..." to stderr, safe to print whatever it names. */
__attribute__((format(printf, 1, 2))) void text_message(const char *format, ...);
