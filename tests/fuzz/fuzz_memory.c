/* SPDX-License-Identifier: MIT */
/* The memory of a process as proc(5) tells it; the tree is /proc with a process 1. */
#include "fuzz_tree.h"
#include "memory_read.h"

#define NNODES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        uint64_t bytes, pages[NNODES + 1] = {0};

        FUZZ_CHECK(memory_read_anonymous(root, 1, 4096, &bytes) <= 0);
        FUZZ_CHECK(bytes % 4096 == 0);
        FUZZ_CHECK(memory_read_private(root, 1, &bytes) <= 0);
        FUZZ_CHECK(memory_read_nodes(root, 1, pages, NNODES) <= 0);
        FUZZ_CHECK(pages[NNODES] == 0);
        return 0;
}
