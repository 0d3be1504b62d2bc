/* SPDX-License-Identifier: MIT */
/*
 * Small text files as the kernel's sysfs has them: one value, read in one piece.
 *
 * The path is given as a printf() format, so that a caller needs no buffer for it.  Nothing here
 * blocks, whatever stands in the file's place.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* sysfs makes its texts in one page (Documentation/filesystems/sysfs.rst). */
#define SYSFS_TEXT_MAX 4097

/*
 * Read a file into a string, white space before and behind it cut off.  0, or a negative errno:
 * -EBADMSG when it is longer than the buffer or has a NUL byte in it.  The string is empty then.
 */
__attribute__((format(printf, 3, 4))) int sysfs_read(char *text, size_t size, const char *format,
                                                     ...);

/* The same for a name that will be shown: never empty, and what is not printable ASCII is '?'. */
__attribute__((format(printf, 3, 4))) int sysfs_read_name(char *name, size_t size,
                                                          const char *format, ...);

/* A file that holds a decimal number and nothing else. */
__attribute__((format(printf, 2, 3))) int sysfs_read_number(uint64_t *ret, const char *format, ...);

/* Decimal digits and nothing else.  0, -EBADMSG, or -ERANGE when it is above UINT64_MAX. */
int sysfs_parse_number(const char *text, uint64_t *ret);
