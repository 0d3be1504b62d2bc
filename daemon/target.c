/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <errno.h>
#include <stdlib.h>

#include "processes.h"

int target_new(struct target **ret, const struct accounts *accounts, struct mailbox *mailbox,
               void *owner)
{
        size_t cells = accounts->nslots + 1, n = accounts->n, sums = accounts->nsums;
        struct target *t = calloc(1, sizeof(*t));
        struct socket_report *sockets;
        uint64_t *words;

        if (!t)
                return -ENOMEM;
        words = calloc(2 * (cells + n + sums), sizeof(*words));
        t->attributed_j = calloc(n, sizeof(t->attributed_j[0]));
        t->held = calloc(n, sizeof(t->held[0]));
        sockets = calloc((size_t)TARGET_REPORTS * accounts->nsockets, sizeof(*sockets));
        t->used.cpu_ns = words;
        t->ring[0].sockets = sockets;
        if (!words || !t->attributed_j || !t->held || !sockets) {
                target_free(t);
                return -ENOMEM;
        }
        t->used.share_uj = words + cells;
        t->used_before.cpu_ns = t->used.share_uj + n;
        t->used_before.share_uj = t->used_before.cpu_ns + cells;
        t->sums_begin = t->used_before.share_uj + n;
        t->sums_before = t->sums_begin + sums;
        for (unsigned int i = 0; i < TARGET_REPORTS; i++) {
                t->ring[i].sockets = sockets + (size_t)i * accounts->nsockets;
                t->ring[i].nsockets = accounts->nsockets;
        }
        t->mailbox = mailbox;
        t->owner = owner;
        *ret = t;
        return 0;
}

void target_free(struct target *t)
{
        if (!t)
                return;
        free(t->used.cpu_ns);
        free(t->ring[0].sockets);
        free(t->attributed_j);
        free(t->held);
        free(t);
}

struct report *target_report(struct target *t, bool final)
{
        unsigned int used = t->written - __atomic_load_n(&t->read, __ATOMIC_ACQUIRE);

        if (used >= (final ? TARGET_REPORTS : TARGET_REPORTS - 1))
                return NULL;
        return &t->ring[t->written % TARGET_REPORTS];
}

void target_send(struct target *t, bool final)
{
        __atomic_store_n(&t->written, t->written + 1, __ATOMIC_RELEASE);
        if (final)
                mailbox_push(t->mailbox, &t->farewell);
        else if (!__atomic_exchange_n(&t->news_pending, true, __ATOMIC_ACQ_REL))
                mailbox_push(t->mailbox, &t->news);
}

const struct report *target_peek(const struct target *t)
{
        if (__atomic_load_n(&t->written, __ATOMIC_ACQUIRE) == t->read)
                return NULL;
        return &t->ring[t->read % TARGET_REPORTS];
}

void target_next(struct target *t)
{
        __atomic_store_n(&t->read, t->read + 1, __ATOMIC_RELEASE);
}

void target_news_taken(struct target *t)
{
        __atomic_store_n(&t->news_pending, false, __ATOMIC_SEQ_CST);
}

void target_count(struct target *target, int processes, int threads)
{
        target->nprocesses += (unsigned int)processes;
        target->nthreads += (unsigned int)threads;
        if (target->nprocesses > target->max_processes)
                target->max_processes = target->nprocesses;
        if (target->nthreads > target->max_threads)
                target->max_threads = target->nthreads;
}
