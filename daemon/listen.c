/* SPDX-License-Identifier: MIT */
/* Those that come to the socket (listener.h), and who they are. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"

#define MAX_GROUPS 65536 /* NGROUPS_MAX */

#define GROUP_LOOKUP_US 60000000ull

/* ---- who it is ---- */

/*
 * The group whose members see everything, or (gid_t)-1.  It is looked up once a minute at most:
 * where groups come over the network, that can take its time, and everybody would wait for it.
 */
static gid_t trusted_group(struct server *s)
{
        const struct group *group;
        uint64_t now_us;

        if (sd_event_now(s->event, CLOCK_MONOTONIC, &now_us) < 0)
                now_us = 0;
        if (!s->group_until_us || now_us >= s->group_until_us) {
                group = getgrnam(s->config->access_group);
                s->group = group ? group->gr_gid : (gid_t)-1;
                s->group_until_us = now_us + GROUP_LOOKUP_US;
        }
        return s->group;
}

static bool in_group(struct server *s, int fd, const struct ucred *cred)
{
        static gid_t groups[MAX_GROUPS];
        socklen_t size = sizeof(groups);
        gid_t trusted = trusted_group(s);

        if (trusted == (gid_t)-1)
                return false;
        if (cred->gid == trusted)
                return true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
                return false;
        for (size_t i = 0; i < size / sizeof(groups[0]); i++)
                if (groups[i] == trusted)
                        return true;
        return false;
}

/* The kernel says who it is: what the process was when it connected. */
static int peer_of(struct server *s, struct peer *peer, int fd)
{
        struct ucred cred;
        socklen_t size = sizeof(cred);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        *peer = (struct peer){.pid = cred.pid,
                              .uid = cred.uid,
                              .trusted = cred.uid == 0 || in_group(s, fd, &cred)};
        return 0;
}

/* ---- those that come ---- */

/*
 * No descriptor is left for the client that waits: give up the spare one, take the client, tell it,
 * and send it away.  Left waiting, it would keep the event loop turning.
 */
static void refuse_without_descriptor(struct server *s)
{
        static const char answer[] =
                "{\"error\":\"io.energat.TooMany\",\"parameters\":"
                "{\"what\":\"connections: energatd has no file descriptor left\","
                "\"limit\":0}}";
        int fd;

        if (s->spare_fd < 0)
                return;
        close(s->spare_fd);
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
                (void)send(fd, answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
                close(fd);
        }
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* false: nobody else is to be taken now */
static bool take_client(struct server *s)
{
        int client = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct peer peer;

        if (client < 0) {
                if (errno == EMFILE || errno == ENFILE)
                        refuse_without_descriptor(s);
                return false;
        }
        if (peer_of(s, &peer, client) < 0 || connection_new(s, client, &peer) < 0)
                close(client);
        return true;
}

/* As many as connections are served at once: else those that come wait longer than those that are
 * there. */
static int on_listen(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        (void)source;
        (void)fd;
        (void)events;
        for (int i = 0; i < SERVER_AT_ONCE && take_client(userdata); i++)
                ;
        return 0;
}

int server_listen(struct server *s, int fd)
{
        return sd_event_add_io(s->event, &s->listen_source, s->listen_fd = fd, EPOLLIN, on_listen,
                               s);
}

void server_access_changed(struct server *s)
{
        s->group_until_us = 0;
        for (struct connection *c = s->connections, *next; c; c = next) {
                next = c->next;
                if (c->peer.uid != 0)
                        connection_drop(c, "who may see what has changed (access)");
        }
}
