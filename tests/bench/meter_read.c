/* SPDX-License-Identifier: MIT */
/*
 * What one reading of the meter costs: CPU time of meter_read(), as the tick calls it.
 *
 *     meter_read ROOT [READINGS]
 *
 * ROOT is shaped like /sys/class/powercap (tests/rig/energysim makes one).  Prints one JSON line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meter.h"

#define DEFAULT_READINGS 20000
#define ROUNDS           9
#define NS_PER_S         1000000000ull

static uint64_t clock_ns(clockid_t clock)
{
        struct timespec t;

        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
        struct source_config config = {
                .powercap_root = argc > 1 ? argv[1] : "", .sysfs_root = "/sys", .dev_root = "/dev"};
        long readings = argc > 2 ? strtol(argv[2], NULL, 10) : DEFAULT_READINGS;
        const struct domain *domains;
        struct source_input input = {0};
        struct meter_tick tick;
        struct topology topology;
        double us[ROUNDS];
        struct meter *meter;
        char why[1024];
        int r;

        if (argc < 2 || argc > 3 || readings < ROUNDS) {
                fputs("usage: meter_read ROOT [READINGS]\n", stderr);
                return 2;
        }
        r = topology_init(&topology, "/sys");
        if (r < 0) {
                fprintf(stderr, "meter_read: topology: %s\n", strerror(-r));
                return 1;
        }
        r = meter_open(&meter, "powercap", &config, &topology, why, sizeof(why));
        if (r < 0) {
                fprintf(stderr, "meter_read: %s\n", why);
                topology_deinit(&topology);
                return 1;
        }
        for (int round = 0; round < ROUNDS; round++) {
                uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

                for (long i = 0; i < readings / ROUNDS; i++) {
                        input.now_ns = clock_ns(CLOCK_MONOTONIC);
                        meter_read(meter, &input, &tick);
                }
                us[round] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start) / 1e3 /
                            (double)(readings / ROUNDS);
        }
        qsort(us, ROUNDS, sizeof(us[0]), compare);
        printf("{\"domains\": %zu, \"readings\": %ld, \"us_median\": %.3f, \"us_min\": %.3f, "
               "\"us_max\": %.3f}\n",
               meter_domains(meter, &domains), readings, us[ROUNDS / 2], us[0], us[ROUNDS - 1]);
        meter_close(meter);
        topology_deinit(&topology);
        return 0;
}
