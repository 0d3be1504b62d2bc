/* SPDX-License-Identifier: MIT */
#include "calibration_memory.h"

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
#include "nodes.h"
#include "number_list.h"
#include "text.h"

#define ALLOWED   "Mems_allowed_list:"
#define MASK_BITS (CHAR_BIT * sizeof(unsigned long))
#define PART      0.5  /* of what is available at first */
#define LEFT_PART 0.25 /* of that, for others: with less, nothing is taken */
#define GIB       (1024.0 * 1024 * 1024)

struct calibration_memory {
        const char *root;
        struct nodes nodes;
        bool allowed[NODES_MAX];          /* by number: may its memory be taken here? */
        double node_available[NODES_MAX]; /* by number, bytes at first */
        unsigned int ntaken;              /* nodes with memory that may be taken */
        double available; /* bytes at first, of the machine's and of the process's limits */
        char *memory;     /* reserved, most bytes of it */
        size_t most, touched;
};

/* ---- what the kernel tells ---- */

static void allow(void *data, size_t number)
{
        struct calibration_memory *m = data;

        m->allowed[number] = true;
}

static bool is_taken(const struct calibration_memory *m, const struct node *node)
{
        return node->has_memory && m->allowed[node->number];
}

/* The nodes whose memory this process may have (cpuset): mbind() leaves out the others, and does
 * not tell.  A kernel without cpusets has no such line, and all may be had. */
static int find_allowed(struct calibration_memory *m)
{
        char path[PATH_MAX], *line = NULL;
        const char *list = NULL;
        size_t size = 0;
        int r = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/proc/self/status", m->root);
        f = fopen(path, "re");
        while (f && !list && getline(&line, &size, f) > 0)
                if (strncmp(line, ALLOWED, strlen(ALLOWED)) == 0)
                        list = line + strlen(ALLOWED) + strspn(line + strlen(ALLOWED), " \t");
        if (list)
                r = number_list_walk(list, NODES_MAX, allow, m);
        else
                memset(m->allowed, true, sizeof(m->allowed));
        free(line);
        if (f)
                fclose(f);
        for (unsigned int i = 0; i < m->nodes.count; i++)
                m->ntaken += is_taken(m, &m->nodes.list[i]);
        return r;
}

/* Would what is taken be in use behind the package? */
static bool is_reached(const struct calibration_memory *m, int package)
{
        for (unsigned int i = 0; i < m->nodes.count; i++)
                if (is_taken(m, &m->nodes.list[i]) && node_part(&m->nodes.list[i], package) > 0)
                        return true;
        return false;
}

/* Has one of the first `count` nodes memory of that package? */
static bool is_met(const struct calibration_memory *m, unsigned int count, int package)
{
        for (unsigned int i = 0; i < count; i++)
                if (m->nodes.list[i].has_memory && node_part(&m->nodes.list[i], package) > 0)
                        return true;
        return false;
}

/* Packages with memory, none of which may be taken, each once. */
static void say_left_out(const struct calibration_memory *m)
{
        for (unsigned int i = 0; i < m->nodes.count; i++) {
                const struct node *node = &m->nodes.list[i];

                for (unsigned int p = 0; node->has_memory && p < node->npackages; p++)
                        if (!is_reached(m, node->packages[p]) && !is_met(m, i, node->packages[p]))
                                text_message("socket %d is left out: none of its memory may be "
                                             "taken here (cpuset)",
                                             node->packages[p]);
        }
}

/* A line of the machine's own /proc/meminfo. */
static double machine_memory(const struct calibration_memory *m, const char *key)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/proc/meminfo", m->root);
        return nodes_meminfo(path, key);
}

double calibration_memory_used_gib(const struct calibration_memory *m, int package)
{
        if (!m->nodes.count)
                return (machine_memory(m, "MemTotal") - machine_memory(m, "MemFree")) / GIB;
        if (!is_reached(m, package))
                return NAN;
        return (nodes_package_memory(&m->nodes, package, "MemTotal") -
                nodes_package_memory(&m->nodes, package, "MemFree")) /
               GIB;
}

/* ---- taking it ---- */

/* Page by page over all nodes whose memory may be had.  By the system call: libnuma reads all of
 * the machine's topology whenever a program that is linked with it starts. */
static int spread_over_nodes(struct calibration_memory *m)
{
        unsigned long mask[NODES_MAX / MASK_BITS + 1] = {0};

        for (unsigned int i = 0; i < m->nodes.count; i++) {
                unsigned int number = m->nodes.list[i].number;

                if (is_taken(m, &m->nodes.list[i]))
                        mask[number / MASK_BITS] |= 1UL << (number % MASK_BITS);
        }
        if (m->ntaken < 2)
                return 0;
        /* The kernel reads one bit less than it is told, see mbind(2), BUGS. */
        return syscall(SYS_mbind, m->memory, m->most, MPOL_INTERLEAVE, mask, NODES_MAX + 1, 0) < 0
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
        double machine = machine_memory(m, "MemAvailable");
        double room = memory_limit_room(m->root);

        return room < machine ? room : machine;
}

/* A node's, as the kernel counts the machine's: page cache can be had, too. */
static double node_available(const struct calibration_memory *m, const struct node *node)
{
        return nodes_memory(&m->nodes, node, "MemFree") +
               nodes_memory(&m->nodes, node, "Active(file)") +
               nodes_memory(&m->nodes, node, "Inactive(file)");
}

/* What all nodes together have when each gives as much as the least has free.  Page cache is not in
 * it: instead of dropping a node's, the kernel takes the pages from another node. */
static double find_evenly_free(struct calibration_memory *m)
{
        double least = INFINITY;

        for (unsigned int i = 0; i < m->nodes.count; i++) {
                const struct node *node = &m->nodes.list[i];
                double *available = &m->node_available[node->number], bytes;

                if (!is_taken(m, node))
                        continue;
                *available = node_available(m, node);
                bytes = nodes_memory(&m->nodes, node, "MemFree");
                if (isnan(bytes) || isnan(*available))
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
        if (m->nodes.count) {
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
        for (unsigned int i = 0; i < m->nodes.count; i++) {
                const struct node *node = &m->nodes.list[i];

                if (is_taken(m, node) && !(node_available(m, node) - (double)bytes / m->ntaken >=
                                           LEFT_PART * m->node_available[node->number]))
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
        char sysfs[PATH_MAX];
        int r;

        if (!m)
                return -ENOMEM;
        m->root = root;
        snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
        r = nodes_init(&m->nodes, sysfs);
        if (r == 0)
                r = find_allowed(m);
        if (r == 0)
                r = reserve(m);
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
        nodes_deinit(&m->nodes);
        free(m);
}
