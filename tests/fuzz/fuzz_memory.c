/* SPDX-License-Identifier: MIT */
/* The memory of a process as proc(5) tells it; the tree is /proc with a process 1. */
#include "fuzz_tree.h"
#include "memory_read.h"

#define NNODES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        static struct memory_spread spread;
        uint64_t bytes, by_node[NNODES + 1] = {0};
        struct memory_private private = {0};

        FUZZ_CHECK(memory_read_anonymous(root, 1, 4096, &bytes) <= 0);
        FUZZ_CHECK(bytes % 4096 == 0);
        FUZZ_CHECK(memory_read_private(root, 1, &private) <= 0);
        memory_spread_begin(&spread, NNODES);
        FUZZ_CHECK(memory_read_spread(root, 1, &spread) <= 0);
        memory_spread_divide(&spread, &private, by_node);
        FUZZ_CHECK(by_node[NNODES] == 0);
        return 0;
}
