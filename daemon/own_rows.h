/* SPDX-License-Identifier: MIT */
/*
 * GetOwnRows: every user's view of their own processes.
 *
 * The rule of access.h is a second between two readings.  So what is told was copied at most once a
 * second, for all ordinary users together: who asks more often is told the same again.  Nothing of
 * the machine is in the answer, and nothing of other users' processes.
 */
#pragma once

struct own_rows;

void own_rows_free(struct own_rows *own);
