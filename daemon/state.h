/* SPDX-License-Identifier: MIT */
/*
 * Totals that outlive the daemon: energy of every domain by name, and CPU time, since they were
 * first counted; with what it takes to go on from there, the counters as they stood.  A pure value:
 * state_file.h keeps it, keeper.h brings it up to date.
 *
 * As text it is one header line, "energat-state VERSION CRC32 LENGTH", and LENGTH bytes of JSON
 * that the checksum is of.  Sums are integers: microjoules and nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source.h"

#define STATE_MAX_DOMAINS 256          /* of this meter and of all before it */
#define STATE_MAX_BYTES   (512 * 1024) /* of a file: twice what that many domains need */
#define STATE_BOOT_ID_MAX 40
#define STATE_SOURCE_MAX  16

struct state_domain {
        char label[DOMAIN_NAME_MAX];
        enum domain_kind kind;
        uint64_t energy_uj;
        uint64_t estimated_uj;    /* part of it that no meter measured */
        uint64_t static_uj;       /* parts of it, of packages and dram; the rest are shares */
        uint64_t unattributed_uj; /* the dynamic part of gap_uj included */
        uint64_t gap_uj;          /* part of it that was used while no daemon ran */
        /* the counter, to go on from; source "": there is none that goes on without the daemon */
        char source[STATE_SOURCE_MAX];
        uint64_t counter_uj, range_uj;
        uint64_t highest_uw; /* highest power seen; 0: not known */
        uint64_t base_uw;
};

struct state {
        char boot_id[STATE_BOOT_ID_MAX];
        uint64_t boottime_ns;   /* CLOCK_BOOTTIME of the counters */
        uint64_t saved_s;       /* the same in seconds since 1970 */
        uint64_t since_s;       /* when the totals began, seconds since 1970 */
        uint64_t starts, boots; /* of the daemon and of the machine since */
        uint64_t gap_ns;        /* time without a daemon, of the same boot */
        uint64_t missing_ns;    /* part of it whose energy is not known */
        uint64_t busy_ns, nobody_ns, idle_ns, irq_ns, stolen_ns, lost_ns, wall_ns;
        size_t ndomains;
        struct state_domain domains[STATE_MAX_DOMAINS];
};

/* 0 or -ENOMEM; -ERANGE: a sum is beyond what JSON can hold.  Free *ret with free(). */
int state_encode(const struct state *state, char **ret, size_t *length);
/* 0, -ENOMEM, or -EBADMSG and `why` says what is wrong with it, as a clause. */
int state_decode(struct state *state, const char *text, size_t length, char *why, size_t why_size);

/* The domain of that name, or NULL. */
struct state_domain *state_find(struct state *state, const char *label);
/* The same, a new one where there is none; NULL: no place is left. */
struct state_domain *state_domain(struct state *state, const char *label, enum domain_kind kind);
