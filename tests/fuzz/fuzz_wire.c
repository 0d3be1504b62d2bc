/* SPDX-License-Identifier: MIT */
/* Varlink's framing: a peer's bytes, in pieces of any size; what is taken must travel unchanged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_tree.h"
#include "wire.h"

#define MAX_MESSAGE 2048

/* A descriptor from which `size` bytes can be read. */
static int readable(const void *data, size_t size)
{
        static int fd = -1;

        if (fd < 0)
                fd = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        FUZZ_CHECK(write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

/* Send the message to ourselves. */
static void check_travels(const json_t *message)
{
        struct wire_reader reader;
        json_t *arrived = NULL;
        size_t length;
        char *text = wire_encode(message, &length);
        int fd;

        FUZZ_CHECK(text && length > 0 && strlen(text) == length - 1);
        fd = readable(text, length);
        wire_reader_init(&reader, length);
        while (wire_reader_next(&reader, &arrived) == 0)
                FUZZ_CHECK(wire_reader_fill(&reader, fd) > 0);
        FUZZ_CHECK(arrived && json_equal(message, arrived));
        json_decref(arrived);
        wire_reader_deinit(&reader);
        free(text);
}

static void take_messages(struct wire_reader *reader)
{
        json_t *message = NULL;
        int r;

        while ((r = wire_reader_next(reader, &message)) != 0) {
                FUZZ_CHECK(r == 1 || r == -EBADMSG);
                if (r < 0)
                        continue; /* taken out like a good one */
                FUZZ_CHECK(json_is_object(message));
                check_travels(message);
                json_decref(message);
        }
}

/* The first byte is the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct wire_reader reader;
        size_t piece;

        if (size < 1)
                return 0;
        piece = (size_t)data[0] + 1;
        wire_reader_init(&reader, MAX_MESSAGE);
        for (size_t at = 1; at < size; at += piece) {
                size_t n = size - at < piece ? size - at : piece;
                int r = wire_reader_fill(&reader, readable(data + at, n));

                FUZZ_CHECK(r > 0 || r == -EMSGSIZE);
                FUZZ_CHECK(reader.used <= reader.size && reader.size <= MAX_MESSAGE + 1);
                if (r < 0)
                        break;
                take_messages(&reader);
        }
        wire_reader_deinit(&reader);
        return 0;
}
