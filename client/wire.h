/* SPDX-License-Identifier: MIT */
/*
 * Varlink's framing (varlink.org/Method-Call): JSON objects, each ended by one NUL byte, over a
 * stream socket.  Used by both ends.  Nothing here blocks, and nothing here knows what a
 * message means.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct wire_reader {
        char *bytes;
        size_t used;    /* bytes in hand */
        size_t scanned; /* of these, how many are known to hold no NUL */
        size_t size;    /* allocated */
        size_t max;     /* longest message accepted */
};

#define WIRE_MAX_CALL  (64 * 1024)        /* what a daemon accepts */
#define WIRE_MAX_REPLY (64 * 1024 * 1024) /* what a client accepts */
#define WIRE_MAX_DEPTH 32

void wire_reader_init(struct wire_reader *r, size_t max_message);
void wire_reader_deinit(struct wire_reader *r);

/* Read once from fd.  >0: bytes read; 0: end of stream; -EAGAIN; -EMSGSIZE: message too long;
 * -ENOBUFS: the messages at hand have to be taken first; another negative errno of read(2). */
int wire_reader_fill(struct wire_reader *r, int fd);

/*
 * Take the next whole message.  1: *ret is a new reference to a JSON object; 0: none yet;
 * -EBADMSG: not a JSON object, nested deeper than WIRE_MAX_DEPTH, or with a duplicate key.
 */
int wire_reader_next(struct wire_reader *r, json_t **ret);

/* Message with its NUL; length in *len.  Free with free().  NULL when out of memory. */
char *wire_encode(const json_t *message, size_t *len);
