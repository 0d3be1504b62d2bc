/* SPDX-License-Identifier: MIT */
#include "clock_watch.h"

void clock_watch_tick(struct clock_watch *w, uint64_t monotonic_ns, uint64_t boottime_ns,
                      uint64_t realtime_ns, struct clock_event *event)
{
        int64_t boot_ns = (int64_t)(boottime_ns - monotonic_ns);
        int64_t real_ns = (int64_t)(realtime_ns - monotonic_ns);
        int64_t suspended_ns = boot_ns - w->boot_offset_ns, set_ns;

        *event = (struct clock_event){0};
        if (w->started) {
                if (suspended_ns >= CLOCK_SUSPEND_MIN_NS)
                        event->suspended_ns = (uint64_t)suspended_ns;
                else
                        suspended_ns = 0;
                /* The time of day goes on while the machine is suspended: that is no setting. */
                set_ns = real_ns - w->real_offset_ns - suspended_ns;
                if (set_ns >= CLOCK_SET_MIN_NS || set_ns <= -CLOCK_SET_MIN_NS)
                        event->set_ns = set_ns;
        }
        w->started = true;
        w->boot_offset_ns = boot_ns;
        w->real_offset_ns = real_ns;
}
