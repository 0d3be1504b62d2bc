/* SPDX-License-Identifier: MIT */
/* What every energy source promises, whatever it has read. */
#pragma once

#include "source.h"

/*
 * Two sockets of two nodes and two dies, eight CPUs: shared by the targets, so that a seed can name
 * them.
 */
const struct topology *fuzz_machine(void);

/*
 * Probe, open and read the source some times, ticks and seconds apart, and check what it hands out
 * against source.h.
 */
void fuzz_source(const struct source_driver *driver, const struct source_config *config);
