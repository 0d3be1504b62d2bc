/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "directory.h"
#include "log.h"

#define SOCKET_UMASK 0111 /* anyone may ask; what they are told is another matter */
#define LISTEN_QUEUE 128

/* The service manager's socket.  1: taken; 0: there is none. */
static int take_given(struct listener *l, const char *path, char *why, size_t why_size)
{
        struct sockaddr_un address = {0};
        socklen_t size = sizeof(address) - 1; /* so that a NUL is always behind the path */
        int n = sd_listen_fds(true), fd = SD_LISTEN_FDS_START;

        if (n <= 0)
                return 0;
        if (n > 1 || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
                snprintf(why, why_size,
                         "the service manager hands over %d descriptors, or none that listens on a "
                         "Unix "
                         "socket: energatd.socket has to have one ListenStream= alone",
                         n);
                return -EINVAL;
        }
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
            strcmp(address.sun_path, path) != 0)
                log_notice("listening on %s, which the service manager has made, not on %s",
                           address.sun_path, path);
        l->fd = fd;
        return 1;
}

/* Does a daemon listen there?  One whose queue is full does. */
static bool is_live(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bool live;

        if (fd < 0)
                return false;
        live = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
               errno == EAGAIN;
        close(fd);
        return live;
}

static int remove_stale(const struct sockaddr_un *address, char *why, size_t why_size)
{
        const char *path = address->sun_path;
        struct stat st;
        int r;

        if (lstat(path, &st) < 0)
                return 0;
        if (!S_ISSOCK(st.st_mode)) {
                snprintf(why, why_size, "%s: there is something that is no socket", path);
                return -EEXIST;
        }
        if (is_live(address)) {
                snprintf(why, why_size, "%s: another energatd answers there", path);
                return -EADDRINUSE;
        }
        if (unlink(path) < 0) {
                r = -errno;
                snprintf(why, why_size, "%s: cannot remove the stale socket: %s", path,
                         strerror(-r));
                return r;
        }
        return 0;
}

/* The socket is made with its mode: a name that is changed afterwards can be another file's by
 * then, because the directory may be that of the user that the daemon becomes.  Called while there
 * is one thread. */
static int bind_for_all(int fd, const struct sockaddr_un *address)
{
        mode_t before = umask(SOCKET_UMASK);
        int r = bind(fd, (const struct sockaddr *)address, sizeof(*address));
        int error = errno;

        umask(before);
        errno = error;
        return r;
}

static int make(struct listener *l, const char *path, uid_t uid, gid_t gid, char *why,
                size_t why_size)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char parent[CONFIG_PATH_MAX];
        int r;

        if (strlen(path) >= sizeof(address.sun_path)) {
                snprintf(why, why_size,
                         "%s: the path is longer than the %zu bytes a socket's may have", path,
                         sizeof(address.sun_path) - 1);
                return -ENAMETOOLONG;
        }
        memcpy(address.sun_path, path, strlen(path) + 1);
        directory_parent(path, parent);
        r = directory_check(parent, uid, gid, why, why_size);
        if (r < 0)
                return r;
        if (r > 0)
                log_warning("%s", why);
        r = remove_stale(&address, why, why_size);
        if (r < 0)
                return r;
        l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (l->fd < 0 || bind_for_all(l->fd, &address) < 0 || listen(l->fd, LISTEN_QUEUE) < 0) {
                r = -errno;
                snprintf(why, why_size, "%s: %s", path, strerror(-r));
                return r;
        }
        snprintf(l->path, sizeof(l->path), "%s", path);
        return 0;
}

int listener_open(struct listener *l, const char *path, uid_t uid, gid_t gid, char *why,
                  size_t why_size)
{
        int r;

        *l = LISTENER_NONE;
        r = take_given(l, path, why, why_size);
        if (r == 0)
                r = make(l, path, uid, gid, why, why_size);
        if (r < 0)
                listener_close(l);
        return r < 0 ? r : 0;
}

void listener_close(struct listener *l)
{
        if (l->path[0] && unlink(l->path) < 0 && errno != ENOENT)
                log_debug("%s stays, and the next start replaces it: %s", l->path, strerror(errno));
        if (l->fd >= 0)
                close(l->fd);
        *l = LISTENER_NONE;
}
