/* SPDX-License-Identifier: MIT */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE_NEW_FILE 0666 /* less the umask, as open(2) would */

static bool same_file(const struct stat *a, int fd)
{
        struct stat b;

        return fstat(fd, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* /dev/stdout can be the very file that CMD writes to: then nothing of it may be cut off. */
static int open_in_place(const char *path)
{
        struct stat s;
        int fd, r;

        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &s) < 0)
                goto failed;
        if (S_ISREG(s.st_mode) && !same_file(&s, STDOUT_FILENO) && !same_file(&s, STDERR_FILENO) &&
            ftruncate(fd, 0) < 0)
                goto failed;
        return fd;

failed:
        r = -errno;
        close(fd);
        return r;
}

static int open_temporary(struct output_file *f)
{
        const char *slash = strrchr(f->path, '/');
        int directory_length = slash ? (int)(slash - f->path) + 1 : 0;
        mode_t mask;
        int fd;

        if (asprintf(&f->temporary, "%.*s.%s.XXXXXX", directory_length, f->path,
                     f->path + directory_length) < 0) {
                f->temporary = NULL;
                return -ENOMEM;
        }
        fd = mkostemp(f->temporary, O_CLOEXEC);
        if (fd < 0) {
                int r = -errno;

                free(f->temporary); /* there is nothing to unlink */
                f->temporary = NULL;
                return r;
        }
        mask = umask(0);
        umask(mask);
        if (fchmod(fd, MODE_NEW_FILE & ~mask) < 0) { /* mkostemp makes it 0600 */
                int r = -errno;

                close(fd);
                return r;
        }
        return fd;
}

int output_file_open(struct output_file *f, const char *path, bool in_place)
{
        struct stat s;
        int fd, r;

        *f = OUTPUT_FILE_NONE;
        f->path = strdup(path);
        if (!f->path)
                return -ENOMEM;

        if (lstat(path, &s) < 0)
                s.st_mode = S_IFREG; /* not there yet; other errors come back when it is made */
        if (S_ISDIR(s.st_mode))
                fd = -EISDIR;
        else if (in_place && !S_ISREG(s.st_mode))
                fd = open_in_place(path);
        else
                fd = open_temporary(f);
        if (fd < 0) {
                r = fd;
                goto failed;
        }
        f->stream = fdopen(fd, "w");
        if (!f->stream) {
                r = -errno;
                close(fd);
                goto failed;
        }
        return 0;

failed:
        output_file_deinit(f);
        return r;
}

/* Pipes and terminals have no disk to be on. */
static int sync_stream(FILE *stream)
{
        if (fsync(fileno(stream)) < 0 && errno != EINVAL && errno != EROFS)
                return -errno;
        return 0;
}

int output_file_commit(struct output_file *f)
{
        int r = 0;

        if (ferror(f->stream))
                r = -EIO;
        if (fflush(f->stream) != 0 && r == 0)
                r = -errno;
        if (r == 0)
                r = sync_stream(f->stream);
        if (fclose(f->stream) != 0 && r == 0)
                r = -errno;
        f->stream = NULL;

        if (r == 0 && f->temporary) {
                if (rename(f->temporary, f->path) < 0) {
                        r = -errno;
                } else {
                        free(f->temporary);
                        f->temporary = NULL;
                }
        }
        return r;
}

void output_file_deinit(struct output_file *f)
{
        if (f->stream)
                fclose(f->stream);
        if (f->temporary)
                unlink(f->temporary);
        free(f->temporary);
        free(f->path);
        *f = OUTPUT_FILE_NONE;
}
