/* SPDX-License-Identifier: MIT */
/* Differences of counters that wrap. */
#pragma once

#include <stdint.h>

/*
 * Microjoules from `before` to `after` of a counter whose highest value is `range_uj`, with at most
 * one wrap between: modulo (range + 1).  range_uj UINT64_MAX is a counter that wraps with its type.
 * Both values must be <= range_uj.  Source: Documentation/power/powercap/powercap.rst
 * (max_energy_range_uj).
 */
uint64_t counter_delta_uj(uint64_t before, uint64_t after, uint64_t range_uj);
