/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Work between two looks at the clock, about 2 us.  CLOCK_THREAD_CPUTIME_ID is a system call of
 * some 200 ns: with more looks the load would be the kernel's, with fewer less exact.
 */
#define ROUNDS_PER_LOOK 2000

static uint64_t read_clock_ns(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t load_now_ns(void)
{
        return read_clock_ns(CLOCK_MONOTONIC);
}

uint64_t load_thread_cpu_ns(void)
{
        return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t load_process_cpu_ns(void)
{
        return read_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void load_sleep_until(uint64_t deadline_ns)
{
        struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                    .tv_nsec = (long)(deadline_ns % NS_PER_S)};

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
                ;
}

void load_spin_until_cpu(uint64_t thread_cpu_ns)
{
        while (load_thread_cpu_ns() < thread_cpu_ns) {
                for (volatile unsigned int round = 0; round < ROUNDS_PER_LOOK; round++)
                        ;
        }
}

void load_spin_for(uint64_t cpu_ns)
{
        load_spin_until_cpu(load_thread_cpu_ns() + cpu_ns);
}

int load_complain(const char *what, int error)
{
        fprintf(stderr, "loadgen: cannot %s: %s\n", what, strerror(error < 0 ? -error : error));
        return error < 0 ? error : -error;
}
