/* SPDX-License-Identifier: MIT */
/* Files in place of a processor's registers, its identity and its cores. */
#include <stdio.h>

#include "fuzz_source.h"
#include "fuzz_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        char dev[128];
        struct source_config config = {.sysfs_root = root, .dev_root = dev};

        snprintf(dev, sizeof(dev), "%s/dev", root);
        fuzz_source(source_driver_by_name("msr"), &config);
        return 0;
}
