/* SPDX-License-Identifier: MIT */
/* The word that a misspelt one was most likely meant to be, by Damerau and Levenshtein's distance.
 */
#pragma once

#include <stddef.h>

#define NEAREST_WORD_MAX 48 /* longer words have no neighbours */

struct nearest {
        const char *word, *best; /* best: NULL while none is near */
        unsigned int distance;   /* of the best */
};

struct nearest nearest_to(const char *word);
void nearest_offer(struct nearest *n, const char *candidate);

/*
 * How many letters have to be inserted, left out, changed, or exchanged with their neighbour to
 * make one of the other (optimal string alignment: no part is edited twice).  F. Damerau, "A
 * technique for computer detection and correction of spelling errors", CACM 7(3), 1964.
 * NEAREST_WORD_MAX when a word is longer than that.
 */
unsigned int nearest_distance(const char *a, const char *b);
