/* SPDX-License-Identifier: MIT */
#include "topology.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "cpulist.h"

/*
 * The kernel's own limit is 8192 (CONFIG_NR_CPUS, x86); a number far above it is no CPU list of a
 * kernel, and must not make us allocate for it.
 */
#define MAX_CPUS 65536

/* The list of 65536 CPUs, written in the longest way ("0,2,4,..."), is below this. */
#define MAX_LIST_BYTES (256UL * 1024)

/* What sysfs says of a CPU now. */
struct sighting {
        bool online;
        int node; /* by the nodes' lists; -1: in none */
};

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void close_dir(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

#define cleanup_fd  __attribute__((cleanup(close_fd)))
#define cleanup_dir __attribute__((cleanup(close_dir)))

/* Read a whole sysfs file as a string, for the caller to free.  NULL: *error says why. */
static char *read_text(int dirfd, const char *path, int *error)
{
        cleanup_free char *text = NULL;
        size_t used = 0, size = 0;
        cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd;
        char *whole;

        while (n >= 0) {
                if (size - used < 2) {
                        size_t larger = size ? size * 2 : 128;
                        char *grown = larger > MAX_LIST_BYTES ? NULL : realloc(text, larger);

                        if (!grown) {
                                *error = larger > MAX_LIST_BYTES ? -EBADMSG : -ENOMEM;
                                return NULL;
                        }
                        text = grown;
                        size = larger;
                }
                n = read(fd, text + used, size - used - 1);
                if (n == 0)
                        break;
                if (n > 0)
                        used += (size_t)n;
        }
        if (n < 0) {
                *error = -errno;
                return NULL;
        }
        text[used] = '\0';
        if (strlen(text) != used) {
                *error = -EBADMSG;
                return NULL;
        }
        whole = text;
        text = NULL;
        return whole;
}

/* A decimal integer, nothing before it and at most white space after it. */
static int parse_int(const char *text, int *ret)
{
        char *end;
        long value;

        if (*text != '-' && (*text < '0' || *text > '9'))
                return -EBADMSG;
        errno = 0;
        value = strtol(text, &end, 10);
        if (errno || end == text || end[strspn(end, " \t\n")] != '\0')
                return -EBADMSG;
        if (value < INT_MIN || value > INT_MAX)
                return -EBADMSG;
        *ret = (int)value;
        return 0;
}

/* "cpu12" with prefix "cpu" is 12; anything else, "cpufreq" among it, is -1. */
static int numbered(const char *name, const char *prefix)
{
        size_t length = strlen(prefix);
        int number;

        if (strncmp(name, prefix, length) != 0 || strspn(name + length, "0123456789") == 0)
                return -1;
        if (name[length + strspn(name + length, "0123456789")] != '\0' ||
            parse_int(name + length, &number) < 0)
                return -1;
        return number;
}

static void visit_highest(unsigned int cpu, void *arg)
{
        unsigned int *end = arg;

        if (cpu + 1 > *end)
                *end = cpu + 1;
}

static void visit_online(unsigned int cpu, void *arg)
{
        struct sighting *now = arg;

        now[cpu].online = true;
}

struct node_visit {
        int node;
        struct sighting *now;
};

static void visit_node(unsigned int cpu, void *arg)
{
        const struct node_visit *v = arg;

        v->now[cpu].node = v->node;
}

/* Highest number + 1 of the cpuN directories, 0 when there is none. */
static int count_cpu_directories(int cpufd, unsigned int *ret)
{
        cleanup_dir DIR *dir = NULL;
        struct dirent *entry;
        int fd = openat(cpufd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return -ENOMEM;
        }
        *ret = 0;
        while ((entry = readdir(dir))) {
                int cpu = numbered(entry->d_name, "cpu");

                if (cpu >= MAX_CPUS)
                        return -EBADMSG;
                if (cpu >= 0)
                        visit_highest((unsigned int)cpu, ret);
        }
        return 0;
}

static int read_possible(int cpufd, unsigned int *ret)
{
        cleanup_free char *text = NULL;
        unsigned int directories = 0;
        int r;

        r = count_cpu_directories(cpufd, &directories);
        if (r < 0)
                return r;
        if (directories == 0)
                return -ENOENT;
        *ret = directories;
        text = read_text(cpufd, "possible", &r);
        if (!text)
                return r == -ENOENT ? 0 : r;
        return cpulist_walk(text, MAX_CPUS, visit_highest, ret);
}

/* Which CPUs are online: the list the kernel keeps, or each CPU's own file where there is none. */
static int read_online(int cpufd, struct sighting *now, unsigned int ncpus)
{
        cleanup_free char *text = NULL;
        int r;

        text = read_text(cpufd, "online", &r);
        if (text)
                return cpulist_walk(text, ncpus, visit_online, now);
        if (r != -ENOENT)
                return r;
        for (unsigned int cpu = 0; cpu < ncpus; cpu++) {
                cleanup_free char *own = NULL;
                char path[64];
                int value = 1;

                snprintf(path, sizeof(path), "cpu%u", cpu);
                if (faccessat(cpufd, path, F_OK, 0) < 0)
                        continue;
                snprintf(path, sizeof(path), "cpu%u/online", cpu);
                own = read_text(cpufd, path, &r);
                if (own)
                        r = parse_int(own, &value);
                /* a CPU that cannot be taken offline, such as CPU 0, has no such file */
                if (r < 0 && r != -ENOENT)
                        return r;
                now[cpu].online = value == 1;
        }
        return 0;
}

/*
 * The NUMA node of every CPU, and the highest node.  A node's own cpulist decides.  Without a node
 * directory (a kernel without CONFIG_NUMA) the machine is one node, 0; with one, a CPU that no node
 * claims keeps node -1.
 */
static int read_nodes(int sysfd, struct sighting *now, unsigned int ncpus, int *max_node)
{
        cleanup_dir DIR *dir = NULL;
        struct dirent *entry;
        bool found = false;
        int fd = openat(sysfd, "devices/system/node", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        *max_node = 0;
        for (unsigned int cpu = 0; cpu < ncpus; cpu++)
                now[cpu].node = -1;
        if (fd < 0 && errno != ENOENT)
                return -errno;
        if (fd >= 0) {
                dir = fdopendir(fd);
                if (!dir) {
                        close(fd);
                        return -ENOMEM;
                }
        }
        while (dir && (entry = readdir(dir))) {
                cleanup_free char *text = NULL;
                struct node_visit visit = {.now = now};
                char path[NAME_MAX + sizeof("/cpulist")];
                int r = 0;

                visit.node = numbered(entry->d_name, "node");
                if (visit.node < 0)
                        continue;
                found = true;
                if (visit.node > *max_node)
                        *max_node = visit.node;
                snprintf(path, sizeof(path), "%s/cpulist", entry->d_name);
                text = read_text(fd, path, &r);
                if (text)
                        r = cpulist_walk(text, ncpus, visit_node, &visit);
                /* without the list, the link in the CPU's directory tells: see place_cpu() */
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        for (unsigned int cpu = 0; !found && cpu < ncpus; cpu++)
                now[cpu].node = 0;
        return 0;
}

/* The node as the CPU's directory tells it (cpuN/nodeM), or -1. */
static int node_link(int cpufd, unsigned int cpu)
{
        cleanup_dir DIR *dir = NULL;
        struct dirent *entry;
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "cpu%u", cpu);
        fd = openat(cpufd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        dir = fdopendir(fd);
        if (!dir) {
                close(fd);
                return -1;
        }
        while ((entry = readdir(dir))) {
                int node = numbered(entry->d_name, "node");

                if (node >= 0)
                        return node;
        }
        return -1;
}

/*
 * physical_package_id or die_id.  The kernel says -1, or has no file, where firmware does not tell
 * (virtual machines, some ARM boards; die_id is younger than the other): such a machine is taken
 * as one socket, 0, with one die, 0.  Anything but a number is no sysfs of a kernel.
 */
static int read_id(int cpufd, unsigned int cpu, const char *what, int *ret)
{
        cleanup_free char *text = NULL;
        char path[64];
        int r;

        *ret = 0;
        snprintf(path, sizeof(path), "cpu%u/topology/%s", cpu, what);
        text = read_text(cpufd, path, &r);
        if (!text)
                return r == -ENOENT ? 0 : r;
        r = parse_int(text, ret);
        if (r == 0 && *ret < 0)
                *ret = 0;
        return r;
}

static int place_cpu(struct topology *t, int cpufd, unsigned int cpu, int node)
{
        struct topology_cpu *c = &t->cpus[cpu];
        int r;

        r = read_id(cpufd, cpu, "physical_package_id", &c->socket);
        if (r < 0)
                return r;
        r = read_id(cpufd, cpu, "die_id", &c->die);
        if (r < 0)
                return r;
        c->node = node >= 0 ? node : node_link(cpufd, cpu);
        if (c->node > t->max_node)
                t->max_node = c->node;
        return 0;
}

static int add_socket(struct topology *t, int socket)
{
        unsigned int at = 0;

        while (at < t->nsockets && t->sockets[at] < socket)
                at++;
        if (at < t->nsockets && t->sockets[at] == socket)
                return 0;
        if (t->nsockets == TOPOLOGY_MAX_SOCKETS)
                return -E2BIG;
        memmove(&t->sockets[at + 1], &t->sockets[at], (t->nsockets - at) * sizeof(t->sockets[0]));
        t->sockets[at] = socket;
        t->nsockets++;
        return 0;
}

static int find_slot(const struct topology *t, const struct topology_cpu *c)
{
        for (unsigned int i = 0; i < t->nslots; i++)
                if (t->slots[i].node == c->node && t->slots[i].socket == c->socket &&
                    t->slots[i].die == c->die)
                        return (int)i;
        return TOPOLOGY_NO_SLOT;
}

/* Make sure that the CPU's triple has a slot and its socket a place; does not number the CPU. */
static int add_slot(struct topology *t, const struct topology_cpu *c)
{
        if (find_slot(t, c) == TOPOLOGY_NO_SLOT) {
                if (t->nslots == TOPOLOGY_MAX_SLOTS)
                        return -E2BIG;
                t->slots[t->nslots++] = (struct topology_slot){
                        .node = c->node, .socket = c->socket, .die = c->die};
        }
        return add_socket(t, c->socket);
}

static int compare_slots(const void *a, const void *b)
{
        const struct topology_slot *x = a, *y = b;

        if (x->socket != y->socket)
                return x->socket < y->socket ? -1 : 1;
        if (x->die != y->die)
                return x->die < y->die ? -1 : 1;
        return (x->node > y->node) - (x->node < y->node);
}

/*
 * Take in what sysfs says now.  CPUs that have a slot keep it, whatever happens to them; those
 * that are online and have none are placed.  1: something changed.
 */
static int take_in(struct topology *t, int sysfd, int cpufd, struct sighting *now)
{
        bool changed = false, places = false;
        unsigned int known = t->nslots;
        int r, max_node;

        r = read_online(cpufd, now, t->ncpus);
        if (r < 0)
                return r;
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++) {
                changed |= now[cpu].online != t->cpus[cpu].online;
                places |= now[cpu].online && t->cpus[cpu].slot == TOPOLOGY_NO_SLOT;
        }
        if (places) {
                r = read_nodes(sysfd, now, t->ncpus, &max_node);
                if (r < 0)
                        return r;
                if (max_node > t->max_node)
                        t->max_node = max_node;
        }
        for (unsigned int cpu = 0; places && cpu < t->ncpus; cpu++) {
                if (!now[cpu].online || t->cpus[cpu].slot != TOPOLOGY_NO_SLOT)
                        continue;
                r = place_cpu(t, cpufd, cpu, now[cpu].node);
                if (r == 0)
                        r = add_slot(t, &t->cpus[cpu]);
                if (r < 0)
                        return r;
        }
        /* the new ones only: those that were there are in use by their number */
        qsort(t->slots + known, t->nslots - known, sizeof(t->slots[0]), compare_slots);
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++) {
                t->cpus[cpu].online = now[cpu].online;
                if (now[cpu].online && t->cpus[cpu].slot == TOPOLOGY_NO_SLOT)
                        t->cpus[cpu].slot = find_slot(t, &t->cpus[cpu]);
        }
        return changed ? 1 : 0;
}

static int update(struct topology *t, int sysfd, int cpufd)
{
        struct sighting *now = calloc(t->ncpus, sizeof(*now));
        int r;

        if (!now)
                return -ENOMEM;
        r = take_in(t, sysfd, cpufd, now);
        free(now);
        return r;
}

static int open_root(const char *sysfs, int *sysfd, int *cpufd)
{
        *sysfd = open(sysfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*sysfd < 0)
                return -errno;
        *cpufd = openat(*sysfd, "devices/system/cpu", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *cpufd < 0 ? -errno : 0;
}

int topology_init(struct topology *t, const char *sysfs)
{
        cleanup_fd int sysfd = -1;
        cleanup_fd int cpufd = -1;
        int r;

        *t = (struct topology){0};
        r = open_root(sysfs, &sysfd, &cpufd);
        if (r < 0)
                return r;
        r = read_possible(cpufd, &t->ncpus);
        if (r < 0)
                return r;
        t->cpus = calloc(t->ncpus, sizeof(*t->cpus));
        if (!t->cpus)
                return -ENOMEM;
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++)
                t->cpus[cpu] = (struct topology_cpu){
                        .node = -1, .socket = -1, .slot = TOPOLOGY_NO_SLOT};
        r = update(t, sysfd, cpufd);
        /* a machine on which no CPU is online is not the one that we run on */
        if (r >= 0 && t->nslots == 0)
                r = -ENOENT;
        if (r < 0)
                topology_deinit(t);
        return r < 0 ? r : 0;
}

void topology_deinit(struct topology *t)
{
        free(t->cpus);
        *t = (struct topology){0};
}

int topology_copy(struct topology *to, const struct topology *from)
{
        *to = *from;
        to->cpus = malloc(from->ncpus * sizeof(from->cpus[0]));
        if (!to->cpus)
                return -ENOMEM;
        memcpy(to->cpus, from->cpus, from->ncpus * sizeof(from->cpus[0]));
        return 0;
}

int topology_refresh(struct topology *t, const char *sysfs)
{
        cleanup_fd int sysfd = -1;
        cleanup_fd int cpufd = -1;
        int r = open_root(sysfs, &sysfd, &cpufd);

        return r < 0 ? r : update(t, sysfd, cpufd);
}

uint64_t topology_slots_of(const struct topology *t, int socket, int die)
{
        uint64_t mask = 0;

        _Static_assert(TOPOLOGY_MAX_SLOTS <= 64, "a mask of slots is 64 bits wide");
        for (unsigned int i = 0; i < t->nslots; i++)
                if (t->slots[i].socket == socket && (die < 0 || t->slots[i].die == die))
                        mask |= UINT64_C(1) << i;
        return mask;
}

int topology_socket_index(const struct topology *t, int socket)
{
        for (unsigned int i = 0; i < t->nsockets; i++)
                if (t->sockets[i] == socket)
                        return (int)i;
        return -1;
}
