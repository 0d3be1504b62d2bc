/* SPDX-License-Identifier: MIT */
/* A power capping class: its zones, their names, ranges and counters. */
#include "fuzz_source.h"
#include "fuzz_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct source_config config = {.powercap_root = fuzz_tree(data, size)};

        fuzz_source(source_driver_by_name("powercap"), &config);
        return 0;
}
