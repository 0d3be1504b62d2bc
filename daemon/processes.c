/* SPDX-License-Identifier: MIT */
#include "processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_SIZE_MIN   1024u
#define ENTRIES_MIN     256u
#define HASH_MULTIPLIER 2654435761u /* Knuth, TAOCP 3, 6.4: 2^32 / golden ratio */

/* ---- sets of targets ---- */

static struct target_set *set_ref(struct target_set *set)
{
        if (set)
                set->refs++;
        return set;
}

static void set_unref(struct target_set *set)
{
        if (set && --set->refs == 0)
                free(set);
}

/* A new set: `set` (may be NULL) and `target`. */
static struct target_set *set_with(const struct target_set *set, struct target *target)
{
        unsigned int n = set ? set->ntargets : 0;
        struct target_set *grown = malloc(sizeof(*grown) + (n + 1) * sizeof(grown->targets[0]));

        if (!grown)
                return NULL;
        *grown = (struct target_set){.refs = 1, .ntargets = n + 1};
        if (n)
                memcpy(grown->targets, set->targets, n * sizeof(set->targets[0]));
        grown->targets[n] = target;
        return grown;
}

static bool set_has(const struct target_set *set, const struct target *target)
{
        for (unsigned int i = 0; set && i < set->ntargets; i++)
                if (set->targets[i] == target)
                        return true;
        return false;
}

static void set_count(const struct target_set *set, int processes, int threads)
{
        for (unsigned int i = 0; set && i < set->ntargets; i++)
                target_count(set->targets[i], processes, threads);
}

/* ---- the table ---- */

static size_t hash_of(const struct processes *ps, pid_t pid)
{
        return ((uint32_t)pid * HASH_MULTIPLIER) & (ps->hash_size - 1);
}

static int hash_grow(struct processes *ps)
{
        size_t size = ps->hash_size ? ps->hash_size * 2 : HASH_SIZE_MIN, old_size = ps->hash_size;
        struct process **old = ps->hash, **hash = calloc(size, sizeof(*hash));

        if (!hash)
                return -ENOMEM;
        ps->hash = hash;
        ps->hash_size = size;
        /* Each chain is split in two, in its order: the newest of a pid stays in front. */
        for (size_t i = 0; i < old_size; i++) {
                struct process **ends[2] = {&hash[i], &hash[i + old_size]};

                for (struct process *p = old[i]; p; p = p->next_in_hash) {
                        unsigned int half = hash_of(ps, p->pid) != i;

                        *ends[half] = p;
                        ends[half] = &p->next_in_hash;
                }
                *ends[0] = *ends[1] = NULL;
        }
        free(old);
        return 0;
}

static void hash_remove(struct processes *ps, struct process *p)
{
        struct process **at = &ps->hash[hash_of(ps, p->pid)];

        while (*at != p)
                at = &(*at)->next_in_hash;
        *at = p->next_in_hash;
}

int processes_init(struct processes *ps, unsigned int nslots, unsigned int naccounts)
{
        *ps = (struct processes){.nslots = nslots, .naccounts = naccounts};
        ps->max_entries = ENTRIES_MIN;
        ps->entries = calloc(ps->max_entries, sizeof(ps->entries[0]));
        ps->entry_ns = calloc((size_t)ps->max_entries * (nslots + 1), sizeof(ps->entry_ns[0]));
        ps->exited.cpu_ns = calloc(nslots + 1, sizeof(ps->exited.cpu_ns[0]));
        ps->exited.share_uj = calloc(naccounts + 1, sizeof(ps->exited.share_uj[0]));
        if (!ps->entries || !ps->entry_ns || !ps->exited.cpu_ns || !ps->exited.share_uj ||
            hash_grow(ps) < 0) {
                processes_deinit(ps);
                return -ENOMEM;
        }
        return 0;
}

/* One allocation: the process and, behind it, its arrays. */
static struct process *process_new(const struct processes *ps)
{
        size_t cells = ps->nslots + 1;
        struct process *p;

        p = calloc(1, sizeof(*p) + (2 * cells + 3 * ps->naccounts) * sizeof(uint64_t));
        if (!p)
                return NULL;
        p->cpu_ns = (uint64_t *)(p + 1);
        p->debt_ns = (int64_t *)(p->cpu_ns + cells);
        p->share_uj = p->cpu_ns + 2 * cells;
        p->held_bytes = p->share_uj + ps->naccounts;
        p->given_uj = p->held_bytes + ps->naccounts;
        p->naccounts = ps->naccounts;
        p->entry = PROCESS_NO_ENTRY;
        return p;
}

static void process_free(struct process *p)
{
        set_unref(p->targets);
        free(p);
}

static void entries_clear(struct processes *ps)
{
        for (uint32_t i = 0; i < ps->nentries; i++) {
                ps->entries[i].process->entry = PROCESS_NO_ENTRY;
                set_unref(ps->entries[i].targets);
        }
        ps->nentries = 0;
}

