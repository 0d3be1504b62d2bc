/* SPDX-License-Identifier: MIT */
/* Idle, interrupt and stolen time of the CPUs, also of those that come and go. */
#include "rows_stage.h"

static void set_idle(unsigned int cpu, int64_t sum_ns, int64_t since_ns)
{
        player.memory.cpus[cpu].idle_word = since_ns < 0 ? sum_ns * 2 : (sum_ns - since_ns) * 2 + 1;
}

static void idle_time_is_that_of_online_cpus(void **state)
{
        begin(NROWS, NO_PROC);
        rows.collected_ns = 1000;
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
                set_idle(cpu, 0, -1);
        set_idle(0, 0, 1000); /* idle since 1000 */
        set_idle(1, 300, -1); /* was idle for 300, and is not now */
        rows_collect_cpus(&rows, &totals, 2000, false);
        assert_int_equal(totals.idle_ns, 1000 + 300);
        assert_int_equal(totals.cpu_wall_ns, 4 * 1000);

        /* CPU 0 goes offline: its idle loop was its last, and goes on for ever */
        cpus[0].online = false;
        rows_set_topology(&rows, &topology);
        set_idle(1, 300, 2000);
        rows_collect_cpus(&rows, &totals, 3000, false);
        assert_int_equal(totals.idle_ns, 1300 + 1000);
        assert_int_equal(totals.cpu_wall_ns, 4000 + 3 * 1000);

        /* and comes back: from now on */
        cpus[0].online = true;
        rows_set_topology(&rows, &topology);
        rows_collect_cpus(&rows, &totals, 3500, false);
        assert_int_equal(totals.idle_ns, 2300 + 2 * 500);
        assert_int_equal(totals.cpu_wall_ns, 7000 + 4 * 500);
        end();
}

static void a_cpu_that_has_not_switched_yet_is_not_taken_for_idle(void **state)
{
        begin(NROWS, NO_PROC);
        rows_collect_cpus(&rows, &totals, 5000, false);
        assert_int_equal(totals.idle_ns, 0);
        /* found idle by a tick at 6000, and by its first switch to have been so until 8000 */
        set_idle(0, 0, 6000);
        rows_collect_cpus(&rows, &totals, 7000, false);
        assert_int_equal(totals.idle_ns, 1000);
        set_idle(0, 2000, -1);
        rows_collect_cpus(&rows, &totals, 9000, false);
        assert_int_equal(totals.idle_ns, 2000);
        end();
}

static void idle_time_never_counts_back(void **state)
{
        begin(NROWS, NO_PROC);
        set_idle(0, 0, 1000);
        rows_collect_cpus(&rows, &totals, 5000, false);
        assert_int_equal(totals.idle_ns, 4000);
        /* the CPU wakes: 200 of them were interrupts, which its own clock leaves out */
        set_idle(0, 3800, -1);
        rows_collect_cpus(&rows, &totals, 6000, false);
        assert_int_equal(totals.idle_ns, 4000);
        set_idle(0, 3900, -1);
        rows_collect_cpus(&rows, &totals, 7000, false);
        assert_int_equal(totals.idle_ns, 4000);
        set_idle(0, 4100, -1);
        rows_collect_cpus(&rows, &totals, 8000, false);
        assert_int_equal(totals.idle_ns, 4100);
        end();
}

static void the_cpus_own_clock_is_followed(void **state)
{
        begin(NROWS, NO_PROC);
        /* the scheduler's clock is 500 behind, and less by the interrupts we count ourselves */
        player.memory.cpus[0].clock_offset_ns = -500;
        player.memory.cpus[0].irq_ns = 100;
        set_idle(0, 0, 400); /* in that clock: 1000 - 500 - 100 */
        rows_collect_cpus(&rows, &totals, 3000, true);
        assert_int_equal(totals.idle_ns, 2000);
        assert_int_equal(totals.irq_ns[0], 100);
        player.memory.cpus[0].irq_ns = 150;
        rows_collect_cpus(&rows, &totals, 4000, true);
        assert_int_equal(totals.idle_ns, 2950);
        assert_int_equal(totals.irq_ns[0], 150);
        end();
}

