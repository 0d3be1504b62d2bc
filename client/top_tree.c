/* SPDX-License-Identifier: MIT */
#include "top_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct family {
        struct top_row *sorted; /* as they came: siblings are in order */
        size_t n;
        size_t *by_pid;              /* indices of `sorted`, by pid */
        size_t *child, *next, *last; /* first child, next sibling; n: none */
};

static int by_pid_of(const void *a, const void *b, void *arg)
{
        const struct top_row *rows = arg;
        long long left = rows[*(const size_t *)a].pid, right = rows[*(const size_t *)b].pid;

        return (left > right) - (left < right);
}

static size_t find_pid(const struct family *f, long long pid)
{
        size_t low = 0, high = f->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (f->sorted[f->by_pid[middle]].pid < pid)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low < f->n && f->sorted[f->by_pid[low]].pid == pid)
                return f->by_pid[low];
        return f->n;
}

static void link_children(struct family *f, size_t *roots)
{
        size_t root = f->n, last_root = f->n;

        for (size_t i = 0; i < f->n; i++)
                f->child[i] = f->next[i] = f->last[i] = f->n;
        for (size_t i = 0; i < f->n; i++) {
                long long ppid = f->sorted[i].ppid;
                size_t parent = ppid > 0 && ppid != f->sorted[i].pid ? find_pid(f, ppid) : f->n;
                size_t *first = parent < f->n ? &f->child[parent] : &root;
                size_t *last = parent < f->n ? &f->last[parent] : &last_root;

                if (*last < f->n)
                        f->next[*last] = i;
                else
                        *first = i;
                *last = i;
        }
        *roots = root;
}

/* Children behind their parents, without recursion: the way back up is kept in a stack.  Parents
 * that are their own ancestors, which only a daemon gone mad tells, are not reached from a root and
 * come last. */
static size_t walk(const struct family *f, size_t root, struct top_row *to, size_t *stack,
                   bool *reached)
{
        size_t n = 0, depth = 0, at = root;

        while (at < f->n || depth > 0) {
                if (at >= f->n) {
                        at = f->next[stack[--depth]];
                        continue;
                }
                to[n] = f->sorted[at];
                to[n++].depth = (unsigned int)depth;
                reached[at] = true;
                stack[depth++] = at;
                at = f->child[at];
        }
        return n;
}

int top_tree_make(struct top_row **tree, size_t n)
{
        size_t roots = 0, done;
        struct top_row *rows = calloc(n + 1, sizeof(rows[0]));
        size_t *indices = calloc(5 * (n + 1), sizeof(indices[0]));
        bool *reached = calloc(n + 1, sizeof(reached[0]));
        struct family f = {.sorted = *tree, .n = n};

        if (!rows || !indices || !reached) {
                free(rows);
                free(indices);
                free(reached);
                return -ENOMEM;
        }
        f.by_pid = indices;
        f.child = indices + (n + 1);
        f.next = indices + 2 * (n + 1);
        f.last = indices + 3 * (n + 1);
        for (size_t i = 0; i < n; i++)
                f.by_pid[i] = i;
        qsort_r(f.by_pid, n, sizeof(f.by_pid[0]), by_pid_of, f.sorted);
        link_children(&f, &roots);
        done = walk(&f, roots, rows, indices + 4 * (n + 1), reached);
        for (size_t i = 0; i < n; i++)
                if (!reached[i])
                        rows[done++] = f.sorted[i];
        free(*tree);
        *tree = rows;
        free(indices);
        free(reached);
        return 0;
}