void processes_deinit(struct processes *ps)
{
        entries_clear(ps);
        for (size_t i = 0; i < ps->hash_size; i++) {
                for (struct process *p = ps->hash[i], *next; p; p = next) {
                        next = p->next_in_hash;
                        process_free(p);
                }
        }
        for (struct process *p = ps->graveyard, *next; p; p = next) {
                next = p->next_sibling;
                process_free(p);
        }
        free(ps->hash);
        free(ps->entries);
        free(ps->entry_ns);
        free(ps->exited.cpu_ns);
        free(ps->exited.share_uj);
        *ps = (struct processes){0};
}

/* ---- descent ---- */

static void child_link(struct process *parent, struct process *p)
{
        p->parent = parent;
        if (!parent)
                return;
        p->next_sibling = parent->children;
        if (p->next_sibling)
                p->next_sibling->prev_sibling = p;
        parent->children = p;
}

static void child_unlink(struct process *p)
{
        if (p->prev_sibling)
                p->prev_sibling->next_sibling = p->next_sibling;
        else if (p->parent)
                p->parent->children = p->next_sibling;
        if (p->next_sibling)
                p->next_sibling->prev_sibling = p->prev_sibling;
        p->parent = p->next_sibling = p->prev_sibling = NULL;
}

/* Next process of the subtree below `root`, parents first; NULL after the last. */
static struct process *subtree_next(const struct process *root, struct process *p)
{
        if (p->children)
                return p->children;
        while (p != root && !p->next_sibling)
                p = p->parent;
        return p == root ? NULL : p->next_sibling;
}

int processes_birth(struct processes *ps, struct process **ret, pid_t pid, uint64_t start_ns,
                    const char *comm, bool kernel, struct process *parent)
{
        struct process *p;
        size_t at;

        if (ps->nprocesses >= ps->hash_size) {
                int r = hash_grow(ps);

                if (r < 0)
                        return r;
        }
        p = process_new(ps);
        if (!p)
                return -ENOMEM;
        p->pid = pid;
        p->start_ns = start_ns;
        p->kernel = kernel;
        process_rename(p, comm);
        at = hash_of(ps, pid);
        p->next_in_hash = ps->hash[at];
        ps->hash[at] = p;
        ps->nprocesses++;
        child_link(parent, p);
        if (parent) {
                p->targets = set_ref(parent->targets);
                set_count(p->targets, 1, 0);
        }
        *ret = p;
        return 0;
}

void processes_death(struct processes *ps, struct process *p)
{
        struct process *parent = p->parent, *child;

        while ((child = p->children)) {
                child_unlink(child);
                child_link(parent, child);
        }
        child_unlink(p);
        hash_remove(ps, p);
        ps->nprocesses--;
        p->dead = true;
        process_set_threads(p, 0);
        set_count(p->targets, -1, 0);
        p->next_sibling = ps->graveyard;
        ps->graveyard = p;
}

void process_rename(struct process *p, const char *comm)
{
        size_t n = strnlen(comm, sizeof(p->comm) - 1);

        memcpy(p->comm, comm, n);
        p->comm[n] = '\0';
}

void process_set_threads(struct process *p, unsigned int threads)
{
        if (threads == p->threads)
                return;
        set_count(p->targets, 0, (int)threads - (int)p->threads);
        p->threads = threads;
}

struct process *processes_find(const struct processes *ps, pid_t pid)
{
        for (struct process *p = ps->hash[hash_of(ps, pid)]; p; p = p->next_in_hash)
                if (p->pid == pid)
                        return p; /* the newest of that pid is in front */
        return NULL;
}

void processes_each(const struct processes *ps, void (*f)(const struct process *, void *),
                    void *arg)
{
        for (size_t i = 0; i < ps->hash_size; i++)
                for (const struct process *p = ps->hash[i]; p; p = p->next_in_hash)
                        f(p, arg);
}

void processes_each_mutable(struct processes *ps, void (*f)(struct process *, void *), void *arg)
{
        for (size_t i = 0; i < ps->hash_size; i++)
                for (struct process *p = ps->hash[i]; p; p = p->next_in_hash)
                        f(p, arg);
}

void processes_below(struct process *root, void (*f)(struct process *, void *), void *arg)
{
        for (struct process *p = root; p; p = subtree_next(root, p))
                f(p, arg);
}

/* ---- the present tick ---- */

static int entry_open(struct processes *ps, struct process *p)
{
        if (ps->nentries == ps->max_entries) {
                uint32_t max = ps->max_entries * 2;
                struct entry *entries = reallocarray(ps->entries, max, sizeof(*entries));
                uint64_t *ns;

                if (!entries)
                        return -ENOMEM;
                ps->entries = entries;
                ns = reallocarray(ps->entry_ns, (size_t)max * (ps->nslots + 1), sizeof(*ns));
                if (!ns)
                        return -ENOMEM;
                ps->entry_ns = ns;
                ps->max_entries = max;
        }
        p->entry = ps->nentries++;
        ps->entries[p->entry] = (struct entry){.process = p, .targets = set_ref(p->targets)};
        memset(processes_entry_ns(ps, p->entry), 0, (ps->nslots + 1) * sizeof(uint64_t));
        return 0;
}

