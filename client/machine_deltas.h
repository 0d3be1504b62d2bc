/* SPDX-License-Identifier: MIT */
/*
 * What the whole machine used between two looks, with its sockets and processes: the line "machine"
 * of a recording, made from the daemon's sums since its start.
 */
#pragma once

#include <jansson.h>

#include "row_deltas.h"

struct machine_deltas;

/* `proc` as for row_deltas_new().  NULL: no memory. */
struct machine_deltas *machine_deltas_new(const char *proc);
void machine_deltas_free(struct machine_deltas *d);

/*
 * Take the answers of GetRows and GetStatus.  *ret: what happened since the ones before; for the
 * first ones an empty object.  0, -EPROTO, -ENOMEM.
 */
int machine_deltas_take(struct machine_deltas *d, const json_t *rows, const json_t *status,
                        struct row_window *window, json_t **ret);
