/* SPDX-License-Identifier: MIT */
/*
 * Small files that are read as a whole and replaced as a whole: whoever opens one, also after a
 * crash or on a full disk, finds a text that was written to its end, the old one or the new one.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * Read all of a regular file below `dirfd`.  flags: O_NOFOLLOW, or 0.  Free *ret with free().
 * 0, -EFBIG when it is longer than `max`, -EINVAL when it is no regular file, or another -errno.
 */
int atomic_file_read(int dirfd, const char *name, int flags, size_t max, char **ret,
                     size_t *length);

/*
 * Temporary file (".NAME.new"), fsync, rename, fsync of the directory.  Waits for the disk.  There
 * must be one writer at a time.  mode: whatever the umask.  0 or -errno: then no temporary file is
 * left.
 */
int atomic_file_replace(int dirfd, const char *name, mode_t mode, const char *text, size_t length);
