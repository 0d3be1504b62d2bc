/* SPDX-License-Identifier: MIT */
#include "memory_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128_t;

int memory_split_init(struct memory_split *m, unsigned int naccounts)
{
        *m = (struct memory_split){.n = naccounts};
        m->epochs = calloc(naccounts + 1, sizeof(m->epochs[0]));
        return m->epochs ? 0 : -ENOMEM;
}

void memory_split_deinit(struct memory_split *m)
{
        free(m->epochs);
        *m = (struct memory_split){0};
}

/* floor(energy x bytes / used) */
static uint64_t part_uj(const struct memory_epoch *e, uint64_t bytes)
{
        return e->used_bytes ? (uint64_t)((uint128_t)e->energy_uj * bytes / e->used_bytes) : 0;
}

uint64_t memory_split_tick(struct memory_split *m, unsigned int account, uint64_t dynamic_uj)
{
        struct memory_epoch *e = &m->epochs[account];
        uint64_t unowned_uj;

        e->energy_uj += dynamic_uj;
        /* Never less than before: the owned part grows by at most what has come. */
        unowned_uj = e->energy_uj - part_uj(e, e->held_bytes) - e->unowned_uj;
        e->unowned_uj += unowned_uj;
        return unowned_uj;
}

void memory_split_settle_process(struct memory_split *m, struct process *p)
{
        for (unsigned int i = 0; i < m->n; i++) {
                uint64_t due_uj;

                if (!p->held_bytes[i])
                        continue;
                due_uj = part_uj(&m->epochs[i], p->held_bytes[i]) - p->given_uj[i];
                p->given_uj[i] += due_uj;
                p->share_uj[i] += due_uj;
                m->epochs[i].given_uj += due_uj;
        }
}

void memory_split_settle_target(struct memory_split *m, struct target *t, uint64_t now_ns)
{
        double elapsed_ns = (double)(now_ns - t->held_since_ns);

        for (unsigned int i = 0; i < m->n; i++) {
                const struct memory_epoch *e = &m->epochs[i];
                struct held *h = &t->held[i];
                uint128_t due;

                if (!e->used_bytes)
                        continue;
                due = (uint128_t)(e->energy_uj - h->settled_uj) * h->bytes + h->remainder;
                t->used.share_uj[i] += (uint64_t)(due / e->used_bytes);
                h->remainder = (uint64_t)(due % e->used_bytes);
                h->settled_uj = e->energy_uj;
                h->credit_ns += (double)h->bytes / (double)e->used_bytes * elapsed_ns;
                h->byte_ns += (double)h->bytes * elapsed_ns;
        }
        t->held_since_ns = now_ns;
}

void memory_split_join(struct memory_split *m, const struct process *p, struct target *t,
                       uint64_t now_ns)
{
        memory_split_settle_target(m, t, now_ns);
        for (unsigned int i = 0; i < m->n; i++)
                t->held[i].bytes += p->held_bytes[i];
}

void memory_split_leave(struct memory_split *m, struct process *p, uint64_t now_ns)
{
        memory_split_settle_process(m, p);
        for (unsigned int i = 0; p->targets && i < p->targets->ntargets; i++) {
                struct target *t = p->targets->targets[i];

                memory_split_settle_target(m, t, now_ns);
                for (unsigned int a = 0; a < m->n; a++)
                        t->held[a].bytes -= p->held_bytes[a];
        }
        memset(p->held_bytes, 0, m->n * sizeof(p->held_bytes[0]));
}

void memory_split_leave_dead(struct memory_split *m, struct processes *ps, uint64_t now_ns)
{
        for (struct process *p = ps->graveyard; p; p = p->next_sibling)
                memory_split_leave(m, p, now_ns);
}

static void settle_one(struct process *p, void *arg)
{
        memory_split_settle_process(arg, p);
        memset(p->given_uj, 0, p->naccounts * sizeof(p->given_uj[0]));
}

