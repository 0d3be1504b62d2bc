/* SPDX-License-Identifier: MIT */
/* Deadlines, CLOCK_MONOTONIC in nanoseconds; and the time of day. */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

static inline uint64_t clock_now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail with this clock */
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Seconds since 1970, as reports and recordings have them. */
static inline double clock_realtime_s(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / (double)NS_PER_S;
}

/* What poll() takes: milliseconds until the deadline, rounded up so that it is never early; -1 for
 * the deadline UINT64_MAX, which never comes. */
static inline int clock_poll_timeout_ms(uint64_t deadline_ns)
{
        uint64_t now_ns = clock_now_ns(), left_ms;

        if (deadline_ns == UINT64_MAX)
                return -1;
        if (deadline_ns <= now_ns)
                return 0;
        left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}
