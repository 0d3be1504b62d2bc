/* SPDX-License-Identifier: MIT */
/* The table of energat top: which columns there are, their head, and a row. */
#pragma once

#include "top_model.h"
#include "top_text.h"
#include "top_view.h"

/* With marks of style. */
void top_table_head(struct top_text *t, const struct top_view *v, const struct top_model *m,
                    const struct top_order *order);
void top_table_row(struct top_text *t, const struct top_view *v, const struct top_model *m,
                   const struct top_order *order, const struct top_row *row);

/* The column of the table's head at a column of the screen: what a click there sorts by; -1: none.
 */
int top_table_sort_at(const struct top_model *m, const struct top_view *v,
                      const struct top_order *order, int column);

/* The head and one row as text without marks, for --batch. */
void top_table_head_text(char line[TOP_LINE_MAX], const struct top_view *v,
                         const struct top_model *m, const struct top_order *order);
void top_table_row_text(char line[TOP_LINE_MAX], const struct top_view *v,
                        const struct top_model *m, const struct top_order *order,
                        const struct top_row *row);
