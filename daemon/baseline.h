/* SPDX-License-Identifier: MIT */
/*
 * The baseline: power of the idle machine per domain, from calibration, kept in
 * baseline_power.json in the state directory.
 *
 * The file has EnergAt's keys: pkg_base_w, dram_base_w, pkg_base_percents, dram_base_percents,
 * arrays with one number per socket in ascending order of physical_package_id, and beside them
 * ours: "version", "date", "machine" { cpu_model, kernel, microcode, governor, sockets }, "source",
 * "period_s", "windows", and spreads pkg_base_mad_w / dram_base_mad_w (median absolute deviation
 * over windows). A file with EnergAt's keys alone is accepted.  dram_base_w entries are null where
 * the machine has no dram domain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology.h"

#define BASELINE_FILE "baseline_power.json"

struct baseline {
        unsigned int nsockets;
        double package_w[TOPOLOGY_MAX_SOCKETS]; /* NAN: not known */
        double dram_w[TOPOLOGY_MAX_SOCKETS];    /* NAN: not known */
        double package_mad_w[TOPOLOGY_MAX_SOCKETS];
        double dram_mad_w[TOPOLOGY_MAX_SOCKETS];
        double package_percent[TOPOLOGY_MAX_SOCKETS]; /* CPU utilisation while measured */
        double dram_percent[TOPOLOGY_MAX_SOCKETS];    /* memory in use while measured */
        char source[16];                              /* "" in a file of EnergAt's */
        char date[32];                                /* ISO 8601 UTC, "" if not known */
        char cpu_model[128], kernel[128], microcode[32];
        char governor[32]; /* of the CPUs' clock rates; "several" when they differ, "" if not known
                            */
        double period_s;
        unsigned int windows;
};

/* Fill in cpu_model, kernel, microcode and governor of this machine. */
void baseline_describe_machine(struct baseline *b);

/*
 * Load DIR/baseline_power.json.  0; -ENOENT: there is none; -EINVAL: it is corrupt, has values that
 * are no power (negative, not finite, above 100 kW), or is from another machine or socket count:
 * `why` says which and what to do.
 */
int baseline_load(struct baseline *b, const char *dir, const struct topology *topology,
                  const char *source, char *why, size_t why_size);

/* Write it atomically: temporary file, fsync, rename, fsync of the directory.  Mode 0644. */
int baseline_save(const struct baseline *b, const char *dir, char *why, size_t why_size);
