/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES "/devices/system/node"
#define KIB   1024.0

/* ---- memory ---- */

double nodes_meminfo(const char *path, const char *key)
{
        char line[128] = "";
        double bytes = NAN;
        size_t n = strlen(key);
        FILE *f;

        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line) - 1, f)) {
                const char *at = line;

                if (strncmp(line, "Node ", 5) == 0) /* Node 0 MemTotal: */
                        at += 5 + strcspn(line + 5, " ") + 1;
                if (strncmp(at, key, n) == 0 && at[n] == ':')
                        bytes = strtod(at + n + 1, NULL) * KIB;
        }
        if (f)
                fclose(f);
        return bytes;
}

double nodes_memory(const struct nodes *n, const struct node *node, const char *key)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s" NODES "/node%u/meminfo", n->sysfs, node->number);
        return nodes_meminfo(path, key);
}

double node_part(const struct node *node, int package)
{
        for (unsigned int i = 0; i < node->npackages; i++)
                if (node->packages[i] == package)
                        return 1.0 / node->npackages;
        return 0;
}

double nodes_package_memory(const struct nodes *n, int package, const char *key)
{
        double bytes = 0;
        bool found = false;

        for (unsigned int i = 0; i < n->count; i++) {
                const struct node *node = &n->list[i];
                double part = node->has_memory ? node_part(node, package) : 0;

                if (part <= 0)
                        continue;
                bytes += part * nodes_memory(n, node, key);
                found = true;
        }
        return found ? bytes : NAN;
}

/* ---- packages ---- */

/* The directory entry is NAME and a number. */
static bool is_numbered(const char *entry, const char *name, unsigned int *number)
{
        size_t length = strlen(name);
        char *end;

        if (strncmp(entry, name, length) != 0 || !isdigit((unsigned char)entry[length]))
                return false;
        *number = (unsigned int)strtoul(entry + length, &end, 10);
        return !*end;
}

static void add_cpu(const struct nodes *n, struct node *node, unsigned int cpu)
{
        char path[PATH_MAX];
        int package = -1;
        FILE *f;

        node->ncpus++;
        snprintf(path, sizeof(path), "%s" NODES "/node%u/cpu%u/topology/physical_package_id",
                 n->sysfs, node->number, cpu);
        f = fopen(path, "re");
        if (!f)
                return; /* offline */
        if (fscanf(f, "%d", &package) == 1) {
                unsigned int i = 0;

                while (i < node->npackages && node->packages[i] != package)
                        i++;
                if (i == node->npackages && i < NODE_MAX_PKG)
                        node->packages[node->npackages++] = package;
        }
        fclose(f);
}

static void read_node(const struct nodes *n, struct node *node)
{
        char path[PATH_MAX];
        struct dirent *entry;
        unsigned int cpu;
        DIR *dir;

        node->has_memory = nodes_memory(n, node, "MemTotal") > 0;
        snprintf(path, sizeof(path), "%s" NODES "/node%u", n->sysfs, node->number);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                if (is_numbered(entry->d_name, "cpu", &cpu))
                        add_cpu(n, node, cpu);
        if (dir)
                closedir(dir);
}

/* A node without CPUs: those of the nearest one that has some.  The file has a distance for each
 * node that there is, in their order. */
static void borrow_packages(const struct nodes *n, struct node *node)
{
        const struct node *nearest = NULL;
        int best = INT_MAX, distance;
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s" NODES "/node%u/distance", n->sysfs, node->number);
        f = fopen(path, "re");
        for (unsigned int i = 0; f && i < n->count && fscanf(f, "%d", &distance) == 1; i++) {
                if (!n->list[i].ncpus || distance >= best)
                        continue;
                best = distance;
                nearest = &n->list[i];
        }
        if (f)
                fclose(f);
        if (!nearest)
                return;
        memcpy(node->packages, nearest->packages, sizeof(node->packages));
        node->npackages = nearest->npackages;
}

static int by_number(const void *a, const void *b)
{
        const struct node *x = a, *y = b;

        return (x->number > y->number) - (x->number < y->number);
}

static int find_all(struct nodes *n)
{
        char path[PATH_MAX];
        struct dirent *entry;
        unsigned int number;
        DIR *dir;

        snprintf(path, sizeof(path), "%s" NODES, n->sysfs);
        dir = opendir(path);
        if (!dir)
                return errno == ENOENT ? 0 : -errno; /* a kernel without NUMA */
        n->list = calloc(NODES_MAX, sizeof(n->list[0]));
        while (n->list && n->count < NODES_MAX && (entry = readdir(dir)))
                if (is_numbered(entry->d_name, "node", &number) && number < NODES_MAX)
                        n->list[n->count++].number = number;
        closedir(dir);
        if (!n->list)
                return -ENOMEM;
        qsort(n->list, n->count, sizeof(n->list[0]), by_number);
        for (unsigned int i = 0; i < n->count; i++)
                read_node(n, &n->list[i]);
        for (unsigned int i = 0; i < n->count; i++)
                if (!n->list[i].ncpus)
                        borrow_packages(n, &n->list[i]);
        return 0;
}

/* ---- life ---- */

int nodes_init(struct nodes *n, const char *sysfs)
{
        int r;

        *n = (struct nodes){.sysfs = strdup(sysfs)};
        r = n->sysfs ? find_all(n) : -ENOMEM;
        if (r < 0)
                nodes_deinit(n);
        return r;
}

void nodes_deinit(struct nodes *n)
{
        free(n->sysfs);
        free(n->list);
        *n = (struct nodes){0};
}
