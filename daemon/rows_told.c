/* SPDX-License-Identifier: MIT */
#include "rows_told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A moment goes through JSON as a double of seconds, which after a year is exact to some
 * nanoseconds.  Two looks differ by a tick (1 ms or more), or they are of the same tick. */
#define MOMENT_PRECISION_NS 1000

struct rows_told {
        uint64_t now_ns;
        size_t n;
        uint64_t *changed_ns, *node_cpu_ns;
        struct row_copy rows[];
};

void rows_told_free(struct rows_told *t)
{
        if (!t)
                return;
        free(t->changed_ns);
        free(t->node_cpu_ns);
        free(t);
}

static struct rows_told *rows_told_new(size_t n, unsigned int nnodes)
{
        struct rows_told *t = calloc(1, sizeof(*t) + n * sizeof(t->rows[0]));

        if (!t)
                return NULL;
        t->n = n;
        t->changed_ns = calloc(n ? n : 1, sizeof(t->changed_ns[0]));
        t->node_cpu_ns = calloc(n && nnodes ? n * nnodes : 1, sizeof(t->node_cpu_ns[0]));
        if (!t->changed_ns || !t->node_cpu_ns) {
                rows_told_free(t);
                return NULL;
        }
        return t;
}

static bool is_same(const struct row_copy *a, const struct row_copy *b, unsigned int nnodes)
{
        for (unsigned int i = 0; i < ENERGY_KINDS; i++)
                if (a->share_known[i] != b->share_known[i])
                        return false;
        if (a->share_uj[ENERGY_PACKAGE] != b->share_uj[ENERGY_PACKAGE])
                return false;
        if (!a->node_cpu_ns != !b->node_cpu_ns)
                return false;
        if (a->node_cpu_ns &&
            memcmp(a->node_cpu_ns, b->node_cpu_ns, nnodes * sizeof(a->node_cpu_ns[0])) != 0)
                return false;
        return a->pid == b->pid && a->ppid == b->ppid && a->start_ns == b->start_ns &&
               a->cpu_ns == b->cpu_ns && a->threads == b->threads && a->kernel == b->kernel &&
               strncmp(a->comm, b->comm, sizeof(a->comm)) == 0;
}

int rows_told_update(struct rows_told **told, const struct row_copy *rows, size_t n,
                     unsigned int nnodes, uint64_t now_ns)
{
        struct rows_told *before = *told, *t = rows_told_new(n, nnodes);
        uint64_t changed_ns = now_ns;
        size_t old = 0;

        *told = t;
        if (!t) {
                rows_told_free(before);
                return -ENOMEM;
        }
        /* Within one tick, too, what is new is later than what was told. */
        if (before && before->now_ns + MOMENT_PRECISION_NS >= now_ns)
                changed_ns = before->now_ns + 2 * MOMENT_PRECISION_NS;
        t->now_ns = changed_ns;
        for (size_t i = 0; i < n; i++) {
                struct row_copy *row = &t->rows[i];

                *row = rows[i];
                if (rows[i].node_cpu_ns) {
                        row->node_cpu_ns = t->node_cpu_ns + i * nnodes;
                        memcpy(row->node_cpu_ns, rows[i].node_cpu_ns,
                               nnodes * sizeof(row->node_cpu_ns[0]));
                }
                while (before && old < before->n && before->rows[old].pid < row->pid)
                        old++;
                if (before && old < before->n && is_same(&before->rows[old], row, nnodes))
                        t->changed_ns[i] = before->changed_ns[old];
                else
                        t->changed_ns[i] = changed_ns;
        }
        rows_told_free(before);
        return 0;
}

bool rows_told_changed(const struct rows_told *t, size_t i, uint64_t since_ns)
{
        return t->changed_ns[i] > since_ns + MOMENT_PRECISION_NS;
}
