/* SPDX-License-Identifier: MIT */
/*
 * The daemon's half of the probe's tables: recorded events (see rows_stage.h), what the probe may
 * be in the middle of when it is read, and row numbers that are used again.
 */
#include "rows_stage.h"
#include "tree.h"

static void times_are_read_once_and_in_their_place(void **state)
{
        play_alone(NROWS, "fork 0 10 sh\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "run 10 0 500\n"
                          "run 10 1 30\n"
                          "run 10 2 7\n"
                          "tick\n"
                          "= 10 sh <0 x1 530 7 0\n"
                          "tick\n"
                          "= 10 sh <0 x1 530 7 0\n"
                          "run 10 2 1\n"
                          "tick\n"
                          "= 10 sh <0 x1 530 8 0\n"
                          "? busy 538\n");
}

static void a_life_within_one_tick_counts(void **state)
{
        play_alone(NROWS, "fork 0 10 make\n"
                          "fork 10 11 cc\n"
                          "run 11 0 900\n"
                          "exit 11\n"
                          "tick\n"
                          "= 10 make <0 x1 0 0 0\n"
                          "? exited 1\n"
                          "? exited_ns 900\n"
                          "? free 61\n"
                          "exit 10\n"
                          "tick\n"
                          "? exited 2\n"
                          "? free 62\n");
}

static void births_come_before_deaths(void **state)
{
        /* a daemon that forks twice within a tick; those in between are gone when it is read */
        play_alone(NROWS, "fork 0 10 sh\n"
                          "fork 10 11 between\n"
                          "fork 11 12 between\n"
                          "fork 12 13 server\n"
                          "exit 12\n"
                          "exit 11\n"
                          "run 13 0 5\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "= 13 server <10 x1 5 0 0\n"
                          "exit 10\n"
                          "run 13 0 5\n"
                          "tick\n"
                          "= 13 server <0 x1 10 0 0\n"
                          "? exited 3\n");
}

static void exec_renames_and_does_not_restart_the_count(void **state)
{
        play_alone(NROWS, "fork 0 10 sh\n"
                          "fork 10 11 sh\n"
                          "run 11 0 100\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "= 11 sh <10 x1 100 0 0\n"
                          "rename 11 bench\n"
                          "run 11 2 20\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "= 11 bench <10 x1 100 20 0\n"
                          /* a name of the kernel's full length, and a shorter one again */
                          "rename 11 fifteen-letters\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "= 11 fifteen-letters <10 x1 100 20 0\n"
                          "rename 11 x\n"
                          "tick\n"
                          "= 10 sh <0 x1 0 0 0\n"
                          "= 11 x <10 x1 100 20 0\n");
}

static void a_process_lives_as_long_as_its_last_thread(void **state)
{
        play_alone(NROWS, "fork 0 10 java\n"
                          "thread 10\n"
                          "thread 10\n"
                          "run 10 0 1\n"
                          "tick\n"
                          "= 10 java <0 x3 1 0 0\n"
                          "exit 10\n"
                          "run 10 2 10\n"
                          "exit 10\n"
                          "tick\n"
                          "= 10 java <0 x1 1 10 0\n"
                          "run 10 0 100\n"
                          "exit 10\n"
                          "tick\n"
                          "? exited_ns 111\n"
                          "? free 62\n");
}

static void an_estimate_that_was_too_high_is_taken_back(void **state)
{
        play_alone(NROWS, "fork 0 10 spin\n"
                          "estimate 10 0 100\n"
                          "tick\n"
                          "= 10 spin <0 x1 100 0 0\n"
                          /* the switch says: it was 70 */
                          "run 10 0 70\n"
                          "tick\n"
                          "= 10 spin <0 x1 100 0 0\n"
                          "? busy 100\n"
                          "run 10 0 50\n"
                          "tick\n"
                          "= 10 spin <0 x1 120 0 0\n"
                          "? busy 120\n"
                          /* one that is older than what was charged changes nothing */
                          "estimate 10 0 -5\n"
                          "tick\n"
                          "= 10 spin <0 x1 120 0 0\n");
}

