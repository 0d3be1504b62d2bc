/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process's memory.
 *
 * Exact, and dear (the kernel walks the page tables): private bytes, from smaps_rollup, and how
 * they are spread over nodes, from numa_maps.  Cheap: resident anonymous bytes, from statm (for
 * each process, Documentation/filesystems/proc.rst in the kernel).  hugetlb is in no resident size.
 *
 * Of a process whose first thread has ended before the others, these are the files of another one.
 *
 * All return 0 or a negative errno: -ESRCH and -ENOENT when the process has gone, -EACCES without
 * CAP_SYS_PTRACE, -EBADMSG when the file is not what the kernel documents.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "memory_spread.h"

/*
 * Resident pages that are not of files and not shared by shmem: fields 2 less 3 of statm; -ESRCH
 * when none of its threads has memory any more.
 */
int memory_read_anonymous(const char *proc_root, pid_t pid, uint64_t page_bytes, uint64_t *bytes);
int memory_parse_statm(const char *text, uint64_t *pages);

/* The Private_* lines of smaps_rollup; -EBADMSG when there is none. */
int memory_read_private(const char *proc_root, pid_t pid, struct memory_private *ret);
int memory_parse_private(const char *text, struct memory_private *ret);

/* The lines of numa_maps, added to `spread`. */
int memory_read_spread(const char *proc_root, pid_t pid, struct memory_spread *spread);
