/* SPDX-License-Identifier: MIT */
/* Set a key of energatd's configuration file, and leave all else in it as it is. */
#pragma once

#include <stddef.h>

/*
 * Text in, text out: the line "key = value" in [section] is replaced; else it is put behind a
 * comment that shows the key ("#key = ..."), or at the head of the section; else the section is
 * added at the end.  The result is the caller's to free().  NULL: no memory.
 */
char *config_edit_text(const char *text, const char *section, const char *key, const char *value);

/*
 * The same in a file, which is replaced as a whole or not at all; one that is not there is made.
 * 0, or -errno; `why` says what was tried and what happened.
 */
int config_edit(const char *path, const char *section, const char *key, const char *value,
                char *why, size_t why_size);
