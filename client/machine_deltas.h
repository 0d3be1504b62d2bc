/* SPDX-License-Identifier: MIT */
/*
 * What the whole machine used between two looks, with its sockets and processes: the line "machine"
 * of a recording, made from the daemon's sums since its start.
 */
#pragma once

#include <jansson.h>

struct machine_deltas;

struct machine_deltas *machine_deltas_new(void); /* NULL: no memory */
void machine_deltas_free(struct machine_deltas *d);

/*
 * Take the answers of GetRows and GetStatus.  *ret: what happened since the ones before; for the
 * first ones an empty object.  0, -EPROTO, -ENOMEM.
 */
int machine_deltas_take(struct machine_deltas *d, const json_t *rows, const json_t *status,
                        json_t **ret);
