/* SPDX-License-Identifier: MIT */
#include "calibration_memory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory_limit.h"
#include "text.h"

#define NODES        "/sys/devices/system/node"
#define MAX_NODES    1024 /* as the kernel's CONFIG_NODES_SHIFT of 10 */
#define MAX_PACKAGES 32   /* of one node */
#define ALLOWED      "Mems_allowed_list:"
#define MASK_BITS    (CHAR_BIT * sizeof(unsigned long))
#define PART         0.5  /* of what is available at first */
#define LEFT_PART    0.25 /* of that, for others: with less, nothing is taken */
#define KIB          1024.0
#define GIB          (1024.0 * 1024 * 1024)

struct node {
        unsigned int number;
        bool has_memory, taken;     /* may any of it be taken here? */
        double available;           /* bytes at first */
        int packages[MAX_PACKAGES]; /* of its CPUs, or of the nearest node's */
        unsigned int npackages, ncpus;
};

struct calibration_memory {
        const char *root;
        struct node *nodes; /* by number; none: the kernel knows no nodes */
        unsigned int nnodes, ntaken;
        double available; /* bytes at first, of the machine's and of the process's limits */
        char *memory;     /* reserved, most bytes of it */
        size_t most, touched;
};

/* ---- what the kernel tells ---- */

