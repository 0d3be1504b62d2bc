/* SPDX-License-Identifier: MIT */
/*
 * What the probe does to the tables it shares with the daemon, played on plain memory: the steps of
 * bpf/probe.bpf.c in their order, under the names they have there.
 *
 * Atomics of the probe that return a value are sequentially consistent here, as they are full
 * barriers there.  Its plain stores and loads of words that the other side reads are release stores
 * and relaxed or acquire loads: that is what they are on x86-64, and it tells ThreadSanitizer which
 * orderings the tables rely on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

struct player {
        struct rows_memory memory;
        uint32_t nrows;
        unsigned int nslots;
        void (*pause)(void); /* called where another CPU may come in between, or NULL */
};

/* A thread's storage in the probe. */
struct player_thread {
        uint64_t last_ns; /* of its CPU time, charged so far */
        uint32_t row;
        uint32_t counted; /* 1: is in row.live; 2: was */
        uint32_t claimed; /* somebody takes a row for its process, or has */
};

static inline bool player_init(struct player *p, uint32_t nrows, unsigned int nslots,
                               unsigned int ncpus)
{
        size_t stride = rows_stride(nslots);

        *p = (struct player){.nrows = nrows, .nslots = nslots};
        p->memory.rows = aligned_alloc(64, nrows * stride);
        if (p->memory.rows)
                memset(p->memory.rows, 0, nrows * stride);
        p->memory.infos = calloc(nrows, sizeof(struct row_info));
        p->memory.places = calloc(nrows, sizeof(struct row_place));
        p->memory.cpus = calloc(ncpus, sizeof(struct cpu_state));
        p->memory.control = calloc(1, sizeof(struct probe_control));
        p->memory.counters = calloc(1, sizeof(struct probe_counters));
        return p->memory.rows && p->memory.infos && p->memory.places && p->memory.cpus &&
               p->memory.control && p->memory.counters;
}

static inline void player_deinit(struct player *p)
{
        free(p->memory.rows);
        free(p->memory.infos);
        free(p->memory.places);
        free(p->memory.cpus);
        free(p->memory.control);
        free(p->memory.counters);
}

static inline struct row *player_row(const struct player *p, uint32_t number)
{
        return (struct row *)(void *)((char *)p->memory.rows +
                                      (size_t)number * rows_stride(p->nslots));
}

static inline void player_pause(const struct player *p)
{
        if (p->pause)
                p->pause();
}

/* ---- the queue of dirty rows, in two steps ---- */

/* Reserve a place, when the row is not queued yet; NULL: it is. */
static inline struct row_place *player_reserve(struct player *p, uint32_t number)
{
        uint32_t at;

        if (__atomic_exchange_n(&player_row(p, number)->dirty, 1, __ATOMIC_SEQ_CST))
                return NULL;
        player_pause(p);
        at = (uint32_t)__atomic_fetch_add(&p->memory.counters->queue_tail, 1, __ATOMIC_SEQ_CST);
        return &p->memory.places[at & (p->nrows - 1)];
}

static inline void player_write(struct row_place *place, uint32_t number)
{
        __atomic_store_n(&place->dirty_row, number, __ATOMIC_RELEASE);
}

static inline void row_queue(struct player *p, uint32_t number)
{
        struct row_place *place = player_reserve(p, number);

        player_pause(p);
        if (place)
                player_write(place, number);
}

static inline void row_add(struct player *p, uint32_t number, int slot, int64_t ns)
{
        struct row *row = player_row(p, number);
        uint32_t cell = (uint32_t)slot;

        if (cell >= p->nslots)
                cell = p->nslots;
        __atomic_fetch_add(&row->ns[cell], ns, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&row->dirty, __ATOMIC_SEQ_CST))
                row_queue(p, number);
}

/* ---- rows ---- */

