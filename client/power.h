/* SPDX-License-Identifier: MIT */
/*
 * Power over time, in bounded memory: windows that follow each other, each with its energy.  When
 * there are too many, neighbours are joined; the peak is kept as it was before.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define POWER_WINDOWS 512

struct power_window {
        double duration_s, energy_j;
};

struct power {
        struct power_window windows[POWER_WINDOWS];
        size_t count;
        size_t joined; /* measured windows in each of `windows` but the last; 0 at the start: 1 */
        size_t in_last;
        size_t measured; /* windows that were added */
        double duration_s, energy_j;
        double peak_w, peak_window_s; /* 0 s: none yet */
};

/* A window of no time, or without a known energy, is passed over. */
void power_add(struct power *p, double duration_s, double energy_j);

double power_average_w(const struct power *p); /* NAN: nothing is known */
double power_peak_w(const struct power *p);    /* NAN: nothing is known */

/*
 * A line of `width` columns or fewer that shows power over time, from 0 to the peak of what is
 * drawn; `utf8`: of blocks, else of ASCII characters.  `text` has room for POWER_LINE_MAX bytes.
 * "" when there are fewer than two windows to show.
 */
#define POWER_LINE_COLUMNS 60
#define POWER_LINE_MAX     (POWER_LINE_COLUMNS * 3 + 1)
const char *power_line(const struct power *p, size_t width, bool utf8, char text[POWER_LINE_MAX]);

/* The member "power" of a result.  New reference, NULL: no memory. */
json_t *power_json(const struct power *p);