int processes_ran(struct processes *ps, struct process *p, unsigned int slot, int64_t ns)
{
        ns += p->debt_ns[slot];
        if (ns <= 0) {
                p->debt_ns[slot] = ns;
                return 0;
        }
        if (p->entry == PROCESS_NO_ENTRY) {
                int r = entry_open(ps, p);

                if (r < 0)
                        return r;
        }
        p->debt_ns[slot] = 0;
        p->cpu_ns[slot] += (uint64_t)ns;
        processes_entry_ns(ps, p->entry)[slot] += (uint64_t)ns;
        return 0;
}

void processes_bury(struct processes *ps)
{
        struct process *p;

        entries_clear(ps);
        while ((p = ps->graveyard)) {
                ps->graveyard = p->next_sibling;
                for (unsigned int i = 0; i <= ps->nslots; i++)
                        ps->exited.cpu_ns[i] += p->cpu_ns[i];
                for (unsigned int i = 0; i < ps->naccounts; i++)
                        ps->exited.share_uj[i] += p->share_uj[i];
                ps->exited.count++;
                process_free(p);
        }
}

/* ---- targets ---- */

static void set_replace(struct process *p, struct target_set *set)
{
        struct target_set *old = p->targets;

        p->targets = set_ref(set);
        p->entry = PROCESS_NO_ENTRY; /* time from now on is for the new set */
        set_unref(old);
}

int processes_follow(struct processes *ps, struct process *root, struct target *target)
{
        struct target_set none = {.refs = 1}, *all_grown = NULL;
        int n = 0, r = 0;

        (void)ps;
        /* First make every set that will be needed, so that running out of memory changes nothing.
         */
        for (struct process *p = root; p; p = subtree_next(root, p)) {
                struct target_set *set = p->targets ? p->targets : &none;

                if (set->grown || set_has(set, target))
                        continue;
                set->grown = set_with(set, target);
                if (!set->grown) {
                        r = -ENOMEM;
                        break;
                }
                set->next_grown = all_grown;
                all_grown = set_ref(set);
        }
        for (struct process *p = root; p && r == 0; p = subtree_next(root, p)) {
                struct target_set *set = p->targets ? p->targets : &none;

                if (!set->grown)
                        continue;
                set_replace(p, set->grown);
                target_count(target, 1, (int)p->threads);
                n++;
        }
        while (all_grown) {
                struct target_set *set = all_grown;

                all_grown = set->next_grown;
                set_unref(set->grown);
                set->grown = set->next_grown = NULL;
                set_unref(set);
        }
        return r < 0 ? r : n;
}

int processes_adopt(struct processes *ps, struct process *p, struct process *parent)
{
        const struct target_set *set = parent->targets;
        int r = 0;

        for (const struct process *above = parent; above; above = above->parent)
                if (above == p)
                        return -ELOOP;
        child_link(parent, p);
        for (unsigned int t = 0; set && t < set->ntargets && r >= 0; t++)
                r = processes_follow(ps, p, set->targets[t]);
        return r < 0 ? r : 0;
}

/* Which targets are struck from the sets: one, or all that a function names. */
struct leaving {
        const struct target *one;
        bool (*those)(const struct target *target);
};

static bool is_leaving(const struct leaving *l, const struct target *target)
{
        return l->those ? l->those(target) : target == l->one;
}

static void set_strike(struct target_set *set, const struct leaving *l)
{
        unsigned int kept = 0;

        for (unsigned int i = 0; i < set->ntargets; i++)
                if (!is_leaving(l, set->targets[i]))
                        set->targets[kept++] = set->targets[i];
        set->ntargets = kept;
}

static void unfollow(struct processes *ps, const struct leaving *l)
{
        /* Count first: striking a set strikes it for all that share it. */
        for (size_t i = 0; i < ps->hash_size; i++)
                for (struct process *p = ps->hash[i]; p; p = p->next_in_hash)
                        for (unsigned int t = 0; p->targets && t < p->targets->ntargets; t++)
                                if (is_leaving(l, p->targets->targets[t]))
                                        target_count(p->targets->targets[t], -1, -(int)p->threads);
        for (size_t i = 0; i < ps->hash_size; i++)
                for (struct process *p = ps->hash[i]; p; p = p->next_in_hash)
                        if (p->targets)
                                set_strike(p->targets, l);
}

void processes_unfollow(struct processes *ps, struct target *target)
{
        unfollow(ps, &(struct leaving){.one = target});
}

void processes_unfollow_those(struct processes *ps, bool (*leaves)(const struct target *target))
{
        unfollow(ps, &(struct leaving){.those = leaves});
}
