/* SPDX-License-Identifier: MIT */
/*
 * An energy source: one way to read the machine's energy counters (powercap, perf, msr, hwmon,
 * estimate).  Every driver is one file with one `struct source_driver`, and one row in the table
 * of source_drivers.c; it knows that kind of device, and nothing of the others.
 *
 * A driver hands out *counters*: cumulative microjoules that wrap at a range of their own.  What
 * a counter's difference means (wraps, faults, gaps) is the meter's business, see meter.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topology.h"

enum domain_kind {
        DOMAIN_PACKAGE, /* a whole socket, or one die of it */
        DOMAIN_DRAM,
        DOMAIN_CORE,   /* part of package, never added to it */
        DOMAIN_UNCORE, /* part of package, never added to it */
        DOMAIN_PSYS,   /* the platform, package and dram included */
        DOMAIN_OTHER,  /* boards, GPUs, ... : shown, never attributed */
};

#define DOMAIN_NAME_MAX    64
#define SOURCE_MAX_DOMAINS 128
#define SOURCE_WHY_MAX     256

struct domain {
        enum domain_kind kind;
        int socket;                  /* physical_package_id; -1: none (psys, boards) */
        int die;                     /* die_id; -1: the domain is the whole socket */
        char name[DOMAIN_NAME_MAX];  /* as the device names it, trimmed: "package-0", "dram" */
        char label[DOMAIN_NAME_MAX]; /* unique on this machine: "package-0/dram" */
        uint64_t range_uj; /* highest value before the counter starts again at 0; 0: not known */
        uint64_t resolution_uj; /* smallest step; 0: not known */
};

/* What a driver may use to make a reading; only `estimate` does. */
struct source_input {
        uint64_t now_ns;              /* CLOCK_MONOTONIC */
        const uint64_t *slot_busy_ns; /* cumulative busy time by topology slot */
        size_t nslots;
};

/* One reading of one domain.  error is 0 or a negative errno; then counter_uj means nothing. */
struct reading {
        uint64_t counter_uj;
        int error;
};

struct source_config {
        const char *powercap_root; /* /sys/class/powercap */
        const char *sysfs_root;    /* /sys */
        const char *dev_root;      /* /dev */
        double estimate_idle_w; /* per logical CPU; see source_estimate.c for the default's origin
                                 */
        double estimate_busy_w; /* more, per busy logical CPU */
};

struct source; /* an open source; each driver has its own */

struct source_driver {
        const char *name;
        bool estimated; /* readings come from a model, not from a meter */
        bool prompt;    /* its counters of packages move every few milliseconds, as RAPL's do */
        bool lasting; /* its counters go on when nobody has the source open, until the next boot */
        /*
         * Could this source work here?  0: yes.  Negative errno: no, and `why` (SOURCE_WHY_MAX
         * bytes) says what was tried and what happened, in one clause without a full stop.
         */
        int (*probe)(const struct source_config *config, const struct topology *topology,
                     char *why);
        int (*open)(struct source **ret, const struct source_config *config,
                    const struct topology *topology, char *why);
        /* The domains, fixed for the life of the source; owned by it. */
        size_t (*domains)(const struct source *source, const struct domain **ret);
        /* Read every domain into readings[0..ndomains-1].  No allocation, no logging. */
        void (*read)(struct source *source, const struct source_input *input,
                     struct reading *readings);
        /* Base power of a domain known without calibration, in W, or a negative number.  May be
         * NULL. */
        double (*known_base_w)(const struct source *source, size_t domain);
        void (*close)(struct source *source);
};

/* The drivers, best first; ends with NULL.  `auto` takes the first that works. */
extern const struct source_driver *const source_drivers[];

const struct source_driver *source_driver_by_name(const char *name);
const char *domain_kind_name(enum domain_kind kind);
