/* SPDX-License-Identifier: MIT */
/*
 * What a calibration has seen: many short windows at each of its loads, for each domain.
 *
 * A machine is never quite alone, and how a burst of somebody else's and a steady load add up is in
 * no law of the fit.  So of all windows at a load only the quietest quarter counts, whenever they
 * were.  These, sorted by what others did, are divided into batches of as many, and a point of the
 * curve is the median of a batch: several points at each load show how exact they are.
 *
 * Pure: numbers in, numbers out.
 */
#pragma once

#include <stddef.h>

#include "power_fit.h"

struct calibration_window {
        double load, watts;
        double others; /* busy CPUs beside ours */
};

struct calibration_windows;

/* For so many loads and groups (domains), with at most `most` windows of each; all are at least 1.
 * 0 or -ENOMEM. */
int calibration_windows_new(struct calibration_windows **ret, unsigned int nloads,
                            unsigned int ngroups, unsigned int most);
void calibration_windows_free(struct calibration_windows *w);

/* What one window showed of all groups: that many.  More than `most` at a load are not kept. */
void calibration_windows_add(struct calibration_windows *w, unsigned int load,
                             const struct calibration_window *groups);

/*
 * The points of all loads, by load, group and batch, into an array for nloads x ngroups x batches;
 * loads without windows have none, those with fewer than batches have one for each.  Returns their
 * number.
 */
size_t calibration_windows_points(struct calibration_windows *w, unsigned int batches,
                                  struct power_point *points);
