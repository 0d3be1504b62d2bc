/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "procfs.h"

#define CACHE_LINE 64u

size_t rows_stride(unsigned int nslots)
{
        size_t size = sizeof(struct row) + (nslots + 1) * sizeof(int64_t);

        return (size + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);
}

static struct row *row_at(const struct rows *t, uint32_t number)
{
        return (struct row *)(void *)((char *)t->shared.rows + (size_t)number * t->stride);
}

static struct row_place *place_at(const struct rows *t, uint32_t at)
{
        return &t->shared.places[at & (t->nrows - 1)];
}

/* Put a row at the end of the ring of free ones: from here on it may be somebody's. */
static void row_offer(struct rows *t, uint32_t number)
{
        uint32_t position = t->free_tail++;

        __atomic_store_n(&place_at(t, position)->free_row, (uint64_t)position << 32 | number,
                         __ATOMIC_RELEASE);
}

static void row_free(struct rows *t, uint32_t number)
{
        struct row *row = row_at(t, number);

        t->owner[number] = NULL;
        t->renames[number] = 0;
        t->shared.infos[number].tgid = 0;
        row->dead = 0;
        row->renames = 0;
        row->generation++;
        row_offer(t, number);
}

static struct process *row_parent(const struct rows *t, const struct row_info *info)
{
        if (info->parent >= ROW_FIRST && info->parent < t->nrows &&
            row_at(t, info->parent)->generation == info->parent_generation)
                return t->owner[info->parent];
        return NULL;
}

static int row_birth(struct rows *t, uint32_t number)
{
        const struct row_info *info = &t->shared.infos[number];
        struct process *parent = row_parent(t, info);
        char comm[PROCESS_COMM_MAX];

        memcpy(comm, info->comm, sizeof(comm));
        comm[sizeof(comm) - 1] = '\0';
        if (!parent) {
                /* Older than the probe, and met before its parent. */
                pid_t ppid = procfs_ppid(t->proc_root, (pid_t)info->tgid);

                if (ppid > 0)
                        parent = processes_find(t->ps, ppid);
                if (ppid > 0 && !parent && t->norphans < t->nrows)
                        t->orphans[t->norphans++] = (struct orphan){.row = number, .ppid = ppid};
        }
        return processes_birth(t->ps, &t->owner[number], (pid_t)info->tgid, info->start_ns, comm,
                               info->flags & ROW_KTHREAD, parent);
}

/* Add to a sum that never falls: what is below 0 is held against what comes next. */
static void sum_add(uint64_t *sum, int64_t *debt_ns, int64_t ns)
{
        ns += *debt_ns;
        *debt_ns = ns < 0 ? ns : 0;
        if (ns > 0)
                *sum += (uint64_t)ns;
}

/* Take out of a row what is in it.  -ENOMEM: what could not be taken is still there. */
static int row_visit(struct rows *t, uint32_t number, struct cputime_totals *totals,
                     struct cputime_losses *losses)
{
        struct row *row = row_at(t, number);
        struct process *p;
        int r = 0;

        /* Clear the mark, full barrier, then read: see probe.h, 3. */
        __atomic_exchange_n(&row->dirty, 0, __ATOMIC_SEQ_CST);
        if (number != ROW_LOST) {
                if (!t->shared.infos[number].tgid)
                        return 0;
                if (!t->owner[number]) {
                        r = row_birth(t, number);
                        if (r < 0)
                                return r;
                }
        }
        p = t->owner[number];
        if (p) {
                process_set_threads(p, __atomic_load_n(&row->live, __ATOMIC_ACQUIRE));
                if (p->threads == 0 && !t->is_dying[number]) {
                        t->is_dying[number] = true;
                        t->dying[t->ndying++] = number;
                }
                if (row->renames != t->renames[number]) {
                        char comm[PROCESS_COMM_MAX];

                        t->renames[number] = row->renames;
                        memcpy(comm, t->shared.infos[number].comm, sizeof(comm));
                        comm[sizeof(comm) - 1] = '\0';
                        process_rename(p, comm);
                }
        }
        for (unsigned int slot = 0; slot <= t->nslots; slot++) {
                int64_t ns;

                if (!__atomic_load_n(&row->ns[slot], __ATOMIC_SEQ_CST))
                        continue;
                ns = __atomic_exchange_n(&row->ns[slot], 0, __ATOMIC_SEQ_CST);
                if (p) {
                        int64_t debt = p->debt_ns[slot];

                        r = processes_ran(t->ps, p, slot, ns);
                        if (r < 0) {
                                __atomic_fetch_add(&row->ns[slot], ns, __ATOMIC_SEQ_CST);
                                return r;
                        }
                        /* what was charged: what came, less what is now owed, plus what was */
                        totals->busy_ns[slot] += (uint64_t)(ns + debt - p->debt_ns[slot]);
                } else {
                        sum_add(&losses->lost_ns, &t->lost_debt_ns, ns);
                }
                if (slot == t->nslots)
                        sum_add(&losses->unplaced_ns, &t->unplaced_debt_ns, ns);
        }
        return 0;
}

