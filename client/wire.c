/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Room for the first read; every call and most replies fit into it. */
#define READER_FIRST_SIZE 4096

void wire_reader_init(struct wire_reader *r, size_t max_message)
{
        *r = (struct wire_reader){.max = max_message};
}

void wire_reader_deinit(struct wire_reader *r)
{
        free(r->bytes);
        *r = (struct wire_reader){.max = r->max};
}

/*
 * Is there a NUL in hand?  `scanned` then stands on the first one, else at the end: no byte is
 * looked at twice, however small the pieces are in which a long message arrives.
 */
static bool reader_has_message(struct wire_reader *r)
{
        const char *nul = NULL;

        if (r->scanned < r->used)
                nul = memchr(r->bytes + r->scanned, '\0', r->used - r->scanned);
        r->scanned = nul ? (size_t)(nul - r->bytes) : r->used;
        return nul != NULL;
}

/* The buffer never grows beyond the longest message and its NUL: that is what bounds a peer. */
static int reader_make_room(struct wire_reader *r)
{
        size_t limit = r->max + 1, size;
        char *bytes;

        if (r->used < r->size)
                return 0;
        if (r->size >= limit) /* whole messages that nobody has taken, or one that is too long */
                return reader_has_message(r) ? -ENOBUFS : -EMSGSIZE;

        size = r->size ? r->size * 2 : READER_FIRST_SIZE;
        if (size > limit)
                size = limit;
        bytes = realloc(r->bytes, size);
        if (!bytes)
                return -ENOMEM;
        r->bytes = bytes;
        r->size = size;
        return 0;
}

int wire_reader_fill(struct wire_reader *r, int fd)
{
        ssize_t n;
        int ret;

        ret = reader_make_room(r);
        if (ret < 0)
                return ret;

        do {
                n = read(fd, r->bytes + r->used, r->size - r->used);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;

        r->used += (size_t)n;
        if (r->used > r->max && !reader_has_message(r))
                return -EMSGSIZE;
        return (int)n;
}

/*
 * jansson recurses, and stops only at 2048 levels (JSON_PARSER_MAX_DEPTH); count brackets outside
 * strings before it sees them.  Text that is not JSON may be miscounted here, and is refused there.
 */
static bool nested_too_deep(const char *text, size_t length)
{
        bool in_string = false;
        size_t depth = 0;

        for (size_t i = 0; i < length; i++) {
                char c = text[i];

                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"') {
                        in_string = true;
                } else if (c == '{' || c == '[') {
                        if (++depth > WIRE_MAX_DEPTH)
                                return true;
                } else if ((c == '}' || c == ']') && depth > 0) {
                        depth--;
                }
        }
        return false;
}

static int decode(const char *text, size_t length, json_t **ret)
{
        json_error_t error;
        json_t *message;

        if (nested_too_deep(text, length))
                return -EBADMSG;

        message = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!message)
                return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
        if (!json_is_object(message)) {
                json_decref(message);
                return -EBADMSG;
        }
        *ret = message;
        return 1;
}

/* A bad message is taken out like a good one, so that a caller who goes on cannot loop on it. */
int wire_reader_next(struct wire_reader *r, json_t **ret)
{
        size_t length;
        int result;

        if (!reader_has_message(r))
                return 0;

        length = r->scanned;
        result = decode(r->bytes, length, ret);

        r->used -= length + 1;
        memmove(r->bytes, r->bytes + length + 1, r->used);
        r->scanned = 0;
        return result;
}

/* Numbers keep jansson's 17 digits: what is read at the other end is the same double. */
char *wire_encode(const json_t *message, size_t *len)
{
        char *text = json_dumps(message, JSON_COMPACT);

        if (text)
                *len = strlen(text) + 1;
        return text;
}