static void a_full_table_counts_children_in_their_parent(void **state)
{
        play_alone(4, "fork 0 10 sh\n"
                      "fork 10 11 a\n"
                      "fork 10 12 b\n" /* no row is left */
                      "fork 12 13 c\n"
                      "run 10 0 1\n"
                      "run 11 0 10\n"
                      "run 12 0 100\n"
                      "run 13 2 1000\n"
                      "tick\n"
                      "= 10 sh <0 x3 101 1000 0\n"
                      "= 11 a <10 x1 10 0 0\n"
                      "? merged 2\n"
                      "? free 0\n"
                      /* such a child renames nobody */
                      "rename 12 impostor\n"
                      /* its row stays until those counted in it have gone */
                      "run 10 0 2\n"
                      "exit 10\n"
                      "tick\n"
                      "= 10 sh <0 x2 103 1000 0\n"
                      "= 11 a <10 x1 10 0 0\n"
                      "run 13 0 5\n"
                      "exit 12\n"
                      "exit 13\n"
                      "tick\n"
                      "= 11 a <0 x1 10 0 0\n"
                      "? exited_ns 1108\n"
                      "? free 1\n"
                      /* and then there is room again */
                      "fork 11 14 d\n"
                      "tick\n"
                      "= 11 a <0 x1 10 0 0\n"
                      "= 14 d <11 x1 0 0 0\n"
                      "? merged 2\n");
}

static void time_without_a_row_is_counted_as_lost(void **state)
{
        play_alone(4, "fork 0 10 a\n"
                      "fork 0 11 b\n"
                      "fork 0 12 c\n" /* neither a row nor a parent's */
                      "run 10 0 1\n"
                      "run 12 0 100\n"
                      "run 12 2 1000\n"
                      "tick\n"
                      "= 10 a <0 x1 1 0 0\n"
                      "= 11 b <0 x1 0 0 0\n"
                      "? lost_ns 1100\n"
                      "? busy 1\n"
                      "? merged 1\n"
                      "run 12 0 5\n"
                      "exit 12\n"
                      "tick\n"
                      "= 10 a <0 x1 1 0 0\n"
                      "= 11 b <0 x1 0 0 0\n"
                      "? lost_ns 1105\n"
                      "? free 0\n");
        /* an estimate that was too high is held against what comes next, here too */
        play_alone(4, "fork 0 10 a\n"
                      "fork 0 11 b\n"
                      "fork 0 12 c\n"
                      "estimate 12 0 100\n"
                      "tick\n"
                      "= 10 a <0 x1 0 0 0\n"
                      "= 11 b <0 x1 0 0 0\n"
                      "? lost_ns 100\n"
                      "run 12 0 70\n"
                      "tick\n"
                      "= 10 a <0 x1 0 0 0\n"
                      "= 11 b <0 x1 0 0 0\n"
                      "? lost_ns 100\n"
                      "run 12 0 40\n"
                      "tick\n"
                      "= 10 a <0 x1 0 0 0\n"
                      "= 11 b <0 x1 0 0 0\n"
                      "? lost_ns 110\n");
}

static void time_where_no_slot_is_known_is_counted_apart(void **state)
{
        play_alone(NROWS, "fork 0 10 sh\n"
                          "run 10 3 40\n"
                          "run 10 0 2\n"
                          "tick\n"
                          "= 10 sh <0 x1 2 0 40\n"
                          "? unplaced_ns 40\n"
                          "? busy 42\n"
                          "estimate 10 3 100\n"
                          "tick\n"
                          "= 10 sh <0 x1 2 0 140\n"
                          "run 10 3 70\n"
                          "tick\n"
                          "= 10 sh <0 x1 2 0 140\n"
                          "? unplaced_ns 140\n");
}

static void a_row_number_serves_one_owner_after_another(void **state)
{
        begin(4, NO_PROC);
        for (unsigned int pid = 10; pid < 100; pid++) {
                char recording[256];

                snprintf(recording, sizeof(recording),
                         "fork 0 %u sh\n"
                         "fork %u 1 child\n"
                         "rename %u n%u\n"
                         "run %u 0 %u\n"
                         "tick\n"
                         "= 1 child <%u x1 0 0 0\n"
                         "= %u n%u <0 x1 %u 0 0\n"
                         "exit %u\n"
                         "exit 1\n"
                         "tick\n"
                         "? free 2\n",
                         pid, pid, pid, pid, pid, pid, pid, pid, pid, pid, pid);
                play(recording);
        }
        assert_int_equal(ps.exited.count, 2 * 90);
        end();
}

/* ---- what the other side may be in the middle of ---- */

