/* SPDX-License-Identifier: MIT */
/*
 * The meter: the one energy source in use, its counters turned into exact energy per tick.
 *
 * Owns the open source.  For each domain it keeps the last counter value, so that a reading gives
 * the microjoules since the reading before: (new - old) modulo (range + 1).  The kernel's true
 * modulus is range + one energy unit (15 to 61 uJ): a wrap can therefore be short by less than
 * 61 uJ, and by no more.
 *
 * A reading that fails is a fault, never a 0: the domain's energy is then marked unknown for the
 * tick, the energy counted meanwhile arrives with the first good reading (it is a counter), and the
 * fault's kind, count and start time can be asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "source.h"

struct meter;

enum fault_kind {
        FAULT_NONE,
        FAULT_READ,      /* the read failed: errno in fault.error */
        FAULT_GARBAGE,   /* not a number, or above the range */
        FAULT_VANISHED,  /* the file or device has gone */
        FAULT_BACKWARDS, /* smaller than before, and too far for a wrap, or no range to wrap at */
        FAULT_STUCK,     /* has not moved for 2 s: a package, or dram or psys though others have */
};

struct fault {
        enum fault_kind kind; /* the present one; FAULT_NONE when the domain is well */
        int error;            /* errno of the present or last one, 0 if none applies */
        uint64_t since_ns;    /* CLOCK_MONOTONIC, of the present fault */
        uint64_t count;       /* faulty readings in all, since the meter was opened */
        enum fault_kind last; /* the last one there was, also after recovery */
        /* READ with EOVERFLOW: the time whose energy is not known; STUCK: how long it has not moved
         */
        uint64_t lasting_ns;
};

/* One line in plain words for the present fault, without the domain's name; "" when there is none.
 */
void fault_text(const struct fault *fault, char *text, size_t size);
/* The kind in one word, for programs: "read", "garbage", "vanished", "backwards", "stuck"; "". */
const char *fault_name(enum fault_kind kind);

struct meter_tick {
        uint64_t now_ns;     /* CLOCK_MONOTONIC at the middle of the readings */
        uint64_t elapsed_ns; /* since the reading before; 0: this is the first */
        size_t ndomains;
        uint64_t energy_uj[SOURCE_MAX_DOMAINS];
        /* energy_uj[i] is meant only where known[i]; covered_ns[i] is the time it covers (longer
         * than elapsed_ns after a fault) */
        bool known[SOURCE_MAX_DOMAINS];
        uint64_t covered_ns[SOURCE_MAX_DOMAINS];
};

/*
 * Open `name` ("auto" or a driver's name).  With a driver's name only that driver is tried.  On
 * failure a negative errno, and `why` (at least 1024 bytes) says what was tried, one clause a
 * driver. With auto, why_passed_over() later tells why better sources were passed over.
 */
int meter_open(struct meter **ret, const char *name, const struct source_config *config,
               const struct topology *topology, char *why, size_t why_size);
void meter_close(struct meter *m);

const char *meter_source_name(const struct meter *m);
bool meter_estimated(const struct meter *m);
bool meter_prompt(const struct meter *m); /* do packages' counters move in every tick? */
const char *meter_why_passed_over(const struct meter *m); /* "" when nothing was */
size_t meter_domains(const struct meter *m, const struct domain **ret);
void meter_fault(const struct meter *m, size_t domain, struct fault *copy);
enum fault_kind meter_fault_kind(const struct meter *m, size_t domain);
double meter_known_base_w(const struct meter *m, size_t domain); /* negative: not known */

/* Seconds in which the highest power seen would take a domain's counter round; INFINITY: not known.
 */
double meter_wrap_s(const struct meter *m, size_t domain);

/* What it takes to go on from a domain's counter after the meter was closed. */
struct meter_counter {
        bool known; /* it was read at least once, and goes on without us */
        uint64_t counter_uj;
        uint64_t highest_uw; /* highest power seen; 0: none yet */
};
void meter_counter(const struct meter *m, size_t domain, struct meter_counter *ret);

/* Read all domains.  No allocation, no logging; faults are found in meter_fault(). */
void meter_read(struct meter *m, const struct source_input *input, struct meter_tick *tick);
