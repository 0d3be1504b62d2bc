/* SPDX-License-Identifier: MIT */
/*
 * The memory of every process as it was last found, and which process to look at next.
 *
 * A process of a target is read exactly now and then; in between, its private bytes are taken to
 * become more and less by as much as its resident anonymous bytes do, which is cheap to read.  It
 * is by as much, not in proportion: private are pages of files and hugetlb, too, and they do not
 * grow because a heap does.  Of others that resident size is all there is.  How memory is spread
 * over nodes comes from the last exact reading, else from where the process uses CPU time (memory
 * is by default taken from the node of the CPU that first touches it).
 *
 * Plain data: no clock, no file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A process that exists, as the sampler lists it. */
struct memory_listed {
        pid_t pid;
        uint64_t start_ns;
        bool wanted; /* it belongs to a target: read it exactly */
};

struct memory_known {
        struct memory_listed id;
        uint64_t anonymous_bytes; /* now */
        uint64_t private_bytes;   /* at the exact reading, and what was resident then */
        uint64_t private_at_anonymous_bytes;
        uint64_t exact_ns;  /* CLOCK_MONOTONIC of it; 0: none yet */
        uint64_t failed_ns; /* CLOCK_MONOTONIC of an exact reading that failed; 0: none */
        bool parts_exact;   /* parts are from the exact reading */
        bool gone;          /* it could not be read: it holds nothing any more */
};

struct memory_table {
        struct memory_known *all; /* by pid */
        float *parts;             /* n x naccounts: how it is spread over the accounts' nodes */
        size_t n, max;
        unsigned int naccounts;
};

void memory_table_init(struct memory_table *t, unsigned int naccounts);
void memory_table_deinit(struct memory_table *t);

/*
 * These exist now: who is new is taken in, who has gone is forgotten.  `list` is put in order of
 * pid, and cpu_parts (n x naccounts, of the list as it came) is taken for whoever has no parts of
 * an exact reading.  -ENOMEM: nothing has changed.
 */
int memory_table_update(struct memory_table *t, struct memory_listed *list, size_t n,
                        const float *cpu_parts);

/*
 * An exact reading: private bytes, those of them by account whose node is known, and how many these
 * are in all, which may be more: those on nodes that no dram domain measures.  0: it is not known
 * how it is spread.
 */
void memory_table_exact(struct memory_table *t, size_t i, uint64_t now_ns, uint64_t private_bytes,
                        const uint64_t *by_account, uint64_t known_bytes);

/* Private bytes now. */
uint64_t memory_table_bytes(const struct memory_known *k);

/*
 * The process to read exactly, in the round that began at `round_ns`: that with the oldest reading,
 * among those of targets whose reading is older than `age_ns` or says little by now (they hold more
 * than twice as much, or have given back half of their own memory, as at exec); of those without
 * any reading the largest.  t->n: none.
 */
size_t memory_table_next(const struct memory_table *t, uint64_t round_ns, uint64_t age_ns);