void memory_split_settle(struct memory_split *m, struct processes *ps, struct target *targets,
                         uint64_t now_ns, uint64_t *rest_uj)
{
        /* A look between two ticks can have found dead ones that no tick has seen yet. */
        memory_split_leave_dead(m, ps, now_ns);
        processes_each_mutable(ps, settle_one, m);
        for (struct target *t = targets; t; t = t->next) {
                memory_split_settle_target(m, t, now_ns);
                for (unsigned int i = 0; i < m->n; i++)
                        t->held[i].settled_uj = 0;
        }
        for (unsigned int i = 0; i < m->n; i++) {
                struct memory_epoch *e = &m->epochs[i];

                rest_uj[i] = e->energy_uj - e->unowned_uj - e->given_uj;
                e->energy_uj = e->unowned_uj = e->given_uj = 0;
        }
}

/* ---- a new epoch ---- */

static void hold_nothing(struct process *p, void *arg)
{
        (void)arg;
        memset(p->held_bytes, 0, p->naccounts * sizeof(p->held_bytes[0]));
}

/* A process's holding counts for its targets, and its age for theirs. */
static void count_for_targets(const struct memory_split *m, const struct process *p,
                              const struct memory_holding *holding, bool known)
{
        uint64_t bytes = 0;

        for (unsigned int a = 0; a < m->n; a++)
                bytes += p->held_bytes[a];
        for (unsigned int i = 0; p->targets && i < p->targets->ntargets; i++) {
                struct target *t = p->targets->targets[i];

                if (known)
                        t->held_known = t->held_lately = t->held_once = true;
                for (unsigned int a = 0; a < m->n; a++)
                        t->held[a].bytes += p->held_bytes[a];
                t->held_basis_next.bytes += bytes;
                if (!holding->exact_ns || !bytes)
                        continue;
                t->held_basis_next.exact_bytes += bytes;
                if (holding->exact_ns < t->held_basis_next.exact_ns)
                        t->held_basis_next.exact_ns = holding->exact_ns;
        }
}

void memory_split_begin(struct memory_split *m, struct processes *ps, struct target *targets,
                        const struct memory_holdings *holdings, uint64_t now_ns)
{
        processes_each_mutable(ps, hold_nothing, NULL);
        for (struct target *t = targets; t; t = t->next) {
                for (unsigned int a = 0; a < m->n; a++)
                        t->held[a].bytes = t->held[a].remainder = 0;
                t->held_basis_next = (struct held_basis){.exact_ns = UINT64_MAX};
                t->held_since_ns = now_ns;
                /* One that began after the measurement did is not known yet; of one that is just
                 * going, what was said before says more. */
                t->held_known &= holdings->known && t->nprocesses == 0;
        }
        for (unsigned int a = 0; a < m->n; a++)
                m->epochs[a] = (struct memory_epoch){.used_bytes = holdings->used_bytes[a]};
        for (size_t i = 0; i < holdings->n; i++) {
                const struct memory_holding *holding = &holdings->all[i];
                struct process *p = processes_find(ps, holding->pid);

                if (!p || p->start_ns != holding->start_ns)
                        continue; /* gone meanwhile */
                for (unsigned int a = 0; a < m->n; a++) {
                        p->held_bytes[a] = holdings->bytes[i * m->n + a];
                        m->epochs[a].held_bytes += p->held_bytes[a];
                }
                count_for_targets(m, p, holding, holdings->known);
        }
        /* One that is just going holds nothing: what was said of it before says more. */
        for (struct target *t = targets; t; t = t->next)
                if (t->held_basis_next.bytes)
                        t->held_basis = t->held_basis_next;
        /* Processes and nodes are not read at one instant: held can be more than in use. */
        for (unsigned int a = 0; a < m->n; a++) {
                struct memory_epoch *e = &m->epochs[a];

                if (e->used_bytes && e->held_bytes > e->used_bytes)
                        e->used_bytes = e->held_bytes;
        }
}
