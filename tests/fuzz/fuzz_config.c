/* SPDX-License-Identifier: MIT */
/* The configuration file; what is accepted must print as a file that reads back the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../config_print.h"
#include "fuzz_tree.h"

static int parse(struct config *c, const void *data, size_t size)
{
        FILE *in = tmpfile();
        FILE *messages = fopen("/dev/null", "we");
        int r;

        FUZZ_CHECK(in && messages);
        FUZZ_CHECK(fwrite(data, 1, size, in) == size && fseek(in, 0, SEEK_SET) == 0);
        r = config_parse(c, in, "fuzz", messages);
        fclose(in);
        fclose(messages);
        return r;
}

static char *print(const struct config *c, size_t *size)
{
        char *text = NULL;
        FILE *out = open_memstream(&text, size);

        FUZZ_CHECK(out);
        config_print(c, out);
        FUZZ_CHECK(fclose(out) == 0);
        return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct config first, second;
        char *before, *text, *again;
        size_t before_size, text_size, again_size;

        config_defaults(&first);
        config_defaults(&second);
        before = print(&first, &before_size);
        if (parse(&first, data, size) < 0) {
                /* what is refused changes nothing */
                text = print(&first, &text_size);
                FUZZ_CHECK(before_size == text_size && memcmp(before, text, text_size) == 0);
        } else {
                text = print(&first, &text_size);
                FUZZ_CHECK(parse(&second, text, text_size) == 0);
                again = print(&second, &again_size);
                FUZZ_CHECK(text_size == again_size && memcmp(text, again, text_size) == 0);
                free(again);
        }
        free(before);
        free(text);
        return 0;
}