/* Visit every row in the queue.  *drained: the queue was read to its end. */
static int queue_drain(struct rows *t, struct cputime_totals *totals, struct cputime_losses *losses,
                       bool *drained)
{
        uint32_t tail = (uint32_t)__atomic_load_n(&t->shared.counters->queue_tail,
                                                  __ATOMIC_ACQUIRE);

        if (t->again != ROW_NONE) {
                int r = row_visit(t, t->again, totals, losses);

                if (r < 0)
                        return r;
                t->again = ROW_NONE;
        }
        while (t->queue_head != tail) {
                struct row_place *place = place_at(t, t->queue_head);
                uint32_t number = __atomic_load_n(&place->dirty_row, __ATOMIC_ACQUIRE);
                int r;

                if (!number) { /* its writer is on the way: next time */
                        *drained = false;
                        return 0;
                }
                __atomic_store_n(&place->dirty_row, 0, __ATOMIC_RELEASE);
                t->queue_head++;
                r = row_visit(t, number, totals, losses);
                if (r < 0) {
                        t->again = number;
                        return r;
                }
        }
        *drained = true;
        return 0;
}

/*
 * Processes that are older than the probe are met in the order of their numbers, and where these
 * have begun anew that is not the order of their births.  When all have been met, the parents of
 * those that came before them are known.
 */
static int orphans_link(struct rows *t)
{
        int r = 0;

        for (uint32_t i = 0; i < t->norphans && r != -ENOMEM; i++) {
                struct process *p = t->owner[t->orphans[i].row];
                struct process *parent = processes_find(t->ps, t->orphans[i].ppid);

                if (p && parent && !p->parent)
                        r = processes_adopt(t->ps, p, parent); /* -ELOOP: it has moved on */
        }
        t->norphans = 0;
        return r == -ENOMEM ? r : 0;
}

/* Free the rows that are dead, when all that was queued before they died has been read. */
static int dying_free(struct rows *t, struct cputime_totals *totals, struct cputime_losses *losses)
{
        uint32_t dead = 0, kept = 0;
        bool drained;
        int r;

        /* To the front those that the probe has finished with ... */
        for (uint32_t i = 0; i < t->ndying; i++) {
                uint32_t number = t->dying[i];

                if (__atomic_load_n(&row_at(t, number)->dead, __ATOMIC_ACQUIRE)) {
                        t->dying[i] = t->dying[dead];
                        t->dying[dead++] = number;
                }
        }
        if (!dead)
                return 0;
        /* ... then the rest of the queue: entries of theirs, births of their children. */
        r = queue_drain(t, totals, losses, &drained);
        if (r < 0 || !drained)
                return r;
        for (uint32_t i = 0; i < t->ndying; i++) {
                uint32_t number = t->dying[i];

                if (i >= dead) {
                        t->dying[kept++] = number;
                        continue;
                }
                t->is_dying[number] = false;
                /* Alive after all: a thread that was adopted after another had ended.  `dead` is
                 * taken back before looking, so that the death to come is not missed. */
                __atomic_store_n(&row_at(t, number)->dead, 0, __ATOMIC_SEQ_CST);
                if (__atomic_load_n(&row_at(t, number)->live, __ATOMIC_SEQ_CST))
                        continue;
                processes_death(t->ps, t->owner[number]);
                row_free(t, number);
        }
        t->ndying = kept;
        return 0;
}

/* ---- CPUs ---- */

