/* SPDX-License-Identifier: MIT */
/*
 * The windows of a calibration, and the idle machine's power from them.
 *
 * A window is the difference of two copies of the accounts' sums.  A socket's power in it is known
 * when every domain of the socket (its dies) was read all the time; base power is the median of the
 * windows in which it is known.
 *
 * A machine is at rest when, in the median of the windows, no socket has more busy CPUs than
 * idle_windows_allowed() of them.  Each socket for itself: one at work beside an idle one is not
 * seen in the mean of both.
 */
#pragma once

#include "accounts.h"
#include "baseline.h"

/* A part of a socket's CPUs that may be busy, and not more than so many CPUs. */
#define IDLE_MAX_BUSY_PART 0.05
#define IDLE_MAX_BUSY_CPUS 0.5

struct idle_windows {
        const struct accounts *accounts;
        unsigned int n, wanted;
        unsigned int ncpus[TOPOLOGY_MAX_SOCKETS]; /* online */
        uint64_t slots[TOPOLOGY_MAX_SOCKETS];     /* mask */
        double *power_w[ENERGY_KINDS];            /* by window and socket; NAN: not known */
        double *busy_cpus;                        /* the same; unplaced time with each */
        double *unplaced_cpus;                    /* by window: of no known socket */
        unsigned int *unread;                     /* by account: windows in which it was not */
        double *scratch;                          /* a column */
};

/* -ENOMEM.  `accounts` is kept. */
int idle_windows_init(struct idle_windows *w, const struct accounts *accounts,
                      const struct topology *topology, unsigned int wanted);
void idle_windows_deinit(struct idle_windows *w);

/* The next of the windows wanted: sums at its end and beginning, and its length. */
void idle_windows_add(struct idle_windows *w, uint64_t *sums, uint64_t *before, double seconds);

/* Of the last window.  All CPUs together. */
double idle_windows_power_w(const struct idle_windows *w, enum energy_kind kind,
                            unsigned int socket);
double idle_windows_busy_percent(const struct idle_windows *w);

/* ---- when all have been added ---- */

/* The powers of `b`, their spreads, and the CPUs' use. */
void idle_windows_base(struct idle_windows *w, struct baseline *b);
/* Median over the windows, of all CPUs. */
double idle_windows_median_percent(struct idle_windows *w);
/*
 * The account for which a figure of `b` is missing: of all of that kind the one that was not read
 * in most windows.  -1: none is missing.  kept: of those alone that it has a figure for; NULL: of
 * all.
 */
int idle_windows_unread(const struct idle_windows *w, enum energy_kind kind,
                        const struct baseline *b, const struct baseline *kept);

/* Busy CPUs of a socket, median over the windows, and how many may be. */
double idle_windows_busy_cpus(struct idle_windows *w, unsigned int socket);
double idle_windows_allowed(const struct idle_windows *w, unsigned int socket);
