/* SPDX-License-Identifier: MIT */
/* energat top --batch: a view as text for a pipe, or as one line of JSON. */
#pragma once

#include <stdio.h>

#include "top_model.h"
#include "top_view.h"

/* 0 or -errno. */
int top_batch_text(FILE *out, const struct top_model *m, const struct top_order *order,
                   const struct top_view *v);
int top_batch_json(FILE *out, const struct top_model *m, const struct top_order *order);