static void a_place_that_is_not_written_yet_stops_the_queue_and_nothing_is_lost(void **state)
{
        struct player_thread *first = &actors[10].threads[0], *second = &actors[11].threads[0];
        struct row_place *place;

        begin(NROWS, NO_PROC);
        play("fork 0 10 a\n"
             "fork 0 11 b\n"
             "tick\n"
             "= 10 a <0 x1 0 0 0\n"
             "= 11 b <0 x1 0 0 0\n");
        /* the first has charged its time and reserved its place, but not written it yet */
        __atomic_fetch_add(&player_row(&player, first->row)->ns[0], 100, __ATOMIC_SEQ_CST);
        place = player_reserve(&player, first->row);
        assert_non_null(place);
        /* the second is behind it, and dies */
        player_switch(&player, second, 0, 7);
        thread_uncount(&player, second);
        collect();
        assert_int_equal(totals.busy_ns[0], 0);
        assert_int_equal(ps.nprocesses, 2);
        assert_int_equal(free_rows(), NROWS - 4);
        /* what is charged meanwhile needs no second place */
        row_add(&player, first->row, 0, 1);
        collect();
        assert_int_equal(totals.busy_ns[0], 0);
        player_write(place, first->row);
        collect();
        assert_int_equal(totals.busy_ns[0], 108);
        assert_int_equal(processes_find(&ps, 10)->cpu_ns[0], 101);
        assert_null(processes_find(&ps, 11));
        assert_int_equal(free_rows(), NROWS - 3);
        end();
}

static void a_row_is_not_freed_before_the_probe_has_let_go_of_it(void **state)
{
        struct player_thread *t = &actors[10].threads[0];

        begin(NROWS, NO_PROC);
        play("fork 0 10 a\n");
        /* its last switch, up to the step that says so */
        row_add(&player, t->row, 0, 5);
        __atomic_fetch_sub(&player_row(&player, t->row)->live, 1, __ATOMIC_SEQ_CST);
        collect();
        assert_int_equal(ps.nprocesses, 1);
        row_queue(&player, t->row);
        collect();
        assert_non_null(processes_find(&ps, 10));
        assert_int_equal(free_rows(), NROWS - 3);
        __atomic_store_n(&player_row(&player, t->row)->dead, 1, __ATOMIC_RELEASE);
        collect();
        assert_null(processes_find(&ps, 10));
        assert_int_equal(free_rows(), NROWS - 2);
        assert_int_equal(totals.busy_ns[0], 5);
        end();
}

static void a_death_waits_for_births_that_are_not_written_yet(void **state)
{
        struct player_thread *parent = &actors[10].threads[0], child = {0};
        struct row_place *place;

        begin(NROWS, NO_PROC);
        play("fork 0 9 grandparent\n"
             "fork 9 10 parent\n"
             "tick\n"
             "= 9 grandparent <0 x1 0 0 0\n"
             "= 10 parent <9 x1 0 0 0\n"
             "run 10 0 3\n");
        /* the child's place comes after the parent's, and is written last of all */
        child.row = row_take(&player);
        row_describe(&player, child.row, 11, 11000, "child", parent->row);
        thread_count(&player, &child);
        place = player_reserve(&player, child.row);
        assert_non_null(place);
        thread_uncount(&player, parent);
        collect();
        assert_non_null(processes_find(&ps, 10));
        player_write(place, child.row);
        play("tick\n"
             "= 9 grandparent <0 x1 0 0 0\n"
             "= 11 child <9 x1 0 0 0\n");
        end();
}

static void a_thread_adopted_after_the_others_ended_keeps_its_process(void **state)
{
        struct player_thread *t = &actors[10].threads[0], late = {0};

        begin(NROWS, NO_PROC);
        play("fork 0 10 a\n"
             "fork 0 12 b\n"
             "run 10 0 1\n");
        late.row = t->row;
        /* the daemon comes between the two steps of the first one's end ... */
        __atomic_fetch_sub(&player_row(&player, t->row)->live, 1, __ATOMIC_SEQ_CST);
        collect();
        row_died(&player, t->row);
        /* one that really ends, behind it */
        thread_uncount(&player, &actors[12].threads[0]);
        /* ... and another thread is found before it comes again */
        thread_count(&player, &late);
        collect();
        assert_non_null(processes_find(&ps, 10));
        player_switch(&player, &late, 0, 20);
        collect();
        assert_null(processes_find(&ps, 12));
        assert_int_equal(processes_find(&ps, 10)->cpu_ns[0], 21);
        assert_int_equal(processes_find(&ps, 10)->threads, 1);
        thread_uncount(&player, &late);
        collect();
        assert_null(processes_find(&ps, 10));
        assert_int_equal(free_rows(), NROWS - 2);
        end();
}

static struct player_thread met_twice;
static bool met_by_the_other;

