/* SPDX-License-Identifier: MIT */
/*
 * A result file that is there whole or not at all: written beside its place under another name,
 * and renamed when it is complete.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct output_file {
        char *path;
        char *temporary; /* NULL: written in place */
        FILE *stream;    /* to write to; errors are kept by it until the commit */
};

#define OUTPUT_FILE_NONE ((struct output_file){0})

/*
 * Open; fails at once when it could not be written in the end.  With `in_place`, a path that is
 * something else than a regular file (/dev/stderr, a pipe, a link) is written where it is: a rename
 * would put a file in its stead.  Without, whatever has that name is replaced and never followed.
 */
int output_file_open(struct output_file *f, const char *path, bool in_place);

/* Complete: flush to the disk and give it its name.  0 or -errno; the file is closed either way. */
int output_file_commit(struct output_file *f);

/* Forget it if it was not committed: nothing is left behind. */
void output_file_deinit(struct output_file *f);
