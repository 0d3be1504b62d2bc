/* SPDX-License-Identifier: MIT */
/*
 * The additive split of dram energy: by memory held, at every tick.
 *
 * Memory is measured about once a second (memory.h), and from one measurement to the next every
 * process holds what was found: an epoch.  In an epoch the split is the same at each tick, so it
 * need not be made at each tick, nor for each process: a process's part of the epoch so far is
 *
 *     floor(energy of the epoch x bytes held / bytes in use)
 *
 * whenever somebody asks, and a tick costs the same however many processes there are.  Bytes in use
 * that no process holds (page cache, the kernel, memory that is shared) are nobody's: that energy
 * is unattributed, and so is what rounding leaves (less than 1 uJ a process and epoch) and what
 * would be the part of a process that has gone, until the epoch is over.  Parts and rest add up to
 * the energy, exactly, after memory_split_settle().
 *
 * Works on the ledger's processes and targets, in the sampler's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "processes.h"
#include "target.h"

/* Of one account.  Energy since the epoch began. */
struct memory_epoch {
        uint64_t used_bytes; /* in use behind the account; 0: not known */
        uint64_t held_bytes; /* by the processes together, at most used_bytes */
        uint64_t energy_uj;
        uint64_t unowned_uj; /* of it told as nobody's, by memory_split_tick() */
        uint64_t given_uj;   /* of it given to processes */
};

struct memory_split {
        unsigned int n;              /* accounts */
        struct memory_epoch *epochs; /* by account; those of packages stay 0 */
};

/* What one process holds, as measured. */
struct memory_holding {
        pid_t pid;
        uint64_t start_ns;
        uint64_t exact_ns; /* CLOCK_MONOTONIC of the exact reading it rests on; 0: resident size */
};

/* A measurement of all processes. */
struct memory_holdings {
        struct memory_holding *all;
        size_t n, max;
        unsigned int naccounts;
        uint64_t *bytes;      /* n x naccounts */
        uint64_t *used_bytes; /* by account; 0 for packages */
        bool known;           /* used_bytes of every dram account is */
};

int memory_split_init(struct memory_split *m, unsigned int naccounts);
void memory_split_deinit(struct memory_split *m);

/* Dynamic energy of a tick on one account.  Returns the part that is nobody's. */
uint64_t memory_split_tick(struct memory_split *m, unsigned int account, uint64_t dynamic_uj);

/* Give a process its part of the epoch so far. */
void memory_split_settle_process(struct memory_split *m, struct process *p);
/* Give a target its part up to now. */
void memory_split_settle_target(struct memory_split *m, struct target *t, uint64_t now_ns);

/* A process counts for a target from now on; or has died, and holds nothing any more. */
void memory_split_join(struct memory_split *m, const struct process *p, struct target *t,
                       uint64_t now_ns);
void memory_split_leave(struct memory_split *m, struct process *p, uint64_t now_ns);
/* The same of all that are dead and not buried; doing it again does nothing. */
void memory_split_leave_dead(struct memory_split *m, struct processes *ps, uint64_t now_ns);

/*
 * Give everybody their part: all living processes and the targets.  rest_uj (by account): what is
 * nobody's beyond what memory_split_tick() has returned.
 */
void memory_split_settle(struct memory_split *m, struct processes *ps, struct target *targets,
                         uint64_t now_ns, uint64_t *rest_uj);

/* A new epoch begins, with this measurement; the old one must have been settled at this moment. */
void memory_split_begin(struct memory_split *m, struct processes *ps, struct target *targets,
                        const struct memory_holdings *holdings, uint64_t now_ns);
