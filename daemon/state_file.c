/* SPDX-License-Identifier: MIT */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "atomic_file.h"
#include "cleanup.h"

#define FILE_MODE 0600
#define MAX_ASIDE 1000 /* of one second */

#define cleanup_fd __attribute__((cleanup(close_fdp)))

static void close_fdp(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static int open_dir(const char *dir)
{
        int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* ---- reading ---- */

/* Give what is there another name, which no file has. */
static int set_aside(int dirfd, char *name, size_t size)
{
        time_t now = time(NULL);
        char date[32];
        struct tm utc;

        strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
        for (unsigned int i = 0; i < MAX_ASIDE; i++) {
                snprintf(name, size, STATE_FILE ".bad-%s-%u", date, i);
                if (renameat2(dirfd, STATE_FILE, dirfd, name, RENAME_NOREPLACE) == 0)
                        return fsync(dirfd) < 0 ? -errno : 0;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

int state_load(struct state *state, const char *dir, char *why, size_t why_size)
{
        cleanup_fd int dirfd = open_dir(dir);
        cleanup_free char *text = NULL;
        char what[256] = "", name[64];
        size_t length = 0;
        int r;

        if (dirfd < 0) {
                snprintf(why, why_size, "%s: cannot be opened: %s", dir, strerror(-dirfd));
                return dirfd;
        }
        r = atomic_file_read(dirfd, STATE_FILE, O_NOFOLLOW, STATE_MAX_BYTES, &text, &length);
        if (r == -ENOENT || r == -ENOMEM)
                return r;
        if (r < 0)
                snprintf(what, sizeof(what), "it cannot be read: %s", strerror(-r));
        else
                r = state_decode(state, text, length, what, sizeof(what));
        if (r == 0 || r == -ENOMEM)
                return r;
        r = set_aside(dirfd, name, sizeof(name));
        if (r < 0)
                snprintf(why, why_size,
                         "%s/%s: %s; and it cannot be set aside: %s; no totals are kept", dir,
                         STATE_FILE, what, strerror(-r));
        else
                snprintf(why, why_size, "%s/%s: %s; it was set aside as %s, totals begin anew", dir,
                         STATE_FILE, what, name);
        return r < 0 ? r : -EBADMSG;
}

/* ---- writing ---- */

int state_save(const struct state *state, const char *dir)
{
        cleanup_fd int dirfd = open_dir(dir);
        cleanup_free char *text = NULL;
        size_t length;
        int r;

        if (dirfd < 0)
                return dirfd;
        r = state_encode(state, &text, &length);
        return r < 0 ? r : atomic_file_replace(dirfd, STATE_FILE, FILE_MODE, text, length);
}
