/* SPDX-License-Identifier: MIT */
/*
 * A recording as a whole: one JSON document with what `energat report` shows in every form
 * (client/schema/energat.schema.json).  Made in two passes over the file, in memory that is bounded
 * however long the recording is: the first finds who used most, the second draws power over time.
 */
#pragma once

#include <jansson.h>

#include "impact.h"
#include "record.h"

#define RECORDING_STEPS     360  /* of power over time, at most */
#define RECORDING_PROGRAMS  8    /* that have a series of their own */
#define RECORDING_PROCESSES 1000 /* that are listed, those that used most */

/*
 * New reference in *ret.  0; -ENODATA: there is nothing in it but its header; -ENOMEM; -EIO.
 * Needs a reader that stands behind the header.
 */
int recording_document(struct record_reader *reader, const struct impact_factors *factors,
                       json_t **ret);
