/* SPDX-License-Identifier: MIT */
/* What the two ways of calibrating share. */
#pragma once

#include "baseline.h"
#include "server.h"

/* Everything of a new baseline but the packages' and dram's power: this machine, now.  NAN: that is
 * still to be filled in. */
void baseline_begin(struct baseline *b, const struct server *s, enum baseline_method method);

/* Save a new baseline, put it in force, and end the call with "done" or an error. */
void baseline_keep(struct call *call, const struct baseline *b, double busy_percent);

/* Wait until base power has been learned from the machine in use, `seconds` at most. */
void calibrate_online(struct call *call, double seconds);
