/* SPDX-License-Identifier: MIT */
/* CPU lists: nothing is visited of a bad one, and no CPU beyond the limit of a good one. */
#include <stdlib.h>
#include <string.h>

#include "cpulist.h"
#include "fuzz_tree.h"

#define LIMIT    128
#define MAX_TEXT 512

static void visit(unsigned int cpu, void *arg)
{
        unsigned int *visits = arg;

        FUZZ_CHECK(cpu < LIMIT);
        (*visits)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned int visits = 0;
        char text[MAX_TEXT];
        int r;

        if (size >= sizeof(text))
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        r = cpulist_walk(text, LIMIT, visit, &visits);
        FUZZ_CHECK(r <= 0);
        FUZZ_CHECK(r == 0 || visits == 0);
        /* "" and a line alone are empty lists; any other that is good names a CPU */
        if (r == 0 && visits == 0)
                FUZZ_CHECK(strcmp(text, "") == 0 || strcmp(text, "\n") == 0);
        return 0;
}