void rows_collect_cpus(struct rows *t, struct cputime_totals *totals, uint64_t now_ns, bool own_irq)
{
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++) {
                struct cpu_state *c = &t->shared.cpus[cpu];
                struct cpu_seen *seen = &t->seen[cpu];
                /* before its sums: they are there when this is */
                bool has_switched = __atomic_load_n(&c->expected_task, __ATOMIC_ACQUIRE) != 0;
                int64_t word = __atomic_load_n(&c->idle_word, __ATOMIC_RELAXED);
                int64_t idle = word == IDLE_UNKNOWN ? 0 : word >> 1;
                /* The kernel's sums are since boot, and the first switch may be bringing them in
                 * just now: they are read when they are whole, or not at all. */
                uint64_t irq = own_irq || has_switched
                                       ? __atomic_load_n(&c->irq_ns, __ATOMIC_RELAXED)
                                       : 0;
                uint64_t stolen = has_switched ? __atomic_load_n(&c->stolen_ns, __ATOMIC_RELAXED)
                                               : 0;
                uint64_t nobody = __atomic_load_n(&c->nobody_ns, __ATOMIC_RELAXED);
                uint32_t slot = c->slot < 0 || (unsigned int)c->slot >= t->nslots
                                        ? t->nslots
                                        : (uint32_t)c->slot;

                /* The kernel's sums are since boot: ours begin with the first switch that we see.
                 */
                if (!seen->met && has_switched) {
                        seen->met = true;
                        seen->stolen_ns = stolen;
                        if (!own_irq)
                                seen->irq_ns = irq;
                }
                if (word & 1)
                        idle += (int64_t)(now_ns + (uint64_t)c->clock_offset_ns -
                                          (own_irq ? irq : 0));
                if (seen->online) {
                        /* The clock of a CPU that has long been idle runs ahead of its next reading
                         * by the interrupts meanwhile: wait for it, never count back. */
                        if (idle > seen->idle_ns)
                                totals->idle_ns += (uint64_t)(idle - seen->idle_ns);
                        totals->irq_ns[slot] += irq - seen->irq_ns;
                        totals->stolen_ns += stolen - seen->stolen_ns;
                        /* Somebody's, or idle: no process is charged for it. */
                        totals->nobody_ns[slot] += nobody - seen->nobody_ns;
                        totals->busy_ns[slot] += nobody - seen->nobody_ns;
                }
                if (!seen->online || idle > seen->idle_ns)
                        seen->idle_ns = idle;
                seen->irq_ns = irq;
                seen->stolen_ns = stolen;
                seen->nobody_ns = nobody;
        }
        totals->cpu_wall_ns += t->nonline * (now_ns - t->collected_ns);
        t->collected_ns = now_ns;
}

/* ---- life ---- */

int rows_collect(struct rows *t, struct cputime_totals *totals, struct cputime_losses *losses)
{
        const struct probe_counters *counters = t->shared.counters;
        bool drained;
        int r;

        r = queue_drain(t, totals, losses, &drained);
        if (r >= 0)
                r = orphans_link(t);
        if (r >= 0)
                r = dying_free(t, totals, losses);
        if (r >= 0)
                r = orphans_link(t);
        losses->hidden_switches = __atomic_load_n(&counters->hidden_switches, __ATOMIC_RELAXED);
        losses->merged = __atomic_load_n(&counters->merged, __ATOMIC_RELAXED);
        losses->lost_threads = __atomic_load_n(&counters->lost_threads, __ATOMIC_RELAXED);
        return r;
}

void rows_set_topology(struct rows *t, const struct topology *topology)
{
        t->nonline = 0;
        for (unsigned int cpu = 0; cpu < t->ncpus; cpu++) {
                const struct topology_cpu *place = cpu < topology->ncpus ? &topology->cpus[cpu]
                                                                         : NULL;

                t->shared.cpus[cpu].slot = place && place->slot < (int)t->nslots ? place->slot : -1;
                t->seen[cpu].online = place && place->online;
                t->nonline += t->seen[cpu].online;
        }
}

int rows_init(struct rows *t, const struct rows_memory *shared, uint32_t nrows, unsigned int nslots,
              unsigned int ncpus, struct processes *ps, const char *proc_root)
{
        *t = (struct rows){.shared = *shared,
                           .ps = ps,
                           .proc_root = proc_root,
                           .nslots = nslots,
                           .ncpus = ncpus,
                           .nrows = nrows,
                           .stride = rows_stride(nslots)};
        t->owner = calloc(nrows, sizeof(*t->owner));
        t->renames = calloc(nrows, sizeof(*t->renames));
        t->is_dying = calloc(nrows, sizeof(*t->is_dying));
        t->dying = calloc(nrows, sizeof(*t->dying));
        t->orphans = calloc(nrows, sizeof(*t->orphans));
        t->seen = calloc(ncpus, sizeof(*t->seen));
        if (!t->owner || !t->renames || !t->is_dying || !t->dying || !t->orphans || !t->seen) {
                rows_deinit(t);
                return -ENOMEM;
        }
        for (unsigned int cpu = 0; cpu < ncpus; cpu++)
                shared->cpus[cpu].idle_word = IDLE_UNKNOWN;
        for (uint32_t number = ROW_FIRST; number < nrows; number++)
                row_offer(t, number);
        return 0;
}

void rows_deinit(struct rows *t)
{
        free(t->owner);
        free(t->renames);
        free(t->is_dying);
        free(t->dying);
        free(t->orphans);
        free(t->seen);
        *t = (struct rows){0};
}
