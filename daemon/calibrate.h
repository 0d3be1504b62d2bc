/* SPDX-License-Identifier: MIT */
/* What the two ways of calibrating share. */
#pragma once

#include "baseline.h"
#include "server.h"

/* Nothing is known of it: powers are NAN. */
void baseline_blank(struct baseline *b, unsigned int nsockets);

/* Everything of a new baseline but the packages' and dram's power: this machine, now.  NAN: that is
 * still to be filled in. */
void baseline_begin(struct baseline *b, const struct server *s, enum baseline_method method);

/* A reply of Calibrate, with the powers and half-widths of `b`.  busy_percent: or NAN; lacking,
 * path: or NULL. */
json_t *calibration_json(const char *event, unsigned int window, unsigned int windows,
                         const struct baseline *b, double busy_percent, const char *lacking,
                         const char *path);

/* Use a baseline from now on.  -ENOMEM. */
int baseline_put_in_force(struct server *s, const struct baseline *b);

/*
 * Save a new baseline, put it in force, and end the call with "done" or an error.  lacking: what it
 * has no power of, and why; NULL: nothing.
 */
void baseline_keep(struct call *call, const struct baseline *b, double busy_percent,
                   const char *lacking);

/* Wait until base power has been learned from the machine in use, `seconds` at most. */
void calibrate_online(struct call *call, double seconds);
