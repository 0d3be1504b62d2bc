/* SPDX-License-Identifier: MIT */
/*
 * The baseline: power of the idle machine per domain, from calibration, kept in
 * baseline_power.json in the state directory.
 *
 * The file has EnergAt's keys: pkg_base_w, dram_base_w, pkg_base_percents, dram_base_percents,
 * arrays with one number per socket in ascending order of physical_package_id, and beside them
 * ours: "version", "date", "method" (idle, online), "machine" { cpu_model, kernel, microcode,
 * governor, sockets }, "source", "period_s", "windows", and what the powers are good for:
 * pkg_base_mad_w / dram_base_mad_w (median absolute deviation over windows) of an idle machine, or
 * pkg_base_half_width_w / dram_base_half_width_w (of the 95 % confidence interval) of one in use.
 * The percents are CPU time used and memory in use meanwhile.  A file with EnergAt's keys alone is
 * accepted.  dram_base_w entries are null where the machine has no dram domain, or one whose power
 * could not be told; a package's never are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "topology.h"

#define BASELINE_FILE "baseline_power.json"

/*
 * The highest base power of a socket that is one.  The largest packages are made for 500 to 600 W
 * at work; a file in milliwatts is above for any but the smallest.
 */
#define BASELINE_MAX_W 1000.0

enum baseline_method {
        BASELINE_IDLE,   /* measured on the idle machine */
        BASELINE_ONLINE, /* told from the machine in use, see learn.h */
};

struct baseline {
        unsigned int nsockets;
        enum baseline_method method;
        double package_w[TOPOLOGY_MAX_SOCKETS]; /* NAN: not known */
        double dram_w[TOPOLOGY_MAX_SOCKETS];    /* NAN: not known */
        double package_mad_w[TOPOLOGY_MAX_SOCKETS];
        double dram_mad_w[TOPOLOGY_MAX_SOCKETS];
        double package_half_width_w[TOPOLOGY_MAX_SOCKETS];
        double dram_half_width_w[TOPOLOGY_MAX_SOCKETS];
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
/* cpu_model and microcode alone, from a file as /proc/cpuinfo is. */
void baseline_describe_processor(struct baseline *b, FILE *cpuinfo);

/*
 * What of `then` is otherwise now, though the machine is the same, in one clause; "": nothing.  The
 * governor and the microcode: base power can depend on them.
 */
void baseline_changes(const struct baseline *then, const struct baseline *now, char *text,
                      size_t size);

/*
 * Load DIR/baseline_power.json.  0; -ENOENT: there is none; -EINVAL: it is corrupt, has values that
 * are no power (negative, not finite, above BASELINE_MAX_W), or is from another machine or socket
 * count: `why` says which and what to do.
 */
int baseline_load(struct baseline *b, const char *dir, const struct topology *topology,
                  const char *source, char *why, size_t why_size);

/*
 * Write it atomically: temporary file, fsync, rename, fsync of the directory.  Mode 0644.  -EINVAL,
 * and nothing is overwritten: baseline_load() would not take it.
 */
int baseline_save(const struct baseline *b, const char *dir, char *why, size_t why_size);
