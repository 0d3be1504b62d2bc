/* SPDX-License-Identifier: MIT */
#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define cleanup_fd __attribute__((cleanup(close_fd)))

int atomic_file_read(int dirfd, const char *name, int flags, size_t max, char **ret, size_t *length)
{
        /* O_NONBLOCK: a pipe in its place must not be waited for */
        cleanup_fd int fd = openat(dirfd, name, flags | O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        cleanup_free char *text = NULL;
        size_t used = 0;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        text = malloc(max + 1);
        if (!text)
                return -ENOMEM;
        while (used <= max) {
                ssize_t n = read(fd, text + used, max + 1 - used);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0) {
                        *ret = text;
                        text = NULL;
                        *length = used;
                        return 0;
                }
                used += (size_t)n;
        }
        return -EFBIG;
}

static int write_all(int fd, const char *text, size_t length)
{
        while (length > 0) {
                ssize_t n = write(fd, text, length);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                text += n;
                length -= (size_t)n;
        }
        return 0;
}

int atomic_file_replace(int dirfd, const char *name, mode_t mode, const char *text, size_t length)
{
        char temporary[NAME_MAX + 1];
        cleanup_fd int fd = -1;
        int n = snprintf(temporary, sizeof(temporary), ".%s.new", name), r;

        if (n < 0 || (size_t)n >= sizeof(temporary))
                return -ENAMETOOLONG;
        /* one that a crash left */
        if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text, length);
        if (r == 0 && fchmod(fd, mode) < 0)
                r = -errno;
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
                r = -errno;
        if (r < 0) {
                unlinkat(dirfd, temporary, 0);
                return r;
        }
        return fsync(dirfd) < 0 ? -errno : 0;
}
