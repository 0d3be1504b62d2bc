/* SPDX-License-Identifier: MIT */
#include "utilisation.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSFS_PATH_MAX 256
/* sysfs never hands out more than a page; a list of CPUs is the longest */
#define SYSFS_FILE_MAX 4096
/* CONFIG_NR_CPUS and MAX_NUMNODES are at most 8192 and 1024 on x86 (arch/x86/Kconfig) */
#define MAX_CPUS  8192
#define MAX_NODES 1024

struct utilisation {
        char sysfs[SYSFS_PATH_MAX / 2];
        int *socket_of; /* by CPU; -1: offline or not known */
        size_t ncpus;
        bool *node_online;
        size_t nnodes;
};

static int read_file(const char *path, char text[SYSFS_FILE_MAX])
{
        ssize_t n;
        int fd, r;

        text[0] = '\0';
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        do {
                n = read(fd, text, SYSFS_FILE_MAX - 1);
        } while (n < 0 && errno == EINTR);
        r = n < 0 ? -errno : 0;
        if (n >= 0)
                text[n] = '\0';
        close(fd);
        return r;
}

/* Calls `take` for each number in a list such as "0-3,8,10-11". */
static int for_each_in_list(const char *list, long limit, void (*take)(void *, size_t), void *data)
{
        const char *p = list;

        while (*p && *p != '\n') {
                char *end;
                long first, last;

                first = last = strtol(p, &end, 10);
                if (end == p)
                        return -EINVAL;
                if (*end == '-') {
                        p = end + 1;
                        last = strtol(p, &end, 10);
                        if (end == p)
                                return -EINVAL;
                }
                if (first < 0 || last < first || last >= limit)
                        return -EINVAL;
                for (long i = first; i <= last; i++)
                        take(data, (size_t)i);
                p = *end == ',' ? end + 1 : end;
                if (*p && *p != '\n' && p == end)
                        return -EINVAL;
        }
        return 0;
}

static void take_cpu(void *data, size_t cpu)
{
        struct utilisation *u = data;
        char path[SYSFS_PATH_MAX], text[SYSFS_FILE_MAX];

        snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%zu/topology/physical_package_id",
                 u->sysfs, cpu);
        if (read_file(path, text) == 0 && cpu < u->ncpus)
                u->socket_of[cpu] = atoi(text);
}

static void take_node(void *data, size_t node)
{
        struct utilisation *u = data;

        u->node_online[node] = true;
}

int utilisation_new(struct utilisation **ret, const char *sysfs)
{
        char path[SYSFS_PATH_MAX], text[SYSFS_FILE_MAX];
        struct utilisation *u;
        int r = -ENOMEM;

        if (strlen(sysfs) >= sizeof(u->sysfs))
                return -ENAMETOOLONG;
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        strcpy(u->sysfs, sysfs);
        u->ncpus = MAX_CPUS;
        u->nnodes = MAX_NODES;
        u->socket_of = malloc(u->ncpus * sizeof(*u->socket_of));
        u->node_online = calloc(u->nnodes, sizeof(*u->node_online));
        if (!u->socket_of || !u->node_online)
                goto failed;
        for (size_t i = 0; i < u->ncpus; i++)
                u->socket_of[i] = -1;

        snprintf(path, sizeof(path), "%s/devices/system/cpu/online", u->sysfs);
        r = read_file(path, text);
        if (r == 0)
                r = for_each_in_list(text, MAX_CPUS, take_cpu, u);
        if (r < 0)
                goto failed;
        /* a kernel without NUMA has no nodes: then memory is not known, and CPUs are */
        snprintf(path, sizeof(path), "%s/devices/system/node/online", u->sysfs);
        r = read_file(path, text);
        if (r == 0)
                r = for_each_in_list(text, MAX_NODES, take_node, u);
        if (r < 0 && r != -ENOENT)
                goto failed;
        *ret = u;
        return 0;

failed:
        utilisation_free(u);
        return r;
}

void utilisation_free(struct utilisation *u)
{
        if (!u)
                return;
        free(u->socket_of);
        free(u->node_online);
        free(u);
}

double utilisation_cpu_percent(const struct utilisation *u, long long socket, double busy_s,
                               double duration_s)
{
        size_t cpus = 0;

        for (size_t i = 0; i < u->ncpus; i++)
                cpus += u->socket_of[i] >= 0 && u->socket_of[i] == socket;
        if (cpus == 0 || !isfinite(busy_s) || !(duration_s > 0))
                return NAN;
        return fmin(100, 100 * busy_s / (duration_s * (double)cpus));
}

struct node_search {
        const struct utilisation *utilisation;
        long long socket;
        bool found;
};

static void look_for_socket(void *data, size_t cpu)
{
        struct node_search *search = data;
        const struct utilisation *u = search->utilisation;

        if (cpu < u->ncpus && u->socket_of[cpu] >= 0 && u->socket_of[cpu] == search->socket)
                search->found = true;
}

static bool node_is_on(const struct utilisation *u, size_t node, long long socket)
{
        struct node_search search = {.utilisation = u, .socket = socket};
        char path[SYSFS_PATH_MAX], text[SYSFS_FILE_MAX];

        snprintf(path, sizeof(path), "%s/devices/system/node/node%zu/cpulist", u->sysfs, node);
        return read_file(path, text) == 0 &&
               for_each_in_list(text, MAX_CPUS, look_for_socket, &search) == 0 && search.found;
}

static bool meminfo_kib(const char *text, const char *key, double *ret)
{
        const char *p = strstr(text, key);
        unsigned long long value;

        if (!p || sscanf(p + strlen(key), " %llu kB", &value) != 1)
                return false;
        *ret = (double)value;
        return true;
}

double utilisation_memory_percent(const struct utilisation *u, long long socket)
{
        char path[SYSFS_PATH_MAX], text[SYSFS_FILE_MAX];
        double total_kib = 0, used_kib = 0;

        for (size_t node = 0; node < u->nnodes; node++) {
                double total, used;

                if (!u->node_online[node] || !node_is_on(u, node, socket))
                        continue;
                snprintf(path, sizeof(path), "%s/devices/system/node/node%zu/meminfo", u->sysfs,
                         node);
                if (read_file(path, text) < 0 || !meminfo_kib(text, "MemTotal:", &total) ||
                    !meminfo_kib(text, "MemUsed:", &used))
                        return NAN;
                total_kib += total;
                used_kib += used;
        }
        return total_kib > 0 ? 100 * used_kib / total_kib : NAN;
}
