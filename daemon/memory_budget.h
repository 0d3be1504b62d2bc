/* SPDX-License-Identifier: MIT */
/*
 * CPU time that a thread may use, as a part of a core.
 *
 * What a job costs is known when it is done, so it is paid for afterwards: each pushes the next one
 * away.  Over any time T at most rate x (T + ahead) is used, and what the job costs that was begun
 * last.  One that takes a second at half a percent is followed by 200 s of rest.
 *
 * All that the thread uses is billed to one budget or the other: a bill is the thread's CPU clock
 * less what the bills before have told, so that nothing can be left out.
 *
 * Pure: no clock is read here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct memory_budget {
        double rate;       /* of a core */
        uint64_t ready_ns; /* CLOCK_MONOTONIC: when all that was used is paid for */
};

/* `billed_ns` is the thread's CPU clock at the bill before, and is moved on to `cpu_ns`. */
void memory_budget_bill(struct memory_budget *b, uint64_t now_ns, uint64_t *billed_ns,
                        uint64_t cpu_ns);

/* May another job begin, when so much may be used in advance? */
bool memory_budget_has_room(const struct memory_budget *b, uint64_t now_ns, uint64_t ahead_ns);

/* When may a job begin that is due then, when so much may be used in advance? */
uint64_t memory_budget_start_ns(const struct memory_budget *b, uint64_t due_ns, uint64_t ahead_ns);
