/* SPDX-License-Identifier: MIT */
#include "power.h"

#include <math.h>
#include <string.h>

#include "number.h"

#define LEVELS 8

/* Half of the windows, each twice as long. */
static void join_neighbours(struct power *p)
{
        for (size_t i = 0; i < p->count / 2; i++) {
                const struct power_window *a = &p->windows[2 * i], *b = &p->windows[2 * i + 1];

                p->windows[i] = (struct power_window){
                        .duration_s = a->duration_s + b->duration_s,
                        .energy_j = a->energy_j + b->energy_j,
                };
        }
        p->count /= 2;
        p->joined *= 2;
        p->in_last = p->joined;
}

void power_add(struct power *p, double duration_s, double energy_j)
{
        struct power_window *last;

        if (!(duration_s > 0) || !isfinite(energy_j))
                return;
        p->measured++;
        p->duration_s += duration_s;
        p->energy_j += energy_j;
        if (p->peak_window_s == 0 || energy_j / duration_s > p->peak_w) {
                p->peak_w = energy_j / duration_s;
                p->peak_window_s = duration_s;
        }

        if (p->joined == 0)
                p->joined = p->in_last = 1;
        if (p->in_last == p->joined || p->count == 0) {
                if (p->count == POWER_WINDOWS)
                        join_neighbours(p);
                p->windows[p->count++] = (struct power_window){0};
                p->in_last = 0;
        }
        last = &p->windows[p->count - 1];
        last->duration_s += duration_s;
        last->energy_j += energy_j;
        p->in_last++;
}

double power_average_w(const struct power *p)
{
        return p->duration_s > 0 ? p->energy_j / p->duration_s : NAN;
}

double power_peak_w(const struct power *p)
{
        return p->peak_window_s > 0 ? p->peak_w : NAN;
}

/* Energy between two moments of the time that the windows cover. */
static double energy_between(const struct power *p, double from_s, double to_s)
{
        double begin_s = 0, energy_j = 0;

        for (size_t i = 0; i < p->count; i++) {
                const struct power_window *w = &p->windows[i];
                double end_s = begin_s + w->duration_s;
                double covered_s = fmin(end_s, to_s) - fmax(begin_s, from_s);

                if (covered_s > 0)
                        energy_j += w->energy_j * covered_s / w->duration_s;
                begin_s = end_s;
        }
        return energy_j;
}

const char *power_line(const struct power *p, size_t width, bool utf8, char text[POWER_LINE_MAX])
{
        /* U+2581 to U+2588, lower one eighth block to full block */
        static const char *const blocks[LEVELS] = {"\xe2\x96\x81", "\xe2\x96\x82", "\xe2\x96\x83",
                                                   "\xe2\x96\x84", "\xe2\x96\x85", "\xe2\x96\x86",
                                                   "\xe2\x96\x87", "\xe2\x96\x88"};
        static const char *const plain[LEVELS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
        double watts[POWER_LINE_COLUMNS], step_s, highest_w = 0;
        size_t columns = p->count < width ? p->count : width;

        text[0] = '\0';
        if (columns > POWER_LINE_COLUMNS)
                columns = POWER_LINE_COLUMNS;
        if (columns < 2)
                return text;
        step_s = p->duration_s / (double)columns;
        for (size_t i = 0; i < columns; i++) {
                watts[i] = energy_between(p, step_s * (double)i, step_s * (double)(i + 1)) / step_s;
                highest_w = fmax(highest_w, watts[i]);
        }
        for (size_t i = 0; i < columns; i++) {
                double part = highest_w > 0 ? watts[i] / highest_w : 0;
                size_t level = (size_t)fmin(LEVELS - 1, fmax(0, floor(part * LEVELS)));

                strcat(text, utf8 ? blocks[level] : plain[level]);
        }
        return text;
}

json_t *power_json(const struct power *p)
{
        return json_pack("{s:o, s:o, s:o, s:I}", "average_w", number_json(power_average_w(p)),
                         "peak_w", number_json(power_peak_w(p)), "peak_window_s",
                         number_json(p->peak_window_s > 0 ? p->peak_window_s : NAN), "windows",
                         (json_int_t)p->measured);
}
