/* SPDX-License-Identifier: MIT */
/* Numbers as a PMU's scale; what is taken must be what strtold() makes of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_tree.h"
#include "scale.h"

#define MAX_TEXT 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char text[MAX_TEXT], *end;
        long double expected, found;
        struct scale scale;
        uint64_t uj;
        int r;

        if (size >= sizeof(text))
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        r = scale_parse(&scale, text);
        FUZZ_CHECK(r <= 0);
        if (r < 0)
                return 0;
        FUZZ_CHECK(scale.num > 0 && scale.num < UINT64_C(1) << 63);
        FUZZ_CHECK(scale.den > 0 && scale.den < (count_t)1 << 127);
        expected = strtold(text, &end) * 1e6L;
        FUZZ_CHECK(*end == '\0');
        found = (long double)scale.num / (long double)scale.den;
        /* long double has 64 bits; three roundings */
        FUZZ_CHECK(fabsl(found - expected) <= expected * 1e-18L);
        if (scale_to_uj(&scale, 1, &uj))
                FUZZ_CHECK((long double)uj <= found && found < (long double)uj + 1);
        return 0;
}
