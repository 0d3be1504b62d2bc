/* SPDX-License-Identifier: MIT */
#include "nearest.h"

#include <string.h>

static unsigned int least(unsigned int a, unsigned int b)
{
        return a < b ? a : b;
}

unsigned int nearest_distance(const char *a, const char *b)
{
        size_t na = strlen(a), nb = strlen(b);
        /* the rows of the table for i - 2, i - 1 and i letters of a */
        unsigned int table[3][NEAREST_WORD_MAX + 1];

        if (na >= NEAREST_WORD_MAX || nb >= NEAREST_WORD_MAX)
                return NEAREST_WORD_MAX;
        memset(table, 0, sizeof(table));
        for (size_t j = 0; j <= nb; j++)
                table[0][j] = (unsigned int)j;
        for (size_t i = 1; i <= na; i++) {
                unsigned int *row = table[i % 3], *above = table[(i + 2) % 3];
                const unsigned int *two_above = table[(i + 1) % 3];

                row[0] = (unsigned int)i;
                for (size_t j = 1; j <= nb; j++) {
                        unsigned int cost = a[i - 1] != b[j - 1];

                        row[j] = least(above[j - 1] + cost, least(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = least(row[j], two_above[j - 2] + 1);
                }
        }
        return table[na % 3][nb];
}

struct nearest nearest_to(const char *word)
{
        return (struct nearest){.word = word};
}

/* A third of the letters may be wrong, and one of a short word; never all of them. */
void nearest_offer(struct nearest *n, const char *candidate)
{
        size_t length = strlen(n->word);
        unsigned int distance = nearest_distance(n->word, candidate);
        unsigned int allowed = length < 5 ? 1 : (unsigned int)(length + 1) / 3;

        if (distance > allowed || distance >= length || distance >= strlen(candidate))
                return;
        if (!n->best || distance < n->distance) {
                n->best = candidate;
                n->distance = distance;
        }
}
