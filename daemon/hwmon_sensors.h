/* SPDX-License-Identifier: MIT */
/*
 * Finding the energy and power sensors of the kernel's hwmon class, and what each of them measures.
 *
 * Source: Documentation/hwmon/sysfs-interface.rst.  A chip is a directory hwmonN, in no order that
 * means anything; its files are there or, of older drivers, in hwmonN/device.  Of a power sensor
 * that has both an average and an instantaneous value the average is taken: it misses nothing
 * between two readings.
 *
 * A sensor is a board, a GPU, a supply rail: DOMAIN_OTHER, unless its chip and label are known to
 * mean a whole processor (see the table in the .c file).
 *
 * Left out are
 *   - amd_energy's sensors of single cores, "Ecore000" and so on: up to hundreds, each of which
 *     wakes its core when it is read, of energy that is a part of the package's;
 *   - sensors of devices that may sleep while nobody uses them (power/control "auto" and runtime
 *     power management at work), as the GPU of a laptop does: reading would keep them awake.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "source.h"

struct hwmon_sensor {
        char *path; /* of its value; owned by the list */
        bool power; /* microwatts at the moment, or on average; else microjoules in all */
        struct domain domain;
        char device[DOMAIN_NAME_MAX]; /* in sysfs, or "": what tells chips of one name apart */
};

struct hwmon_sensors {
        struct hwmon_sensor *all; /* in the order of their domains: packages by socket first */
        size_t n;
};

/*
 * Find the sensors below `sysfs_root`/class/hwmon.  0, also when there are none, or a negative
 * errno: the class cannot be read, -ENOMEM, or -E2BIG: more than SOURCE_MAX_DOMAINS.  Release with
 * hwmon_sensors_deinit() in any case.
 */
int hwmon_sensors_find(struct hwmon_sensors *sensors, const char *sysfs_root,
                       const struct topology *topology);
void hwmon_sensors_deinit(struct hwmon_sensors *sensors);