static void adopt_comes_in_between(void)
{
        if (met_by_the_other)
                return;
        met_by_the_other = true;
        player_adopt(&player, &met_twice, 10, 10000, "twice");
}

static void newtask_comes_in_between(void)
{
        if (met_by_the_other)
                return;
        met_by_the_other = true;
        /* as player_newtask(), on storage that is there */
        assert_false(row_claim(&met_twice));
}

/* The kernel shows a process to the iterator before it tells of its birth. */
static void a_process_that_is_met_at_its_birth_has_one_row(void **state)
{
        for (int adopt_is_first = 0; adopt_is_first < 2; adopt_is_first++) {
                begin(NROWS, NO_PROC);
                met_by_the_other = false;
                met_twice = (struct player_thread){0};
                player.pause = adopt_is_first ? adopt_comes_in_between : newtask_comes_in_between;
                if (adopt_is_first)
                        player_newtask(&player, &met_twice, NULL, 10, 10000, "twice");
                else
                        player_adopt(&player, &met_twice, 10, 10000, "twice");
                assert_true(met_by_the_other);
                player.pause = NULL;
                collect();
                assert_int_equal(ps.nprocesses, 1);
                assert_int_equal(processes_find(&ps, 10)->threads, 1);
                assert_int_equal(free_rows(), NROWS - ROW_FIRST - 1);
                thread_uncount(&player, &met_twice);
                collect();
                assert_int_equal(ps.nprocesses, 0);
                assert_int_equal(free_rows(), NROWS - ROW_FIRST);
                end();
        }
}

static void stale_queue_entries_of_a_freed_row_are_passed_over(void **state)
{
        uint32_t number;

        begin(4, NO_PROC);
        play("fork 0 10 a\n"
             "fork 0 11 b\n"
             "tick\n"
             "= 10 a <0 x1 0 0 0\n"
             "= 11 b <0 x1 0 0 0\n");
        number = actors[10].threads[0].row;
        play("exit 10\n"
             "tick\n"
             "= 11 b <0 x1 0 0 0\n");
        row_queue(&player, number);
        collect();
        assert_int_equal(ps.nprocesses, 1);
        assert_int_equal(player_row(&player, number)->dirty, 0);
        assert_null(rows.owner[number]);
        /* the next owner starts with nothing of it */
        play("fork 11 12 c\n"
             "run 12 0 9\n"
             "tick\n"
             "= 11 b <0 x1 0 0 0\n"
             "= 12 c <11 x1 9 0 0\n");
        assert_int_equal(actors[12].threads[0].row, number);
        end();
}

static void a_parents_number_that_has_a_new_owner_is_no_parent(void **state)
{
        struct player_thread child = {0};
        uint32_t number;

        begin(NROWS, NO_PROC);
        play("fork 0 10 old\n"
             "tick\n"
             "= 10 old <0 x1 0 0 0\n");
        number = actors[10].threads[0].row;
        child.row = row_take(&player);
        row_describe(&player, child.row, 11, 11000, "orphan", number);
        thread_count(&player, &child);
        play("exit 10\n"
             "tick\n");
        /* round the ring until the number is handed out again */
        for (unsigned int pid = 20; actors[20].threads[0].row != number; pid = 20) {
                char recording[64];

                snprintf(recording, sizeof(recording), "fork 0 %u new\n", pid);
                play(recording);
                if (actors[pid].threads[0].row != number)
                        play("exit 20\n"
                             "tick\n");
        }
        row_queue(&player, child.row);
        collect();
        assert_non_null(processes_find(&ps, 20));
        assert_non_null(processes_find(&ps, 11));
        assert_null(processes_find(&ps, 11)->parent);
        end();
}

static void who_is_older_than_the_probe_has_its_parent_from_proc(void **state)
{
        static struct tree tree;

        tree_make(&tree);
        tree_write(&tree, "11/stat",
                   "11 (child) S 10 11 11 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 "
                   "0 0 0 0 17 0 0 0\n");
        begin(NROWS, tree.root);
        play("fork 0 10 parent\n"
             "fork 0 11 child\n"
             "tick\n"
             "= 10 parent <0 x1 0 0 0\n"
             "= 11 child <10 x1 0 0 0\n");
        end();
        tree_remove(&tree, "");
}

