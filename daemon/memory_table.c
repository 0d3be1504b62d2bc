/* SPDX-License-Identifier: MIT */
#include "memory_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void memory_table_init(struct memory_table *t, unsigned int naccounts)
{
        *t = (struct memory_table){.naccounts = naccounts};
}

void memory_table_deinit(struct memory_table *t)
{
        free(t->all);
        free(t->parts);
        *t = (struct memory_table){0};
}

/* What is sorted: a process and where its parts are in the list as it came. */
struct ordered {
        struct memory_listed id;
        size_t at;
};

static int by_pid(const void *a, const void *b)
{
        const struct ordered *x = a, *y = b;

        return (x->id.pid > y->id.pid) - (x->id.pid < y->id.pid);
}

int memory_table_update(struct memory_table *t, struct memory_listed *list, size_t n,
                        const float *cpu_parts)
{
        size_t row = t->naccounts * sizeof(t->parts[0]), old = 0;
        struct memory_known *all = calloc(n + 1, sizeof(*all));
        struct ordered *order = calloc(n + 1, sizeof(*order));
        float *parts = calloc(n + 1, row);

        if (!all || !order || !parts) {
                free(all);
                free(order);
                free(parts);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++)
                order[i] = (struct ordered){.id = list[i], .at = i};
        qsort(order, n, sizeof(order[0]), by_pid);
        for (size_t i = 0; i < n; i++) {
                const struct memory_listed *id = &order[i].id;

                while (old < t->n && t->all[old].id.pid < id->pid)
                        old++;
                if (old < t->n && t->all[old].id.pid == id->pid &&
                    t->all[old].id.start_ns == id->start_ns)
                        all[i] = t->all[old];
                all[i].id = *id;
                memcpy(parts + i * t->naccounts,
                       all[i].parts_exact ? t->parts + old * t->naccounts
                                          : cpu_parts + order[i].at * t->naccounts,
                       row);
                list[i] = *id;
        }
        free(order);
        free(t->all);
        free(t->parts);
        t->all = all;
        t->parts = parts;
        t->n = n;
        return 0;
}

void memory_table_exact(struct memory_table *t, size_t i, uint64_t now_ns, uint64_t private_bytes,
                        const uint64_t *by_account, uint64_t known_bytes)
{
        struct memory_known *k = &t->all[i];

        k->private_bytes = private_bytes;
        k->private_at_anonymous_bytes = k->anonymous_bytes;
        k->exact_ns = now_ns;
        k->failed_ns = 0;
        if (!known_bytes)
                return;
        k->parts_exact = true;
        for (unsigned int a = 0; a < t->naccounts; a++)
                t->parts[i * t->naccounts + a] = (float)((double)by_account[a] /
                                                         (double)known_bytes);
}

uint64_t memory_table_bytes(const struct memory_known *k)
{
        uint64_t less;

        if (k->gone)
                return 0;
        if (k->anonymous_bytes >= k->private_at_anonymous_bytes) /* also when none was read */
                return k->private_bytes + (k->anonymous_bytes - k->private_at_anonymous_bytes);
        less = k->private_at_anonymous_bytes - k->anonymous_bytes;
        return k->private_bytes > less ? k->private_bytes - less : 0;
}

/* Is `a` to be read before `b`? */
static bool is_before(const struct memory_known *a, const struct memory_known *b)
{
        if (a->exact_ns != b->exact_ns)
                return a->exact_ns < b->exact_ns;
        return a->anonymous_bytes > b->anonymous_bytes;
}

/* Has it changed so much that the reading says little, of what it holds and of where? */
static bool is_another_size(const struct memory_known *k)
{
        return memory_table_bytes(k) / 2 > k->private_bytes ||
               k->anonymous_bytes < k->private_at_anonymous_bytes / 2;
}

static bool is_due(const struct memory_known *k, uint64_t round_ns, uint64_t age_ns)
{
        if (!k->id.wanted || k->gone || k->exact_ns >= round_ns || k->failed_ns >= round_ns)
                return false; /* once a round */
        return k->exact_ns + age_ns <= round_ns || is_another_size(k);
}

size_t memory_table_next(const struct memory_table *t, uint64_t round_ns, uint64_t age_ns)
{
        size_t best = t->n;

        for (size_t i = 0; i < t->n; i++) {
                const struct memory_known *k = &t->all[i];

                if (!is_due(k, round_ns, age_ns))
                        continue;
                if (best == t->n || is_before(k, &t->all[best]))
                        best = i;
        }
        return best;
}
