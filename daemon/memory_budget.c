/* SPDX-License-Identifier: MIT */
#include "memory_budget.h"

void memory_budget_bill(struct memory_budget *b, uint64_t now_ns, uint64_t *billed_ns,
                        uint64_t cpu_ns)
{
        /* What was not used is not saved up. */
        if (b->ready_ns < now_ns)
                b->ready_ns = now_ns;
        b->ready_ns += (uint64_t)((double)(cpu_ns - *billed_ns) / b->rate);
        *billed_ns = cpu_ns;
}

bool memory_budget_has_room(const struct memory_budget *b, uint64_t now_ns, uint64_t ahead_ns)
{
        return b->ready_ns < now_ns + ahead_ns;
}

uint64_t memory_budget_start_ns(const struct memory_budget *b, uint64_t due_ns, uint64_t ahead_ns)
{
        return b->ready_ns > due_ns + ahead_ns ? b->ready_ns - ahead_ns : due_ns;
}
