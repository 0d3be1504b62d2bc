/* SPDX-License-Identifier: MIT */
/*
 * The state file.  The bytes as they are; and the same with a header that fits, so that what is
 * behind the checksum is read, too.  What is accepted must be written as a file that reads the
 * same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz_tree.h"
#include "state.h"

static void check(const char *text, size_t size)
{
        static struct state first, second;
        char why[256] = "", *again;
        size_t length;
        int r = state_decode(&first, text, size, why, sizeof(why));

        FUZZ_CHECK(r <= 0);
        FUZZ_CHECK(r == 0 || why[0]);
        if (r < 0)
                return;
        FUZZ_CHECK(first.ndomains <= STATE_MAX_DOMAINS);
        for (size_t i = 0; i < first.ndomains; i++)
                FUZZ_CHECK(state_find(&first, first.domains[i].label) == &first.domains[i]);
        FUZZ_CHECK(state_encode(&first, &again, &length) == 0);
        FUZZ_CHECK(state_decode(&second, again, length, why, sizeof(why)) == 0);
        FUZZ_CHECK(memcmp(&first, &second, sizeof(first)) == 0);
        free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t head;
        char *text;

        check((const char *)data, size);
        text = malloc(size + 64);
        FUZZ_CHECK(text != NULL);
        head = (size_t)sprintf(text, "energat-state 1 %08lx %zu\n",
                               crc32(0, data, (unsigned int)size), size);
        memcpy(text + head, data, size);
        text[head + size] = '\n';
        check(text, head + size + 1);
        free(text);
        return 0;
}
