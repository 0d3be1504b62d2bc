/* SPDX-License-Identifier: MIT */
#include "calibration_windows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "statistics.h"

#define QUIET_PART 4 /* one of so many windows counts */

struct calibration_windows {
        unsigned int nloads, ngroups, most;
        unsigned int *counts;               /* by load */
        struct calibration_window *windows; /* by load, group, and as they came */
        double *loads, *watts, *others;     /* of a batch */
};

int calibration_windows_new(struct calibration_windows **ret, unsigned int nloads,
                            unsigned int ngroups, unsigned int most)
{
        struct calibration_windows *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->nloads = nloads;
        w->ngroups = ngroups;
        w->most = most;
        w->counts = calloc(nloads, sizeof(w->counts[0]));
        w->windows = calloc((size_t)nloads * ngroups * most, sizeof(w->windows[0]));
        w->loads = calloc(most, sizeof(w->loads[0]));
        w->watts = calloc(most, sizeof(w->watts[0]));
        w->others = calloc(most, sizeof(w->others[0]));
        if (!w->counts || !w->windows || !w->loads || !w->watts || !w->others) {
                calibration_windows_free(w);
                return -ENOMEM;
        }
        *ret = w;
        return 0;
}

void calibration_windows_free(struct calibration_windows *w)
{
        if (!w)
                return;
        free(w->counts);
        free(w->windows);
        free(w->loads);
        free(w->watts);
        free(w->others);
        free(w);
}

static struct calibration_window *windows_of(const struct calibration_windows *w, unsigned int load,
                                             unsigned int group)
{
        return &w->windows[((size_t)load * w->ngroups + group) * w->most];
}

void calibration_windows_add(struct calibration_windows *w, unsigned int load,
                             const struct calibration_window *groups)
{
        if (w->counts[load] == w->most)
                return;
        for (unsigned int group = 0; group < w->ngroups; group++)
                windows_of(w, load, group)[w->counts[load]] = groups[group];
        w->counts[load]++;
}

static int by_others(const void *a, const void *b)
{
        const struct calibration_window *x = a, *y = b;

        return (x->others > y->others) - (x->others < y->others);
}

static struct power_point median_of(const struct calibration_windows *w, unsigned int load,
                                    unsigned int group, const struct calibration_window *windows,
                                    size_t count)
{
        for (size_t i = 0; i < count; i++) {
                w->loads[i] = windows[i].load;
                w->watts[i] = windows[i].watts;
                w->others[i] = windows[i].others;
        }
        return (struct power_point){.group = group,
                                    .step = load + 1,
                                    .load = statistics_median(w->loads, count),
                                    .watts = statistics_median(w->watts, count),
                                    .others = statistics_median(w->others, count)};
}

size_t calibration_windows_points(struct calibration_windows *w, unsigned int batches,
                                  struct power_point *points)
{
        size_t n = 0;

        for (unsigned int load = 0; load < w->nloads; load++) {
                size_t quiet = (w->counts[load] + QUIET_PART - 1) / QUIET_PART;
                size_t parts = batches < quiet ? batches : quiet;

                for (unsigned int group = 0; group < w->ngroups; group++) {
                        struct calibration_window *windows = windows_of(w, load, group);

                        qsort(windows, w->counts[load], sizeof(windows[0]), by_others);
                        for (size_t i = 0; i < parts; i++) {
                                size_t first = quiet * i / parts, end = quiet * (i + 1) / parts;

                                points[n++] = median_of(w, load, group, &windows[first],
                                                        end - first);
                        }
                }
        }
        return n;
}
