/* SPDX-License-Identifier: MIT */
/* What the simulated meter is asked to be: its packages, its power model, its files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "busy_time.h"

#define SIM_MAX_CPUS     1024
#define SIM_MAX_PACKAGES 8
#define SIM_MAX_PHASES   32
#define SIM_NO_PACKAGE   (-1)

/* One part of the repeating schedule of power per busy core. */
struct sim_phase {
        uint64_t length_ns;
        double per_core_w;
};

struct sim_options {
        const char *root;
        const char *truth; /* NULL: no running truth */
        unsigned int npackages;
        int package_id[SIM_MAX_PACKAGES]; /* the number in the zone's name, "package-N" */
        int package_of[SIM_MAX_CPUS];     /* index of the CPU's package, or SIM_NO_PACKAGE */
        unsigned int ncpus;               /* possible CPUs of the machine */
        double base_w;
        double per_core_w;
        double exponent; /* of the number of busy cores; 1: energy per core second is constant */
        bool dram;
        double dram_base_w;
        double dram_per_gib_w;
        double dram_exponent; /* of the GiB in use; 1: energy per GiB is constant */
        bool core;            /* a "core" zone before "dram": dram is then ":0:1" */
        bool mmio;            /* the packages again under intel-rapl-mmio */
        bool symlinks;        /* zones as symbolic links, as in a real class directory */
        bool reverse;         /* zone 0 is the last package */
        uint64_t range_uj;    /* 0: as on hardware, see energysim.c */
        uint64_t start_uj;    /* first value of every counter */
        uint64_t period_ns;
        uint64_t duration_ns; /* 0: until a signal */
        enum busy_source busy;
        bool exact; /* have all CPUs charged before every step */
        struct sim_phase phases[SIM_MAX_PHASES];
        unsigned int nphases; /* 0: per_core_w throughout */
};

/*
 * Read the command line.  0, or -EINVAL after the complaint went to stderr; 1 after --help.
 * Strings point into argv.
 */
int sim_options_parse(struct sim_options *o, int argc, char **argv);
