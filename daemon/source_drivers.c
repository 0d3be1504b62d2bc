/* SPDX-License-Identifier: MIT */
/* All drivers, in the order in which they are tried: a table of its own, so that a test can bring
 * another. */
#include "source.h"

#include <stddef.h>

extern const struct source_driver source_powercap;
extern const struct source_driver source_perf;
extern const struct source_driver source_msr;
extern const struct source_driver source_hwmon;
extern const struct source_driver source_estimate;

const struct source_driver *const source_drivers[] = {
        &source_powercap, &source_perf, &source_msr, &source_hwmon, &source_estimate, NULL,
};
