/* SPDX-License-Identifier: MIT */
/*
 * What happened to the clocks between two ticks.  CLOCK_MONOTONIC stands still while the machine is
 * suspended and CLOCK_BOOTTIME does not; CLOCK_REALTIME can be set.  Pure: the caller reads the
 * clocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clock_watch {
        bool started;
        int64_t boot_offset_ns, real_offset_ns; /* to CLOCK_MONOTONIC, at the last tick */
};

struct clock_event {
        uint64_t suspended_ns; /* 0: it was not */
        int64_t set_ns;        /* by how much the time of day was set; 0: it was not */
};

/* Reading three clocks takes a moment: less than these is not an event. */
#define CLOCK_SUSPEND_MIN_NS 10000000  /* 10 ms */
#define CLOCK_SET_MIN_NS     100000000 /* 100 ms */

void clock_watch_tick(struct clock_watch *w, uint64_t monotonic_ns, uint64_t boottime_ns,
                      uint64_t realtime_ns, struct clock_event *event);
