/* SPDX-License-Identifier: MIT */
/*
 * How late the machine's own timers are: a thread that only waits for the same ticks as the
 * daemon's, at the same priority, and does nothing else.  What it is late, no daemon could be
 * better.
 *
 *     timer_jitter SECONDS [PERIOD_MS]
 */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lateness.h"

#define NS_PER_S 1000000000ull

static uint64_t monotonic_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
        double seconds = argc > 1 ? atof(argv[1]) : 0, period_ms = argc > 2 ? atof(argv[2]) : 10;
        uint64_t period_ns = (uint64_t)(period_ms * 1e6), end_ns, first_ns, missed = 0;
        struct sched_param param = {.sched_priority = 1};
        static struct lateness lateness;
        struct itimerspec every = {0};
        bool realtime;
        int fd;

        if (!(seconds > 0) || !(period_ms > 0)) {
                fputs("usage: timer_jitter SECONDS [PERIOD_MS]\n", stderr);
                return 2;
        }
        realtime = sched_setscheduler(0, SCHED_FIFO, &param) == 0;
        prctl(PR_SET_TIMERSLACK, 1);
        fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        first_ns = (monotonic_ns() / period_ns + 1) * period_ns;
        every.it_value.tv_sec = (time_t)(first_ns / NS_PER_S);
        every.it_value.tv_nsec = (long)(first_ns % NS_PER_S);
        every.it_interval.tv_sec = (time_t)(period_ns / NS_PER_S);
        every.it_interval.tv_nsec = (long)(period_ns % NS_PER_S);
        if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &every, NULL) < 0) {
                perror("timer_jitter: timerfd");
                return 1;
        }
        for (end_ns = first_ns + (uint64_t)(seconds * 1e9); monotonic_ns() < end_ns;) {
                uint64_t expirations;

                if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
                        continue;
                lateness_add(&lateness, monotonic_ns() % period_ns + (expirations - 1) * period_ns);
                missed += expirations - 1;
        }
        printf("{\"realtime\": %s, \"ticks\": %llu, \"missed\": %llu, \"p50_s\": %.6f, \"p99_s\": "
               "%.6f, "
               "\"max_s\": %.6f}\n",
               realtime ? "true" : "false", (unsigned long long)lateness.count,
               (unsigned long long)missed, (double)lateness_quantile_ns(&lateness, 0.5) / 1e9,
               (double)lateness_quantile_ns(&lateness, 0.99) / 1e9, (double)lateness.max_ns / 1e9);
        return 0;
}
