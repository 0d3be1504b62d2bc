/* SPDX-License-Identifier: MIT */
/* A hwmon class: chips, labels, values of energy and power. */
#include "fuzz_source.h"
#include "fuzz_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct source_config config = {.sysfs_root = fuzz_tree(data, size)};

        fuzz_source(source_driver_by_name("hwmon"), &config);
        return 0;
}