static inline uint32_t row_take(struct player *p)
{
        struct rows_memory *m = &p->memory;

        for (int i = 0; i < 32; i++) {
                __u64 head = __atomic_load_n(&m->counters->free_head, __ATOMIC_ACQUIRE);
                __u64 entry = __atomic_load_n(&m->places[(uint32_t)head & (p->nrows - 1)].free_row,
                                              __ATOMIC_ACQUIRE);

                player_pause(p);
                if (entry >> 32 != (uint32_t)head) {
                        if (__atomic_load_n(&m->counters->free_head, __ATOMIC_ACQUIRE) == head)
                                return ROW_NONE;
                } else if (__atomic_compare_exchange_n(&m->counters->free_head, &head, head + 1,
                                                       false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
                        return (uint32_t)entry;
                }
        }
        return ROW_NONE;
}

static inline void row_describe(struct player *p, uint32_t number, uint32_t pid, uint64_t start_ns,
                                const char *comm, uint32_t parent)
{
        struct row_info *info = &p->memory.infos[number];

        info->start_ns = start_ns;
        info->tgid = pid;
        info->flags = 0;
        info->parent = parent;
        info->parent_generation = parent == ROW_NONE ? 0 : player_row(p, parent)->generation;
        snprintf(info->comm, sizeof(info->comm), "%.15s", comm);
}

static inline uint32_t process_row(struct player *p, uint32_t pid, uint64_t start_ns,
                                   const char *comm, uint32_t parent)
{
        uint32_t number = row_take(p);

        if (number != ROW_NONE) {
                row_describe(p, number, pid, start_ns, comm, parent);
                return number;
        }
        __atomic_fetch_add(&p->memory.counters->merged, 1, __ATOMIC_SEQ_CST);
        return parent == ROW_NONE ? ROW_LOST : parent;
}

static inline void thread_count(struct player *p, struct player_thread *t)
{
        if (t->counted)
                return;
        t->counted = 1;
        __atomic_fetch_add(&player_row(p, t->row)->live, 1, __ATOMIC_SEQ_CST);
}

static inline void row_died(struct player *p, uint32_t number)
{
        row_queue(p, number);
        player_pause(p);
        __atomic_store_n(&player_row(p, number)->dead, 1, __ATOMIC_RELEASE);
}

static inline void thread_uncount(struct player *p, struct player_thread *t)
{
        if (t->counted != 1)
                return;
        t->counted = 2;
        if (__atomic_fetch_sub(&player_row(p, t->row)->live, 1, __ATOMIC_SEQ_CST) == 1)
                row_died(p, t->row);
}

/* ---- what happens to threads ---- */

static inline bool row_claim(struct player_thread *t)
{
        uint32_t unclaimed = 0;

        return __atomic_compare_exchange_n(&t->claimed, &unclaimed, 1, false, __ATOMIC_SEQ_CST,
                                           __ATOMIC_SEQ_CST);
}

/* The first thread of a process is met by the iterator; its parent has no row. */
static inline void player_adopt(struct player *p, struct player_thread *t, uint32_t pid,
                                uint64_t start_ns, const char *comm)
{
        if (t->row == ROW_NONE) {
                if (!row_claim(t))
                        return;
                t->row = process_row(p, pid, start_ns, comm, ROW_NONE);
                row_queue(p, t->row);
        }
        thread_count(p, t);
}

/* A process or, with pid 0, a thread of the parent's, is born of `parent` (NULL: not known). */
static inline void player_newtask(struct player *p, struct player_thread *born,
                                  const struct player_thread *parent, uint32_t pid,
                                  uint64_t start_ns, const char *comm)
{
        uint32_t above = parent ? parent->row : ROW_NONE;

        *born = (struct player_thread){.row = pid ? ROW_NONE : above};
        player_pause(p);
        if (!pid) {
                thread_count(p, born);
        } else if (row_claim(born)) {
                born->row = process_row(p, pid, start_ns, comm, above);
                thread_count(p, born);
                row_queue(p, born->row);
        }
}

/*
 * The two plain stores of a name may meet a reader that is at the row for another reason: it then
 * takes a torn name, and the right one at the visit that this one's row_queue() asks for.
 */
__attribute__((no_sanitize("thread"))) static inline void player_rename(
        struct player *p, const struct player_thread *t, uint32_t pid, const char *comm)
{
        volatile struct row_info *info = &p->memory.infos[t->row];
        volatile struct row *row = player_row(p, t->row);

        if (info->tgid != pid) /* merged into another's row */
                return;
        for (size_t i = 0; i < sizeof(info->comm) - 1; i++)
                info->comm[i] = *comm ? *comm++ : '\0';
        row->renames++;
        __atomic_fetch_add(&row->live, 0, __ATOMIC_SEQ_CST); /* full barrier */
        row_queue(p, t->row);
}

/* A thread that has used sum_ns in all is switched off a CPU of `slot`.  What that charges. */
static inline int64_t player_switch(struct player *p, struct player_thread *t, int slot,
                                    uint64_t sum_ns)
{
        int64_t stint = (int64_t)(sum_ns -
                                  __atomic_exchange_n(&t->last_ns, sum_ns, __ATOMIC_SEQ_CST));

        player_pause(p);
        if (stint)
                row_add(p, t->row, slot, stint);
        return stint;
}

/* A thread is found running on a CPU of `slot` and is thought to have used estimate_ns in all. */
static inline int64_t player_charge_running(struct player *p, struct player_thread *t, int slot,
                                            uint64_t estimate_ns)
{
        uint64_t last = __atomic_load_n(&t->last_ns, __ATOMIC_RELAXED);
        int64_t ahead = (int64_t)(estimate_ns - last);

        if (ahead <= 0 || !__atomic_compare_exchange_n(&t->last_ns, &last, estimate_ns, false,
                                                       __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                return 0;
        row_add(p, t->row, slot, ahead);
        return ahead;
}
