/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process's memory.
 *
 * Exact, and dear (the kernel walks the page tables): private bytes, from smaps_rollup, and how
 * they are spread over nodes, from numa_maps.  Cheap: resident anonymous bytes, from statm (for
 * each process, Documentation/filesystems/proc.rst in the kernel).
 *
 * Of a process whose first thread has ended before the others, these are the files of another one.
 *
 * All return 0 or a negative errno: -ESRCH and -ENOENT when the process has gone, -EACCES without
 * CAP_SYS_PTRACE, -EBADMSG when the file is not what the kernel documents.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Resident pages that are not of files and not shared by shmem: fields 2 less 3 of statm. */
int memory_read_anonymous(const char *proc_root, pid_t pid, uint64_t page_bytes, uint64_t *bytes);
int memory_parse_statm(const char *text, uint64_t *pages);

/* Sum of the Private_* lines of smaps_rollup, in bytes; -EBADMSG when there is none. */
int memory_read_private(const char *proc_root, pid_t pid, uint64_t *bytes);
int memory_parse_private(const char *text, uint64_t *bytes);

/* Anonymous pages by node, added up; lines about file mappings add nothing. */
int memory_read_nodes(const char *proc_root, pid_t pid, uint64_t *pages, unsigned int nnodes);
void memory_parse_numa_line(const char *line, uint64_t *pages, unsigned int nnodes);
