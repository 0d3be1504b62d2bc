/* SPDX-License-Identifier: MIT */
/* A process as proc(5) tells it; the tree is /proc with a process 1. */
#include <string.h>

#include "fuzz_tree.h"
#include "procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *root = fuzz_tree(data, size);
        struct procfs_namespace namespace;
        struct procfs_status status;
        struct procfs_stat stat;
        int r = procfs_stat(&stat, root, 1);

        FUZZ_CHECK(r <= 0);
        if (r == 0)
                FUZZ_CHECK(memchr(stat.comm, '\0', sizeof(stat.comm)) != NULL);
        r = procfs_status(&status, root, 1);
        FUZZ_CHECK(r <= 0);
        (void)procfs_ppid(root, 1);
        (void)procfs_pid_namespace(&namespace, root, 1);
        (void)procfs_innermost_pid(root, 1);
        return 0;
}
