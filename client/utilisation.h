/* SPDX-License-Identifier: MIT */
/*
 * How busy a socket's CPUs and how full its memory are, for EnergAt's columns pkg_percent and
 * dram_percent.  The client reads the machine itself: the daemon's socket is a local one, and both
 * are open to every user.  CPUs that come or go later are not noticed.
 */
#pragma once

#include <stddef.h>

struct utilisation;

/* Read the topology below `sysfs` ("/sys").  0 or -errno. */
int utilisation_new(struct utilisation **ret, const char *sysfs);
void utilisation_free(struct utilisation *u);

/* 100 x busy time / (time x CPUs of that socket); NAN when not known. */
double utilisation_cpu_percent(const struct utilisation *u, long long socket, double busy_s,
                               double duration_s);

/* 100 x used / total memory, now, of that socket's nodes (nodes.h); NAN when not known. */
double utilisation_memory_percent(const struct utilisation *u, long long socket);
