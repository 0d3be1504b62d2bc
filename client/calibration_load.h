/* SPDX-License-Identifier: MIT */
/*
 * The load for calibration: threads of this process that keep chosen cores busy.  All of it goes
 * when the process ends, however it ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calibration_load;

/*
 * One thread for each core that this process may use, of every package alike: none is busy at
 * first.  Threads of one core (SMT) count as one.  0, or -errno.
 */
int calibration_load_new(struct calibration_load **ret);
void calibration_load_free(struct calibration_load *l);

/* Has that package a core that we may use?  Where the kernel does not tell packages, each has. */
bool calibration_load_has(const struct calibration_load *l, int package);

/* Cores of the package that has the most. */
unsigned int calibration_load_cores(const struct calibration_load *l);

/*
 * Keep the first `cores` cores of each package busy; what is left of a whole number, the next one
 * for that part of every millisecond.
 */
void calibration_load_set(struct calibration_load *l, double cores);
