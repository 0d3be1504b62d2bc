/* SPDX-License-Identifier: MIT */
#include "hotplug.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

#define KERNEL_GROUP 1 /* uevents of the kernel itself; group 2 is udev's, lib/kobject_uevent.c */
#define MESSAGE_MAX  8192

struct hotplug {
        struct topology *topology;
        struct sampler *sampler;
        int fd;
        sd_event_source *source;
};

struct new_topology {
        struct letter letter;
        struct sampler *sampler;
        struct topology topology;
};

/* In the sampler.  Freed here: a topology changes so rarely that one free() may cost the tick. */
static void run_set_topology(struct letter *letter)
{
        struct new_topology *n = (struct new_topology *)(void *)letter;

        sampler_set_topology(n->sampler, &n->topology);
        topology_deinit(&n->topology);
        free(n);
}

/* A uevent is "ACTION@PATH" and then KEY=VALUE strings, all ended by NUL. */
static bool is_about_cpus(const char *message, size_t size)
{
        for (size_t at = 0; at < size; at += strnlen(message + at, size - at) + 1)
                if (strcmp(message + at, "SUBSYSTEM=cpu") == 0)
                        return true;
        return false;
}

static void topology_changed(struct hotplug *h)
{
        struct new_topology *n;
        int r = topology_refresh(h->topology, "/sys");

        if (r < 0) {
                log_warning("a CPU came or went, but the topology cannot be read: %s",
                            strerror(-r));
                return;
        }
        if (r == 0)
                return;
        n = calloc(1, sizeof(*n));
        if (!n || topology_copy(&n->topology, h->topology) < 0) {
                free(n);
                log_warning("a CPU came or went, but there is no memory to follow it");
                return;
        }
        log_notice("CPUs came or went: the topology is read again");
        n->sampler = h->sampler;
        n->letter.deliver = run_set_topology;
        sampler_post(h->sampler, &n->letter);
}

static int on_uevent(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        char message[MESSAGE_MAX + 1];
        bool cpus = false;

        (void)source;
        (void)events;
        for (;;) {
                struct sockaddr_nl from = {0};
                socklen_t size = sizeof(from);
                ssize_t n = recvfrom(fd, message, MESSAGE_MAX, MSG_DONTWAIT,
                                     (struct sockaddr *)&from, &size);

                if (n < 0 && errno == ENOBUFS) /* some were dropped: look in any case */
                        cpus = true;
                else if (n < 0)
                        break;
                else if (from.nl_pid == 0) { /* only the kernel's own */
                        message[n] = '\0';
                        cpus |= is_about_cpus(message, (size_t)n);
                }
        }
        if (cpus)
                topology_changed(userdata);
        return 0;
}

int hotplug_new(struct hotplug **ret, sd_event *event, struct topology *topology,
                struct sampler *sampler)
{
        struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
        struct hotplug *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->topology = topology;
        h->sampler = sampler;
        h->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       NETLINK_KOBJECT_UEVENT);
        if (h->fd < 0 || bind(h->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                r = -errno;
        else
                r = sd_event_add_io(event, &h->source, h->fd, EPOLLIN, on_uevent, h);
        if (r < 0) {
                hotplug_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

void hotplug_free(struct hotplug *h)
{
        if (!h)
                return;
        sd_event_source_disable_unref(h->source);
        if (h->fd >= 0)
                close(h->fd);
        free(h);
}
