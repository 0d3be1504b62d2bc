/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The power model.  A domain, a package or a die where packages have several, uses
 *
 *   base_mw + core_mw x CPUs x u^(1/root),   u = busy CPU time / (CPUs x time)
 *
 * and its memory  dram_base_mw + dram_gib_mw x GiB in use.  With root = 1 a thread that uses T
 * seconds of CPU time costs core_mw x T, exactly and whatever else runs.
 *
 * The caller sees to it that only one of these functions runs at a time.
 */
#pragma once

#include <linux/types.h>

#define POWER_MAX_DOMAINS 16

struct domain {
        int package, die; /* die -1: packages have one */
        char name[32];    /* as intel_rapl names it: package-0, package-0-die-1 */
        unsigned int ncpus;
        u64 busy_ns; /* at the last update */
        u64 package_pj, cores_pj, dram_pj;
};

/* Find the domains of this machine and begin to count.  Number of domains or negative errno. */
int power_start(const struct domain **domains);
void power_stop(void);

/* Bring all energies up to now; not more often than RAPL does. */
void power_update(void);

/* Of the whole platform. */
u64 power_platform_pj(void);
