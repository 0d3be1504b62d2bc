/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in every run: xorshift64 (Marsaglia, "Xorshift RNGs", 2003). */
#pragma once

#include <stdint.h>

#define RANDOM_SEED UINT64_C(0x9e3779b97f4a7c15) /* anything but 0 */

static inline uint64_t random_next(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

/* 0 .. n - 1 */
static inline uint64_t random_below(uint64_t *seed, uint64_t n)
{
        return random_next(seed) % n;
}

/* A number of at most `bits` bits whose size is random too, so that small ones come up often. */
static inline uint64_t random_of_bits(uint64_t *seed, unsigned int bits)
{
        unsigned int size = (unsigned int)random_below(seed, bits + 1);

        return size ? random_next(seed) >> (64 - size) : 0;
}

/* Nearly normal, of mean 0 and standard deviation 1: the sum of twelve uniform ones. */
static inline double random_normal(uint64_t *seed)
{
        double sum = -6;

        for (unsigned int i = 0; i < 12; i++)
                sum += (double)random_below(seed, 1000000) / 1e6;
        return sum;
}
