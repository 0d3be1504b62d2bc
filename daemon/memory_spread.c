/* SPDX-License-Identifier: MIT */
#include "memory_spread.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (UINT64_C(1) << 57) /* an address space of five levels */

__extension__ typedef unsigned __int128 uint128_t;

/* What a line says beside its pages. */
struct mapping {
        uint64_t page_bytes; /* 0: no pages */
        uint64_t written, pages;
        bool huge, mixed;
};

void memory_spread_begin(struct memory_spread *s, unsigned int nnodes)
{
        size_t size = nnodes * sizeof(uint64_t);

        s->nnodes = nnodes;
        memset(s->small.sole_bytes, 0, size);
        memset(s->small.mixed_bytes, 0, size);
        memset(s->huge.sole_bytes, 0, size);
        memset(s->huge.mixed_bytes, 0, size);
}

/* The word after this one; NULL: there is none. */
static const char *next_word(const char *word)
{
        word = strchr(word, ' ');
        return word ? word + 1 : NULL;
}

/* KEY=NUMBER.  Names of files cannot look so: the kernel escapes their blanks. */
static bool take_number(const char *word, const char *key, uint64_t *value)
{
        size_t n = strlen(key);

        if (strncmp(word, key, n) != 0 || !isdigit((unsigned char)word[n]))
                return false;
        *value = strtoull(word + n, NULL, 10);
        return true;
}

/* N0=12 */
static bool take_node(const char *word, unsigned long *node, uint64_t *pages)
{
        char *end;

        if (word[0] != 'N' || !isdigit((unsigned char)word[1]))
                return false;
        *node = strtoul(word + 1, &end, 10);
        return take_number(end, "=", pages);
}

static void read_mapping(const char *line, struct mapping *m)
{
        *m = (struct mapping){0};
        for (const char *word = next_word(line); word; word = next_word(word)) {
                unsigned long node;
                uint64_t n;

                if (take_node(word, &node, &n))
                        m->pages += n;
                else if (take_number(word, "anon=", &n) || take_number(word, "dirty=", &n))
                        m->written = n > m->written ? n : m->written;
                else if (take_number(word, "kernelpagesize_kB=", &n))
                        m->page_bytes = n <= MOST_BYTES / 1024 ? n * 1024 : 0;
                else if (take_number(word, "mapmax=", &n))
                        m->mixed = true;
                else
                        m->huge |= strncmp(word, "huge ", 5) == 0;
        }
        if (m->written > m->pages)
                m->written = m->pages;
}

static void add(uint64_t *sum, uint64_t bytes)
{
        if (__builtin_add_overflow(*sum, bytes, sum))
                *sum = UINT64_MAX;
}

void memory_spread_line(struct memory_spread *s, const char *line)
{
        struct memory_mapped *into;
        struct mapping m;

        read_mapping(line, &m);
        into = m.huge ? &s->huge : &s->small;
        if (!m.page_bytes || !m.pages)
                return;
        for (const char *word = next_word(line); word; word = next_word(word)) {
                unsigned long node;
                uint64_t n;

                if (!take_node(word, &node, &n) || node >= s->nnodes ||
                    n > MOST_BYTES / m.page_bytes)
                        continue;
                if (m.mixed)
                        add(&into->mixed_bytes[node],
                            (uint64_t)((uint128_t)n * m.page_bytes * m.written / m.pages));
                else
                        add(&into->sole_bytes[node], n * m.page_bytes);
        }
}

static uint128_t sum_of(const uint64_t *bytes, unsigned int n)
{
        uint128_t sum = 0;

        for (unsigned int i = 0; i < n; i++)
                sum += bytes[i];
        return sum;
}

/* As much as that in the proportions of `mapped`. */
static void give(uint64_t bytes, const uint64_t *mapped, uint128_t sum, unsigned int n,
                 uint64_t *by_node)
{
        for (unsigned int i = 0; sum && i < n; i++)
                add(&by_node[i], (uint64_t)((uint128_t)bytes * mapped[i] / sum));
}

static void divide(uint64_t bytes, const struct memory_mapped *m, unsigned int n, uint64_t *by_node)
{
        uint128_t sole = sum_of(m->sole_bytes, n), mixed = sum_of(m->mixed_bytes, n);
        uint64_t certain = bytes;

        /* The two files are not read at one instant: without mixed ones, certain are all. */
        if (mixed && sole < bytes)
                certain = (uint64_t)sole;
        give(certain, m->sole_bytes, sole, n, by_node);
        give(bytes - certain, m->mixed_bytes, mixed, n, by_node);
}

void memory_spread_divide(const struct memory_spread *s, const struct memory_private *total,
                          uint64_t *bytes)
{
        memset(bytes, 0, s->nnodes * sizeof(bytes[0]));
        divide(total->small_bytes, &s->small, s->nnodes, bytes);
        divide(total->huge_bytes, &s->huge, s->nnodes, bytes);
}
