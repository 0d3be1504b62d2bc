/* SPDX-License-Identifier: MIT */
/* What the two ways of calibrating share. */
#pragma once

#include "baseline.h"
#include "server.h"

/* Save a new baseline, put it in force, and end the call with "done" or an error. */
void baseline_keep(struct call *call, const struct baseline *b, double busy_percent);

/* Wait until base power has been learned from the machine in use, `seconds` at most. */
void calibrate_online(struct call *call, double seconds);
