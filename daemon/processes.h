/* SPDX-License-Identifier: MIT */
/*
 * The processes of the machine: who they are, who made whom, what CPU time they used in the present
 * tick and what they have used in all.
 *
 * Owns every struct process.  A process is (pid, start time).  The CPU accounting (cputime.h) tells
 * births, deaths and CPU time; the attribution (sampler.h) adds energy; both run in one thread.
 *
 * Descent.  A child is under its nearest living ancestor: when a process dies, its children go to
 * the process that made it.  The kernel hands orphans to init or to a subreaper; we do not, so a
 * daemon that forked twice is still found below the shell that started it.
 *
 * Targets.  Every process points to the set of the targets it counts for.  A child is born into its
 * parent's set.  Sets are shared; a target that takes in a subtree replaces the sets of that
 * subtree, and one that ends is struck from every set.
 *
 * Entries.  CPU time of the present tick is held in entries, one per process that ran and per set
 * it ran for: a process that becomes part of a target in mid-tick has two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_COMM_MAX 16

struct target;

struct target_set {
        unsigned int refs;
        unsigned int ntargets;
        /* scratch of processes_follow(): this set and the new target, and a list of those that have
         * one */
        struct target_set *grown, *next_grown;
        struct target *targets[];
};

struct process {
        pid_t pid;
        uint64_t start_ns; /* CLOCK_BOOTTIME */
        char comm[PROCESS_COMM_MAX];
        bool kernel; /* a kernel thread */
        bool dead;   /* its last thread has gone; freed by processes_bury() */
        unsigned int threads;
        struct process *parent;   /* nearest living ancestor, or NULL */
        struct process *children; /* first of them */
        struct process *next_sibling, *prev_sibling;
        struct process *next_in_hash;
        struct target_set *targets; /* or NULL; owns one reference */
        uint32_t entry;     /* index of its open entry in the present tick, or PROCESS_NO_ENTRY */
        uint32_t naccounts; /* length of the arrays by account */
        uint64_t *cpu_ns;   /* in all, by slot (nslots + 1, the last: place not known) */
        uint64_t *share_uj; /* in all, by account (naccounts) */
        int64_t *debt_ns;   /* by slot: estimated ahead of the scheduler, to be taken off (<= 0) */
        /* memory_split.h's, by account: memory held, and what it has been given for that */
        uint64_t *held_bytes, *given_uj;
};

#define PROCESS_NO_ENTRY UINT32_MAX

struct entry {
        struct process *process;
        struct target_set *targets; /* or NULL; owns one reference */
};

/* What the processes that have gone used. */
struct processes_exited {
        uint64_t count;
        uint64_t *cpu_ns;   /* by slot (nslots + 1) */
        uint64_t *share_uj; /* by account */
};

struct processes {
        unsigned int nslots;
        unsigned int naccounts; /* energy accounts a process has: one per attributed domain */
        size_t nprocesses;      /* living */
        struct process **hash;
        size_t hash_size;
        struct process *graveyard; /* dead ones, by next_sibling */
        struct entry *entries;
        uint64_t *entry_ns; /* nentries x (nslots + 1) */
        uint32_t nentries, max_entries;
        struct processes_exited exited;
};

int processes_init(struct processes *ps, unsigned int nslots, unsigned int naccounts);
void processes_deinit(struct processes *ps);

/* A process is born of `parent` (NULL: not known).  -ENOMEM. */
int processes_birth(struct processes *ps, struct process **ret, pid_t pid, uint64_t start_ns,
                    const char *comm, bool kernel, struct process *parent);
/*
 * `p`, born just now of nobody we knew, is found to be a child of `parent`: it and its descendants
 * count for the parent's targets from here on.  0, -ENOMEM, or -ELOOP: it is above `parent`.
 */
int processes_adopt(struct processes *ps, struct process *p, struct process *parent);
/* Its last thread has gone.  It stays, for the present tick's entries, until processes_bury(). */
void processes_death(struct processes *ps, struct process *p);
void process_rename(struct process *p, const char *comm);
void process_set_threads(struct process *p, unsigned int threads);

/* CPU time of the present tick.  May be negative, see probe.h: it is then held against the next. */
int processes_ran(struct processes *ps, struct process *p, unsigned int slot, int64_t ns);

/* The living process with that pid, or NULL. */
struct process *processes_find(const struct processes *ps, pid_t pid);

static inline uint64_t *processes_entry_ns(const struct processes *ps, uint32_t entry)
{
        return ps->entry_ns + (size_t)entry * (ps->nslots + 1);
}

/* The tick has been attributed: forget its entries, fold the dead into `exited` and free them. */
void processes_bury(struct processes *ps);

/*
 * From now on `root` and all its living descendants, and those that will be born of them, count for
 * `target`.  CPU time of the present tick before this does not.  Number of processes, or -ENOMEM
 * (then nothing has changed).
 */
int processes_follow(struct processes *ps, struct process *root, struct target *target);
/* No process counts for `target` any more.  Only between ticks, when there are no entries. */
void processes_unfollow(struct processes *ps, struct target *target);
/* The same for every target that `leaves`, in one pass over the processes. */
void processes_unfollow_those(struct processes *ps, bool (*leaves)(const struct target *target));

/* Every living process, in no order. */
void processes_each(const struct processes *ps, void (*f)(const struct process *, void *),
                    void *arg);

void processes_each_mutable(struct processes *ps, void (*f)(struct process *, void *), void *arg);
/* The same, of `root` and its living descendants, parents first. */
void processes_below(struct process *root, void (*f)(struct process *, void *), void *arg);

/* Told when the number of processes or threads of a target changes. */
void target_count(struct target *target, int processes, int threads);
