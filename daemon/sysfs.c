/* SPDX-License-Identifier: MIT */
#include "sysfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define cleanup_fd __attribute__((cleanup(close_fd)))

/* Fill the buffer from the file's start, up to its end.  Bytes, or a negative errno. */
static ssize_t read_whole(int fd, char *text, size_t size)
{
        size_t used = 0;

        while (used < size) {
                ssize_t n = read(fd, text + used, size - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                used += (size_t)n;
        }
        return (ssize_t)used;
}

static void trim(char *text)
{
        size_t length = strlen(text), first = 0;

        while (length > 0 && isspace((unsigned char)text[length - 1]))
                length--;
        while (first < length && isspace((unsigned char)text[first]))
                first++;
        memmove(text, text + first, length - first);
        text[length - first] = '\0';
}

__attribute__((format(printf, 3, 0))) static int read_text(char *text, size_t size,
                                                           const char *format, va_list ap)
{
        cleanup_fd int fd = -1;
        char path[PATH_MAX];
        ssize_t n;

        text[0] = '\0';
        if (vsnprintf(path, sizeof(path), format, ap) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        /* O_NONBLOCK: a pipe in place of the file must not stop the daemon */
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read_whole(fd, text, size);
        if (n >= 0 && ((size_t)n == size || memchr(text, '\0', (size_t)n)))
                n = -EBADMSG;
        text[n < 0 ? 0 : n] = '\0';
        trim(text);
        return n < 0 ? (int)n : 0;
}

int sysfs_read(char *text, size_t size, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = read_text(text, size, format, ap);
        va_end(ap);
        return r;
}

int sysfs_read_name(char *name, size_t size, const char *format, ...)
{
        va_list ap;
        int r;

        va_start(ap, format);
        r = read_text(name, size, format, ap);
        va_end(ap);
        for (char *p = name; *p; p++)
                if (!isprint((unsigned char)*p))
                        *p = '?';
        return r == 0 && *name == '\0' ? -EBADMSG : r;
}

int sysfs_parse_number(const char *text, uint64_t *ret)
{
        uint64_t value = 0;
        const char *p = text;

        if (*p == '\0' || p[strspn(p, "0123456789")] != '\0')
                return -EBADMSG;
        for (; *p; p++)
                if (__builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
                        return -ERANGE;
        *ret = value;
        return 0;
}

int sysfs_read_number(uint64_t *ret, const char *format, ...)
{
        char text[64];
        va_list ap;
        int r;

        va_start(ap, format);
        r = read_text(text, sizeof(text), format, ap);
        va_end(ap);
        return r < 0 ? r : sysfs_parse_number(text, ret);
}
