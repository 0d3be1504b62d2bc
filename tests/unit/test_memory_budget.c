/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memory_budget.h"
#include "random.h"

#define SECOND   UINT64_C(1000000000)
#define RATE     0.005
#define AHEAD_NS SECOND
#define LARGE_NS (3 * SECOND / 2) /* a reading of 100 GB, say */

static void a_job_that_costs_too_much_is_paid_back(void **state)
{
        struct memory_budget b = {.rate = RATE};
        uint64_t billed_ns = 0, now_ns = 100 * SECOND,
                 paid_ns = now_ns + (uint64_t)(1 / RATE) * SECOND;

        (void)state;
        assert_true(memory_budget_has_room(&b, now_ns, AHEAD_NS));
        memory_budget_bill(&b, now_ns, &billed_ns, SECOND);
        assert_int_equal(billed_ns, SECOND);
        assert_false(memory_budget_has_room(&b, now_ns + 1, AHEAD_NS));
        assert_false(memory_budget_has_room(&b, paid_ns - AHEAD_NS, AHEAD_NS));
        assert_true(memory_budget_has_room(&b, paid_ns - AHEAD_NS + 1, AHEAD_NS));
}

static void what_was_not_used_is_not_saved_up(void **state)
{
        struct memory_budget b = {.rate = RATE};
        uint64_t billed_ns = 0, now_ns = 1000 * SECOND;

        (void)state;
        memory_budget_bill(&b, SECOND, &billed_ns, 1000);
        memory_budget_bill(&b, now_ns, &billed_ns, 1000 + SECOND / 100); /* two seconds' worth */
        assert_false(memory_budget_has_room(&b, now_ns, AHEAD_NS));
}

/* Who is in a hurry begins before all is paid for, and what is not due does not begin. */
static void a_job_can_begin_ahead_of_its_budget(void **state)
{
        struct memory_budget b = {.rate = RATE};
        uint64_t billed_ns = 0;

        (void)state;
        assert_int_equal(memory_budget_start_ns(&b, 2 * SECOND, 0), 2 * SECOND);
        memory_budget_bill(&b, SECOND, &billed_ns, (uint64_t)(RATE * 5 * SECOND));
        assert_int_equal(memory_budget_start_ns(&b, 2 * SECOND, 0), 6 * SECOND);
        assert_int_equal(memory_budget_start_ns(&b, 2 * SECOND, SECOND), 5 * SECOND);
        assert_int_equal(memory_budget_start_ns(&b, 2 * SECOND, 9 * SECOND), 2 * SECOND);
        assert_int_equal(memory_budget_start_ns(&b, 7 * SECOND, SECOND), 7 * SECOND);
}

/* A thread that does what it may, now this and now that, whatever it costs: of all its time, and
 * from any second on, no more than both budgets together. */
static void no_time_is_used_beyond_the_budgets(void **state)
{
        struct memory_budget of[2] = {{.rate = RATE}, {.rate = RATE}};
        uint64_t seed = RANDOM_SEED, now_ns = SECOND, cpu_ns = 0, billed_ns = 0;
        uint64_t since_ns = 0, since_cpu_ns = 0, begun = 0;

        (void)state;
        while (now_ns < 20000 * SECOND) {
                unsigned int which = (unsigned int)random_below(&seed, 2);
                uint64_t job_ns = random_below(&seed, 200) ? random_below(&seed, SECOND / 200)
                                                           : LARGE_NS;

                now_ns += random_below(&seed, SECOND / 5);
                if (!memory_budget_has_room(&of[which], now_ns, AHEAD_NS))
                        continue;
                if (random_below(&seed, 50) == 0) { /* from now on */
                        since_ns = now_ns;
                        since_cpu_ns = cpu_ns;
                }
                cpu_ns += job_ns; /* looking for the job, and the job: both */
                memory_budget_bill(&of[which], now_ns, &billed_ns, cpu_ns);
                begun++;
                if (since_ns)
                        assert_true((double)(cpu_ns - since_cpu_ns) <=
                                    2 * RATE * (double)(now_ns - since_ns + AHEAD_NS) +
                                            2 * (double)LARGE_NS);
        }
        assert_true(begun > 10000);
        /* and it is used: a budget that gives nothing would be kept, too */
        assert_true((double)cpu_ns > 1.5 * RATE * (double)now_ns);
        assert_true((double)cpu_ns < 2 * RATE * (double)now_ns + 3 * (double)LARGE_NS);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_job_that_costs_too_much_is_paid_back),
                cmocka_unit_test(what_was_not_used_is_not_saved_up),
                cmocka_unit_test(a_job_can_begin_ahead_of_its_budget),
                cmocka_unit_test(no_time_is_used_beyond_the_budgets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
