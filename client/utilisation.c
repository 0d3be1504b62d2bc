/* SPDX-License-Identifier: MIT */
#include "utilisation.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nodes.h"
#include "number_list.h"

#define SYSFS_PATH_MAX 256
/* sysfs never hands out more than a page; a list of CPUs is the longest */
#define SYSFS_FILE_MAX 4096
/* CONFIG_NR_CPUS is at most 8192 on x86 (arch/x86/Kconfig) */
#define MAX_CPUS 8192

struct utilisation {
        char sysfs[SYSFS_PATH_MAX / 2];
        int *socket_of; /* by CPU; -1: offline or not known */
        size_t ncpus;
        struct nodes
                nodes; /* none: the kernel knows none, then memory is not known, and CPUs are */
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

static void take_cpu(void *data, size_t cpu)
{
        struct utilisation *u = data;
        char path[SYSFS_PATH_MAX], text[SYSFS_FILE_MAX];

        snprintf(path, sizeof(path), "%s/devices/system/cpu/cpu%zu/topology/physical_package_id",
                 u->sysfs, cpu);
        if (read_file(path, text) == 0 && cpu < u->ncpus)
                u->socket_of[cpu] = atoi(text);
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
        u->socket_of = malloc(u->ncpus * sizeof(*u->socket_of));
        if (!u->socket_of)
                goto failed;
        for (size_t i = 0; i < u->ncpus; i++)
                u->socket_of[i] = -1;

        snprintf(path, sizeof(path), "%s/devices/system/cpu/online", u->sysfs);
        r = read_file(path, text);
        if (r == 0)
                r = number_list_walk(text, MAX_CPUS, take_cpu, u);
        if (r == 0)
                r = nodes_init(&u->nodes, sysfs);
        if (r < 0)
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
        nodes_deinit(&u->nodes);
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

double utilisation_memory_percent(const struct utilisation *u, long long socket)
{
        double total = nodes_package_memory(&u->nodes, (int)socket, "MemTotal");
        double unused = nodes_package_memory(&u->nodes, (int)socket, "MemFree");

        return total > 0 ? 100 * (total - unused) / total : NAN;
}
