/* SPDX-License-Identifier: MIT */
/*
 * The keeper: brings the totals to disk at least once a second, so that a crash costs no more than
 * that, and a restart nothing.
 *
 * The main thread asks the sampler for a copy of its sums; a thread of the keeper's own writes them
 * (state_file.h): a disk may take its time, and neither the tick nor a client waits for it.  When
 * writing fails, measuring goes on; that is said once in the log, in every status, and once more
 * when it is over.
 */
#pragma once

#include "server.h"
#include "totals.h"

struct keeper;

/* After sampler_start().  Failure to read or write is no failure of this: see keeper_problems(). */
int keeper_new(struct keeper **ret, struct server *server);
/* After sampler_stop(): saves for the last time, and waits for it. */
void keeper_free(struct keeper *k);

/*
 * The totals as last written, at most about a second old, and so never less than what was told
 * before: exact, or as of a mark, for everybody.
 */
void keeper_totals(const struct keeper *k, bool exact, struct state *ret);
/* Microjoules of a domain of that name, counted before; 0 where there is none, or no keeper. */
uint64_t keeper_before_uj(const struct keeper *k, const char *label);
/* Age in seconds of what is on disk; NAN: this daemon has saved nothing yet. */
double keeper_age_s(const struct keeper *k);

/* Append what is wrong to a JSON array. */
void keeper_problems(const struct keeper *k, json_t *warnings);