/* Numbers that have begun anew: each child's is lower than its parent's, so it is met first. */
static void who_is_met_before_its_parent_is_linked_to_it(void **state)
{
        static struct tree tree;

        tree_make(&tree);
        for (int pid = 9; pid <= 12; pid++) {
                char path[32], text[160];

                snprintf(path, sizeof(path), "%d/stat", pid);
                snprintf(text, sizeof(text),
                         "%d (x) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 "
                         "0 0 0 0 17 0 0 0\n",
                         pid, pid == 12 ? 77 : pid + 1);
                tree_write(&tree, path, text);
        }
        begin(NROWS, tree.root);
        play("fork 0 9 grandchild\n"
             "fork 9 20 known\n"
             "fork 0 10 child\n"
             "fork 0 11 parent\n"
             "fork 0 12 orphan\n"
             "run 9 0 5\n"
             "tick\n"
             "= 9 grandchild <10 x1 5 0 0\n"
             "= 10 child <11 x1 0 0 0\n"
             "= 11 parent <12 x1 0 0 0\n"
             "= 12 orphan <0 x1 0 0 0\n"
             "= 20 known <9 x1 0 0 0\n"
             "exit 10\n"
             "tick\n"
             "= 9 grandchild <11 x1 5 0 0\n"
             "= 11 parent <12 x1 0 0 0\n"
             "= 12 orphan <0 x1 0 0 0\n"
             "= 20 known <9 x1 0 0 0\n");
        end();
        tree_remove(&tree, "");
}

/* It dies within the tick in which it is met: its child's parent is its own parent. */
static void who_dies_before_it_is_linked_leaves_its_children_above(void **state)
{
        static struct tree tree;

        tree_make(&tree);
        tree_write(&tree, "9/stat",
                   "9 (x) S 10 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
                   "17 0 0 0\n");
        begin(NROWS, tree.root);
        play("fork 0 9 child\n"
             "fork 0 11 above\n"
             "fork 11 10 between\n"
             "exit 10\n"
             "tick\n"
             "= 9 child <11 x1 0 0 0\n"
             "= 11 above <0 x1 0 0 0\n");
        end();
        tree_remove(&tree, "");
}

static void what_the_probe_missed_is_passed_on(void **state)
{
        begin(NROWS, NO_PROC);
        player.memory.counters->hidden_switches = 3;
        player.memory.counters->lost_threads = 4;
        player.memory.counters->merged = 5;
        collect();
        assert_int_equal(losses.hidden_switches, 3);
        assert_int_equal(losses.lost_threads, 4);
        assert_int_equal(losses.merged, 5);
        end();
}

static void rows_do_not_share_cache_lines(void **state)
{
        for (unsigned int nslots = 1; nslots <= TOPOLOGY_MAX_SLOTS; nslots++) {
                assert_int_equal(rows_stride(nslots) % 64, 0);
                assert_true(rows_stride(nslots) >=
                            sizeof(struct row) + (nslots + 1) * sizeof(int64_t));
        }
        assert_int_equal(rows_stride(1), 64);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(times_are_read_once_and_in_their_place),
                cmocka_unit_test(a_life_within_one_tick_counts),
                cmocka_unit_test(births_come_before_deaths),
                cmocka_unit_test(exec_renames_and_does_not_restart_the_count),
                cmocka_unit_test(a_process_lives_as_long_as_its_last_thread),
                cmocka_unit_test(an_estimate_that_was_too_high_is_taken_back),
                cmocka_unit_test(a_full_table_counts_children_in_their_parent),
                cmocka_unit_test(time_without_a_row_is_counted_as_lost),
                cmocka_unit_test(time_where_no_slot_is_known_is_counted_apart),
                cmocka_unit_test(a_row_number_serves_one_owner_after_another),
                cmocka_unit_test(
                        a_place_that_is_not_written_yet_stops_the_queue_and_nothing_is_lost),
                cmocka_unit_test(a_row_is_not_freed_before_the_probe_has_let_go_of_it),
                cmocka_unit_test(a_death_waits_for_births_that_are_not_written_yet),
                cmocka_unit_test(a_thread_adopted_after_the_others_ended_keeps_its_process),
                cmocka_unit_test(a_process_that_is_met_at_its_birth_has_one_row),
                cmocka_unit_test(stale_queue_entries_of_a_freed_row_are_passed_over),
                cmocka_unit_test(a_parents_number_that_has_a_new_owner_is_no_parent),
                cmocka_unit_test(who_is_older_than_the_probe_has_its_parent_from_proc),
                cmocka_unit_test(who_is_met_before_its_parent_is_linked_to_it),
                cmocka_unit_test(who_dies_before_it_is_linked_leaves_its_children_above),
                cmocka_unit_test(what_the_probe_missed_is_passed_on),
                cmocka_unit_test(rows_do_not_share_cache_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
