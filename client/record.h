/* SPDX-License-Identifier: MIT */
/*
 * Recordings: a file of lines, each a JSON object with one member whose name says what it is
 * (docs/recordings.md).  Lines are only ever appended, so that a file that was cut off anywhere is
 * good up to its last whole line.
 *
 *   {"energat_record": {"version": 1, "kind": "command", ...}}   always the first
 *   {"interval": Report}      of io.energat, of the followed program
 *   {"processes": {...}}      what single processes used since the last such line
 *   {"machine": {...}}        the same of the whole machine, with its energy
 *   {"run": {...}}            one of repeated runs
 *   {"note": {...}}           what happened to the recording itself
 *   {"end": {...}}            always the last, when nothing went wrong
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "measure.h"

#define RECORD_VERSION 1

struct record_writer {
        char *path;     /* where it goes now */
        FILE *stream;   /* NULL: nowhere any more, and that was said */
        json_t *header; /* to begin another file with */
        bool fell_back; /* `path` is not the one asked for */
};

/* Members of every header: what, where, when.  New reference or NULL. */
json_t *record_header(const char *kind, const char *name, char **command, double interval_s);

/* Make the file and write the header, which is taken over.  0 or -errno. */
int record_open(struct record_writer *w, const char *path, json_t *header);

/*
 * Append a line; takes `body` over, which may be NULL for want of memory.  When the file cannot be
 * written any more, says so, and the recording goes on in a new file in $TMPDIR, which is named.
 */
void record_write(struct record_writer *w, const char *what, json_t *body);

/* 0, or -EIO when something of the recording is not where it was asked for. */
int record_close(struct record_writer *w);

/* The last line of a command's recording.  New reference or NULL. */
json_t *record_end(const struct measured *m);

struct record_reader {
        FILE *stream;
        char *line;
        size_t room;
        unsigned long number; /* of the last line that was read */
        json_t *header;
        char cut[128]; /* why reading ended before the file did; "": it did not */
};

/* 0, -EBADMSG: it is no recording, or of a version that is not known, and `why` says so; -errno. */
int record_read(struct record_reader *r, const char *path, char *why, size_t why_size);
/* 1: *what and *body (borrowed until the next call is made with *line freed) are the next line; 0:
 * there is none. */
int record_next(struct record_reader *r, json_t **line, const char **what, json_t **body);
/* From the first line behind the header. */
int record_rewind(struct record_reader *r);
void record_reader_close(struct record_reader *r);