/* A line of /proc/meminfo, or of a node's, in bytes; NAN when it is not there. */
static double memory_info(const char *root, const char *file, const char *key)
{
        char path[PATH_MAX], line[128] = "";
        double bytes = NAN;
        size_t n = strlen(key);
        FILE *f;

        snprintf(path, sizeof(path), "%s%s", root, file);
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

static double node_info(const struct calibration_memory *m, unsigned int number, const char *key)
{
        char file[96];

        snprintf(file, sizeof(file), NODES "/node%u/meminfo", number);
        return memory_info(m->root, file, key);
}

/* The directory entry is NAME and a number. */
static bool is_numbered(const char *entry, const char *name, unsigned int *number)
{
        size_t n = strlen(name);
        char *end;

        if (strncmp(entry, name, n) != 0 || !isdigit((unsigned char)entry[n]))
                return false;
        *number = (unsigned int)strtoul(entry + n, &end, 10);
        return !*end;
}

static void add_cpu(const struct calibration_memory *m, struct node *node, unsigned int cpu)
{
        char path[PATH_MAX];
        int package = -1;
        FILE *f;

        node->ncpus++;
        snprintf(path, sizeof(path), "%s" NODES "/node%u/cpu%u/topology/physical_package_id",
                 m->root, node->number, cpu);
        f = fopen(path, "re");
        if (!f)
                return; /* offline */
        if (fscanf(f, "%d", &package) == 1) {
                unsigned int i = 0;

                while (i < node->npackages && node->packages[i] != package)
                        i++;
                if (i == node->npackages && i < MAX_PACKAGES)
                        node->packages[node->npackages++] = package;
        }
        fclose(f);
}

static void read_node(const struct calibration_memory *m, struct node *node)
{
        char path[PATH_MAX];
        struct dirent *entry;
        unsigned int cpu;
        DIR *dir;

        node->has_memory = node_info(m, node->number, "MemTotal") > 0;
        snprintf(path, sizeof(path), "%s" NODES "/node%u", m->root, node->number);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                if (is_numbered(entry->d_name, "cpu", &cpu))
                        add_cpu(m, node, cpu);
        if (dir)
                closedir(dir);
}

/* A node without CPUs: those of the nearest one that has some.  The file has a distance for each
 * node that there is, in their order. */
static void borrow_packages(const struct calibration_memory *m, struct node *node)
{
        const struct node *nearest = NULL;
        int best = INT_MAX, distance;
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s" NODES "/node%u/distance", m->root, node->number);
        f = fopen(path, "re");
        for (unsigned int i = 0; f && i < m->nnodes && fscanf(f, "%d", &distance) == 1; i++) {
                if (!m->nodes[i].ncpus || distance >= best)
                        continue;
                best = distance;
                nearest = &m->nodes[i];
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

static int find_nodes(struct calibration_memory *m)
{
        char path[PATH_MAX];
        struct dirent *entry;
        unsigned int number;
        DIR *dir;

        snprintf(path, sizeof(path), "%s" NODES, m->root);
        dir = opendir(path);
        if (!dir)
                return errno == ENOENT ? 0 : -errno; /* a kernel without NUMA */
        m->nodes = calloc(MAX_NODES, sizeof(m->nodes[0]));
        while (m->nodes && m->nnodes < MAX_NODES && (entry = readdir(dir)))
                if (is_numbered(entry->d_name, "node", &number) && number < MAX_NODES)
                        m->nodes[m->nnodes++].number = number;
        closedir(dir);
        if (!m->nodes)
                return -ENOMEM;
        qsort(m->nodes, m->nnodes, sizeof(m->nodes[0]), by_number);
        for (unsigned int i = 0; i < m->nnodes; i++)
                read_node(m, &m->nodes[i]);
        for (unsigned int i = 0; i < m->nnodes; i++)
                if (!m->nodes[i].ncpus)
                        borrow_packages(m, &m->nodes[i]);
        return 0;
}

/* Is the number in a list such as "0-3,8"? */
static bool is_listed(const char *list, unsigned int number)
{
        unsigned int begin, end;
        int n;

        for (const char *p = list; sscanf(p, "%u%n", &begin, &n) == 1; p += *p == ',') {
                end = begin;
                p += n;
                if (sscanf(p, "-%u%n", &end, &n) == 1)
                        p += n;
                if (number >= begin && number <= end)
                        return true;
        }
        return false;
}

/* The nodes whose memory this process may have (cpuset): mbind() leaves out the others, and does
 * not tell.  A kernel without cpusets has no such line, and all may be had. */
static void find_allowed(struct calibration_memory *m)
{
        char path[PATH_MAX], *line = NULL;
        const char *list = NULL;
        size_t size = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/proc/self/status", m->root);
        f = fopen(path, "re");
        while (f && !list && getline(&line, &size, f) > 0)
                if (strncmp(line, ALLOWED, strlen(ALLOWED)) == 0)
                        list = line + strlen(ALLOWED);
        for (unsigned int i = 0; i < m->nnodes; i++) {
                struct node *node = &m->nodes[i];

                node->taken = node->has_memory && (!list || is_listed(list, node->number));
                m->ntaken += node->taken;
        }
        free(line);
        if (f)
                fclose(f);
}

/* A node's part for a package. */
static double part_of(const struct node *node, int package)
{
        for (unsigned int i = 0; i < node->npackages; i++)
                if (node->packages[i] == package)
                        return 1.0 / node->npackages;
        return 0;
}

/* Would what is taken be in use behind the package? */
static bool is_reached(const struct calibration_memory *m, int package)
{
        for (unsigned int i = 0; i < m->nnodes; i++)
                if (m->nodes[i].taken && part_of(&m->nodes[i], package) > 0)
                        return true;
        return false;
}

/* Packages with memory, none of which may be taken, each once. */
static void say_left_out(const struct calibration_memory *m)
{
        int said = INT_MIN;

        for (unsigned int i = 0; i < m->nnodes; i++) {
                const struct node *node = &m->nodes[i];

                for (unsigned int p = 0; p < node->npackages; p++) {
                        if (!node->has_memory || is_reached(m, node->packages[p]) ||
                            node->packages[p] == said)
                                continue;
                        said = node->packages[p];
                        text_message("socket %d is left out: none of its memory may be taken here "
                                     "(cpuset)",
                                     said);
                }
        }
}

double calibration_memory_used_gib(const struct calibration_memory *m, int package)
{
        double bytes = 0;
        bool found = false;

        if (m->nnodes && !is_reached(m, package))
                return NAN;
        for (unsigned int i = 0; i < m->nnodes; i++) {
                const struct node *node = &m->nodes[i];
                double part = node->has_memory ? part_of(node, package) : 0;

                if (part <= 0)
                        continue;
                bytes += part * (node_info(m, node->number, "MemTotal") -
                                 node_info(m, node->number, "MemFree"));
                found = true;
        }
        if (!m->nnodes) {
                bytes = memory_info(m->root, "/proc/meminfo", "MemTotal") -
                        memory_info(m->root, "/proc/meminfo", "MemFree");
                found = true;
        }
        return found ? bytes / GIB : NAN;
}

/* ---- taking it ---- */

/* Page by page over all nodes whose memory may be had.  By the system call: libnuma reads all of
 * the machine's topology whenever a program that is linked with it starts. */
static int spread_over_nodes(struct calibration_memory *m)
{
        unsigned long mask[MAX_NODES / MASK_BITS + 1] = {0};

        for (unsigned int i = 0; i < m->nnodes; i++)
                if (m->nodes[i].taken)
                        mask[m->nodes[i].number / MASK_BITS] |= 1UL
                                                                << (m->nodes[i].number % MASK_BITS);
        if (m->ntaken < 2)
                return 0;
        /* The kernel reads one bit less than it is told, see mbind(2), BUGS. */
        return syscall(SYS_mbind, m->memory, m->most, MPOL_INTERLEAVE, mask, MAX_NODES + 1, 0) < 0
                       ? -errno
                       : 0;
}

/* Raising one's own is allowed to everybody; where it fails, there is no such file. */
static void offer_to_go_first(const struct calibration_memory *m)
{
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s/proc/self/oom_score_adj", m->root);
        f = fopen(path, "r+e");
        if (!f)
                return;
        fputs("1000", f);
        fclose(f);
}

/* What the machine has for all, or the limits of this process's control groups leave it. */
static double available_now(const struct calibration_memory *m)
{
        double machine = memory_info(m->root, "/proc/meminfo", "MemAvailable");
        double room = memory_limit_room(m->root);

        return room < machine ? room : machine;
}

/* A node's, as the kernel counts the machine's: page cache can be had, too. */
static double node_available(const struct calibration_memory *m, const struct node *node)
{
        return node_info(m, node->number, "MemFree") + node_info(m, node->number, "Active(file)") +
               node_info(m, node->number, "Inactive(file)");
}

/* What all nodes together have when each gives as much as the least has free.  Page cache is not in
 * it: instead of dropping a node's, the kernel takes the pages from another node. */
static double find_evenly_free(struct calibration_memory *m)
{
        double least = INFINITY;

        for (unsigned int i = 0; i < m->nnodes; i++) {
                struct node *node = &m->nodes[i];
                double bytes;

                if (!node->taken)
                        continue;
                node->available = node_available(m, node);
                bytes = node_info(m, node->number, "MemFree");
                if (isnan(bytes) || isnan(node->available))
                        return NAN;
                least = fmin(least, bytes);
        }
        return m->ntaken * least;
}

static int reserve(struct calibration_memory *m)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        double most;
        void *memory;

        m->available = most = available_now(m);
        if (m->nnodes) {
                double evenly = find_evenly_free(m);

                if (!(evenly >= most)) /* also when it is not known */
                        most = evenly;
        }
        if (!(most * PART >= (double)page))
                return -ENOMEM;
        m->most = (size_t)(most * PART) / page * page;
        memory = mmap(NULL, m->most, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
                return -errno;
        m->memory = memory;
        return spread_over_nodes(m);
}

size_t calibration_memory_most(const struct calibration_memory *m)
{
        return m->most;
}

/* Is `bytes` more than others can spare, in all or on a node? */
static int check_left(const struct calibration_memory *m, size_t bytes)
{
        if (!(available_now(m) - (double)bytes >= LEFT_PART * m->available))
                return -ENOMEM;
        for (unsigned int i = 0; i < m->nnodes; i++) {
                const struct node *node = &m->nodes[i];

                if (node->taken && !(node_available(m, node) - (double)bytes / m->ntaken >=
                                     LEFT_PART * node->available))
                        return -ENOMEM;
        }
        return 0;
}

int calibration_memory_check(const struct calibration_memory *m)
{
        return check_left(m, 0);
}

int calibration_memory_grow(struct calibration_memory *m, size_t bytes)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), end = m->touched + CALIBRATION_MEMORY_PIECE;
        int r;

        if (bytes > m->most)
                bytes = m->most;
        if (end > bytes)
                end = bytes;
        if (m->touched >= end)
                return 0;
        r = check_left(m, end - m->touched);
        if (r < 0)
                return r;
        /* Pages that differ, or they would be merged where KSM is on. */
        for (; m->touched < end; m->touched += page)
                memcpy(m->memory + m->touched, &m->touched, sizeof(m->touched));
        return m->touched < bytes;
}

/* ---- life ---- */

int calibration_memory_new(struct calibration_memory **ret, const char *root)
{
        struct calibration_memory *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        m->root = root;
        r = find_nodes(m);
        if (r == 0) {
                find_allowed(m);
                r = reserve(m);
        }
        if (r < 0) {
                calibration_memory_free(m);
                return r;
        }
        say_left_out(m);
        offer_to_go_first(m);
        *ret = m;
        return 0;
}

void calibration_memory_free(struct calibration_memory *m)
{
        if (!m)
                return;
        if (m->memory)
                munmap(m->memory, m->most);
        free(m->nodes);
        free(m);
}