static void interrupt_and_stolen_time_are_by_slot_and_online(void **state)
{
        begin(NROWS, NO_PROC);
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
                player.memory.cpus[cpu].expected_task = 1;
                player.memory.cpus[cpu].irq_ns = 7;
                player.memory.cpus[cpu].stolen_ns = 500;
        }
        /* the kernel's sums since boot: not ours */
        rows_collect_cpus(&rows, &totals, 500, false);
        assert_int_equal(totals.irq_ns[0], 0);
        assert_int_equal(totals.stolen_ns, 0);
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++) {
                player.memory.cpus[cpu].irq_ns += 10 << cpu;
                player.memory.cpus[cpu].stolen_ns += 1000;
        }
        rows_collect_cpus(&rows, &totals, 1000, false);
        assert_int_equal(totals.irq_ns[0], 10 + 20);
        assert_int_equal(totals.irq_ns[1], 40);
        assert_int_equal(totals.irq_ns[NSLOTS], 80);
        assert_int_equal(totals.stolen_ns, 4000);
        cpus[2].online = false;
        rows_set_topology(&rows, &topology);
        player.memory.cpus[2].irq_ns += 5;
        player.memory.cpus[2].stolen_ns += 5;
        rows_collect_cpus(&rows, &totals, 2000, false);
        assert_int_equal(totals.irq_ns[1], 40);
        assert_int_equal(totals.stolen_ns, 4000);
        end();
}

/* The first switch writes the sums, and that it was there last: a reader may come in between. */
static void sums_since_boot_are_not_ours_while_the_first_switch_brings_them(void **state)
{
        begin(NROWS, NO_PROC);
        player.memory.cpus[0].irq_ns = 1000000;
        player.memory.cpus[0].stolen_ns = 2000000;
        rows_collect_cpus(&rows, &totals, 500, false);
        assert_int_equal(totals.irq_ns[0], 0);
        assert_int_equal(totals.stolen_ns, 0);
        player.memory.cpus[0].expected_task = 1;
        rows_collect_cpus(&rows, &totals, 600, false);
        assert_int_equal(totals.irq_ns[0], 0);
        assert_int_equal(totals.stolen_ns, 0);
        player.memory.cpus[0].irq_ns += 3;
        player.memory.cpus[0].stolen_ns += 4;
        rows_collect_cpus(&rows, &totals, 700, false);
        assert_int_equal(totals.irq_ns[0], 3);
        assert_int_equal(totals.stolen_ns, 4);
        end();
}

static void hidden_time_is_busy_and_nobodys(void **state)
{
        begin(NROWS, NO_PROC);
        for (unsigned int cpu = 0; cpu < NCPUS; cpu++)
                player.memory.cpus[cpu].nobody_ns = 10 << cpu;
        rows_collect_cpus(&rows, &totals, 1000, false);
        assert_int_equal(totals.nobody_ns[0], 10 + 20);
        assert_int_equal(totals.nobody_ns[1], 40);
        assert_int_equal(totals.nobody_ns[NSLOTS], 80);
        assert_int_equal(totals.busy_ns[0], 10 + 20);
        /* once */
        rows_collect_cpus(&rows, &totals, 2000, false);
        assert_int_equal(totals.nobody_ns[0], 10 + 20);
        /* and of CPUs that are online */
        cpus[1].online = false;
        rows_set_topology(&rows, &topology);
        player.memory.cpus[0].nobody_ns += 1;
        player.memory.cpus[1].nobody_ns += 1000;
        rows_collect_cpus(&rows, &totals, 3000, false);
        assert_int_equal(totals.nobody_ns[0], 10 + 20 + 1);
        cpus[1].online = true;
        rows_set_topology(&rows, &topology);
        player.memory.cpus[1].nobody_ns += 2;
        rows_collect_cpus(&rows, &totals, 4000, false);
        assert_int_equal(totals.nobody_ns[0], 10 + 20 + 1 + 2);
        end();
}

static void cpus_do_not_share_cache_lines(void **state)
{
        assert_int_equal(sizeof(struct cpu_state) % 64, 0);
        /* what a switch touches is in the first */
        assert_true(offsetof(struct cpu_state, expected_task) + 8 <= 64);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(idle_time_is_that_of_online_cpus),
                cmocka_unit_test(a_cpu_that_has_not_switched_yet_is_not_taken_for_idle),
                cmocka_unit_test(idle_time_never_counts_back),
                cmocka_unit_test(the_cpus_own_clock_is_followed),
                cmocka_unit_test(interrupt_and_stolen_time_are_by_slot_and_online),
                cmocka_unit_test(sums_since_boot_are_not_ours_while_the_first_switch_brings_them),
                cmocka_unit_test(hidden_time_is_busy_and_nobodys),
                cmocka_unit_test(cpus_do_not_share_cache_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
