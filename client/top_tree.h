/* SPDX-License-Identifier: MIT */
/* Rows as a tree of processes: children behind their parents, siblings in the order they came. */
#pragma once

#include <stddef.h>

#include "top_model.h"

/*
 * Put *rows, n of them from malloc(3), in the order of the tree, with their depths.  Those without
 * a parent among them are roots.  0 or -ENOMEM; then *rows is as it was.
 */
int top_tree_make(struct top_row **rows, size_t n);
