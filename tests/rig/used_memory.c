/* SPDX-License-Identifier: MIT */
#include "used_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODE_CPUS_FORMAT   "/sys/devices/system/node/node%u/cpulist"
#define NODE_MEMORY_FORMAT "/sys/devices/system/node/node%u/meminfo"
#define KIB_PER_GIB        (1024.0 * 1024.0)
#define TEXT_SIZE          4096 /* meminfo of a node is some 1500 bytes */

/* How a node's memory is divided: count its CPUs by package. */
static void divide_node(struct used_memory *m, unsigned int index, unsigned int node,
                        const struct sim_options *o)
{
        char path[128], text[TEXT_SIZE] = "";
        unsigned int total = 0;
        FILE *f;

        snprintf(path, sizeof(path), NODE_CPUS_FORMAT, node);
        f = fopen(path, "re");
        if (f) {
                if (!fgets(text, sizeof(text), f))
                        text[0] = '\0';
                fclose(f);
        }
        for (char *at = text; *at >= '0' && *at <= '9';) {
                unsigned long first = strtoul(at, &at, 10), last = first;

                if (*at == '-')
                        last = strtoul(at + 1, &at, 10);
                for (unsigned long cpu = first; cpu <= last && cpu < o->ncpus; cpu++) {
                        if (o->package_of[cpu] == SIM_NO_PACKAGE)
                                continue;
                        m->part[index][o->package_of[cpu]]++;
                        total++;
                }
                if (*at == ',')
                        at++;
        }
        for (unsigned int p = 0; p < m->npackages; p++) {
                if (total > 0)
                        m->part[index][p] /= total;
                else
                        m->part[index][p] = 1.0 / m->npackages;
        }
}

int used_memory_open(struct used_memory *m, const struct sim_options *o)
{
        *m = (struct used_memory){.npackages = o->npackages};
        for (unsigned int node = 0; node < USED_MEMORY_MAX_NODES; node++) {
                char path[128];
                int fd;

                snprintf(path, sizeof(path), NODE_MEMORY_FORMAT, node);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        continue; /* node numbers can have gaps */
                m->fd[m->nnodes] = fd;
                divide_node(m, m->nnodes, node, o);
                m->nnodes++;
        }
        if (m->nnodes > 0)
                return 0;
        m->fd[0] = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
        if (m->fd[0] < 0)
                return -errno;
        m->nnodes = 1;
        for (unsigned int p = 0; p < m->npackages; p++)
                m->part[0][p] = 1.0 / m->npackages;
        return 0;
}

void used_memory_close(struct used_memory *m)
{
        for (unsigned int i = 0; i < m->nnodes; i++)
                close(m->fd[i]);
        m->nnodes = 0;
}

static int number_after(const char *text, const char *key, double *kib)
{
        const char *at = strstr(text, key);
        char *end = NULL;

        if (!at)
                return -EPROTO;
        at += strlen(key);
        *kib = (double)strtoull(at, &end, 10);
        return end == at ? -EPROTO : 0;
}

int used_memory_read(const struct used_memory *m, double *gib)
{
        for (unsigned int p = 0; p < m->npackages; p++)
                gib[p] = 0;
        for (unsigned int i = 0; i < m->nnodes; i++) {
                char text[TEXT_SIZE];
                double total_kib = 0, free_kib = 0;
                ssize_t n = pread(m->fd[i], text, sizeof(text) - 1, 0);

                if (n < 0)
                        return -errno;
                text[n] = '\0';
                if (number_after(text, "MemTotal:", &total_kib) < 0 ||
                    number_after(text, "MemFree:", &free_kib) < 0)
                        return -EPROTO;
                for (unsigned int p = 0; p < m->npackages; p++)
                        gib[p] += (total_kib - free_kib) / KIB_PER_GIB * m->part[i][p];
        }
        return 0;
}
