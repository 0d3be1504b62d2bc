/* SPDX-License-Identifier: MIT */
/*
 * The kernel's `power` PMU as sysfs describes it: which energy events it has, how to ask for each,
 * and what a count stands for.  Reads files only; source_perf.c opens the events.
 *
 * Source: Documentation/ABI/testing/sysfs-bus-event_source-devices-{events,format} and
 * arch/x86/events/rapl.c in the kernel tree.  The PMU `power_core` of newer kernels, one event for
 * each core of AMD processors, is left alone: cores are a part of the package.
 */
#pragma once

#include <stdbool.h>

#include "scale.h"
#include "source.h"

#define PERF_PMU_MAX_EVENTS 5

struct perf_energy_event {
        const char *name; /* "energy-pkg" */
        enum domain_kind kind;
        int error; /* negative errno: there, but its description cannot be used */
        uint64_t config;
        struct scale scale;
};

struct perf_pmu {
        uint32_t type;
        struct perf_energy_event events[PERF_PMU_MAX_EVENTS]; /* the package first, if there */
        size_t nevents;
};

/* 0, or a negative errno and `why` as probe() of a source_driver tells it: no PMU, or no event of a
 * package that can be used. */
int perf_pmu_read(struct perf_pmu *pmu, const char *sysfs_root, char *why);

/* The CPUs on which events are opened, one for each package or die: wanted[cpu] is set. */
int perf_pmu_read_cpumask(bool *wanted, unsigned int ncpus, const char *sysfs_root);
