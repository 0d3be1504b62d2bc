/* SPDX-License-Identifier: MIT */
/* CPU accounting from /proc, on a /proc of the test's own: two CPUs, each a slot. */
#include <errno.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <time.h>

#include "cputime.h"
#include "tree.h"

#define NS_PER_S UINT64_C(1000000000)

static struct tree tree;
static struct topology_cpu cpus[] = {
        {.online = true, .socket = 0, .slot = 0},
        {.online = true, .socket = 1, .slot = 1},
};
static const struct topology topology = {
        .cpus = cpus,
        .ncpus = 2,
        .slots = {{.socket = 0}, {.socket = 1}},
        .nslots = 2,
        .sockets = {0, 1},
        .nsockets = 2,
};
static struct processes processes;
static struct cputime *cputime;
static uint64_t hz;

/* /proc/stat with so many seconds of busy and idle time; a CPU with `busy_s` < 0 is offline. */
static void write_stat(int busy0_s, int idle0_s, int busy1_s, int idle1_s)
{
        const int busy_s[] = {busy0_s, busy1_s}, idle_s[] = {idle0_s, idle1_s};
        uint64_t busy = 0, idle = 0;
        char text[1024], lines[512] = "";

        for (int cpu = 0; cpu < 2; cpu++) {
                size_t length = strlen(lines);

                if (busy_s[cpu] < 0)
                        continue;
                busy += (uint64_t)busy_s[cpu] * hz;
                idle += (uint64_t)idle_s[cpu] * hz;
                /* user nice system idle iowait irq softirq steal guest guest_nice */
                snprintf(lines + length, sizeof(lines) - length,
                         "cpu%d %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", cpu,
                         (uint64_t)busy_s[cpu] * hz, (uint64_t)idle_s[cpu] * hz);
        }
        snprintf(text, sizeof(text),
                 "cpu  %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n%sintr 1 2 3\nctxt 4\n", busy, idle,
                 lines);
        tree_write(&tree, "stat", text);
}

struct actor {
        int pid, ppid, threads, cpu, cpu_s;
        char state;
        uint64_t start_ticks;
};

static void write_stat_file(const char *path, const struct actor *a)
{
        char text[512];

        snprintf(text, sizeof(text),
                 "%d (load) %c %d 7 7 0 -1 0 0 0 0 0 %" PRIu64 " 0 0 0 20 0 %d 0 %" PRIu64
                 " 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 %d 0 0 0 0 0\n",
                 a->pid, a->state, a->ppid, (uint64_t)a->cpu_s * hz, a->threads, a->start_ticks,
                 a->cpu);
        tree_write(&tree, path, text);
}

static void write_actor(const struct actor *a)
{
        char path[64];

        snprintf(path, sizeof(path), "%d/stat", a->pid);
        write_stat_file(path, a);
}

/* A thread of process 7 with so many seconds of CPU time, on that CPU. */
static void write_thread(int tid, int cpu_s, int cpu)
{
        const struct actor thread = {.pid = tid,
                                     .ppid = 1,
                                     .threads = 1,
                                     .cpu = cpu,
                                     .cpu_s = cpu_s,
                                     .state = 'R',
                                     .start_ticks = 100};
        char path[64], text[64];

        snprintf(path, sizeof(path), "7/task/%d/stat", tid);
        write_stat_file(path, &thread);
        snprintf(path, sizeof(path), "7/task/%d/schedstat", tid);
        snprintf(text, sizeof(text), "%" PRIu64 " 0 1\n", (uint64_t)cpu_s * NS_PER_S);
        tree_write(&tree, path, text);
}

/* Process 7 with two threads that have used so many seconds, the first on CPU 0. */
static void write_two_threads(int first_s, int second_s, int gone_s, int second_cpu)
{
        write_actor(&(struct actor){.pid = 7,
                                    .ppid = 1,
                                    .threads = 2,
                                    .cpu = 0,
                                    .cpu_s = first_s + second_s + gone_s,
                                    .state = 'R',
                                    .start_ticks = 100});
        write_thread(7, first_s, 0);
        write_thread(8, second_s, second_cpu);
}

/* Process 7 with so many seconds of CPU time, on that CPU.  It has been there for long. */
static void write_process(int cpu_s, int cpu)
{
        write_actor(&(struct actor){.pid = 7,
                                    .ppid = 1,
                                    .threads = 1,
                                    .cpu = cpu,
                                    .cpu_s = cpu_s,
                                    .state = 'R',
                                    .start_ticks = 100});
}

static uint64_t now_ticks(void)
{
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &now), 0);
        return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec / (NS_PER_S / hz);
}

/* No more than so many files can be opened from here on; the limit of before. */
static rlim_t files_limit(unsigned int more)
{
        struct rlimit limit;
        int fd = dup(STDIN_FILENO);
        rlim_t before;

        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        before = limit.rlim_cur;
        limit.rlim_cur = (rlim_t)fd + more;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        return before;
}

static void files_limit_restore(rlim_t before)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = before;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int setup(void **state)
{
        tree_make(&tree);
        hz = (uint64_t)sysconf(_SC_CLK_TCK);
        assert_int_equal(processes_init(&processes, topology.nslots, 1), 0);
        write_stat(100, 1000, 200, 900);
        write_process(50, 0);
        return 0;
}

static int teardown(void **state)
{
        cputime_close(cputime);
        cputime = NULL;
        processes_bury(&processes);
        processes_deinit(&processes);
        tree_remove(&tree, "");
        return 0;
}

static void open_it(void)
{
        const struct cputime_config config = {
                .probe = "proc", .max_processes = 64, .proc_root = tree.root};
        char why[512];

        assert_int_equal(cputime_open(&cputime, &config, &topology, &processes, why, sizeof(why)),
                         0);
}

static void collect(void)
{
        assert_int_equal(cputime_collect(cputime, true), 1);
}

static void time_before_is_not_counted(void **state)
{
        open_it();
        collect();
        for (unsigned int slot = 0; slot <= topology.nslots; slot++)
                assert_int_equal(cputime_totals(cputime)->busy_ns[slot], 0);
        assert_int_equal(cputime_totals(cputime)->idle_ns, 0);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
}

static void a_process_is_charged_where_it_ran_last(void **state)
{
        open_it();
        write_process(53, 1);
        write_stat(100, 1003, 203, 900);
        collect();
        assert_int_equal(cputime_totals(cputime)->busy_ns[0], 0);
        assert_int_equal(cputime_totals(cputime)->busy_ns[1], 3 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->nobody_ns[1], 0);
        assert_int_equal(cputime_totals(cputime)->idle_ns, 3 * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
}

static void what_nobody_was_met_for_is_nobodys_once(void **state)
{
        open_it();
        write_process(53, 0);
        write_stat(103, 1000, 204, 900);
        collect();
        assert_int_equal(cputime_totals(cputime)->busy_ns[0], 3 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->nobody_ns[0], 0);
        assert_int_equal(cputime_totals(cputime)->busy_ns[1], 4 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->nobody_ns[1], 4 * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 4 * NS_PER_S);
}

/* The line of all CPUs together, "cpu  700 ...", is none of CPU 700. */
static void the_sum_of_all_cpus_is_no_cpu(void **state)
{
        open_it();
        write_stat(105, 1005, 206, 906);
        collect();
        assert_int_equal(cputime_totals(cputime)->busy_ns[topology.nslots], 0);
        assert_int_equal(cputime_totals(cputime)->idle_ns, 11 * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 11 * NS_PER_S);
}

/* Its line goes with it, and with it the time that it has counted. */
static void a_cpu_that_goes_and_comes_takes_no_time_along(void **state)
{
        open_it();
        write_stat(101, 1000, 202, 900);
        collect();
        write_stat(102, 1000, -1, -1);
        collect();
        assert_int_equal(cputime_losses(cputime)->lost_ns, 4 * NS_PER_S);
        write_stat(103, 1000, 203, 900);
        collect();
        assert_int_equal(cputime_totals(cputime)->nobody_ns[0], 3 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->nobody_ns[1], 3 * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 6 * NS_PER_S);
}

static void a_cpu_that_comes_later_brings_no_time_along(void **state)
{
        write_stat(100, 1000, -1, -1);
        open_it();
        write_stat(100, 1000, 200, 900);
        collect();
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
        assert_int_equal(cputime_totals(cputime)->idle_ns, 0);
        write_stat(100, 1000, 201, 902);
        collect();
        assert_int_equal(cputime_totals(cputime)->nobody_ns[1], 1 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->idle_ns, 2 * NS_PER_S);
}

static void who_cannot_be_read_now_has_not_gone(void **state)
{
        const struct process *p;
        rlim_t before;

        open_it();
        p = processes_find(&processes, 7);
        assert_non_null(p);
        write_process(51, 0);
        write_stat(101, 1000, 200, 900);
        collect();
        write_process(52, 0);
        write_stat(102, 1000, 200, 900);
        before = files_limit(1); /* for the directory, and none for what is in it */
        collect();
        files_limit_restore(before);
        assert_ptr_equal(processes_find(&processes, 7), p);
        assert_int_equal(p->cpu_ns[0], 1 * NS_PER_S);
        /* nor is its time nobody's meanwhile */
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
        write_process(53, 0);
        write_stat(103, 1000, 200, 900);
        collect();
        assert_ptr_equal(processes_find(&processes, 7), p);
        assert_int_equal(p->cpu_ns[0], 3 * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->busy_ns[0], 3 * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
}

static void a_look_that_fails_changes_nothing(void **state)
{
        const struct process *p;
        rlim_t before;

        open_it();
        p = processes_find(&processes, 7);
        write_process(52, 0);
        before = files_limit(0);
        assert_int_equal(cputime_collect(cputime, true), -EMFILE);
        files_limit_restore(before);
        assert_ptr_equal(processes_find(&processes, 7), p);
        collect();
        assert_int_equal(p->cpu_ns[0], 2 * NS_PER_S);
}

/* Its whole life in one look would be a spike, and has been called nobody's before. */
static void who_is_met_late_brings_no_past_along(void **state)
{
        const struct actor young = {.pid = 9,
                                    .ppid = 7,
                                    .threads = 1,
                                    .cpu_s = 3,
                                    .state = 'R',
                                    .start_ticks = now_ticks() + 1};
        struct actor old = {
                .pid = 8, .ppid = 7, .threads = 1, .cpu_s = 40, .state = 'R', .start_ticks = 200};

        open_it();
        write_actor(&old);
        write_actor(&young);
        write_stat(103, 1000, 200, 900);
        collect();
        assert_int_equal(processes_find(&processes, 8)->cpu_ns[0], 0);
        assert_int_equal(processes_find(&processes, 9)->cpu_ns[0], 3 * NS_PER_S);
        old.cpu_s = 41;
        write_actor(&old);
        collect();
        assert_int_equal(processes_find(&processes, 8)->cpu_ns[0], 1 * NS_PER_S);
}

static void a_process_lives_on_when_its_leader_has_ended(void **state)
{
        struct actor java = {
                .pid = 7, .ppid = 1, .threads = 3, .cpu_s = 53, .state = 'Z', .start_ticks = 100};
        const struct process *p;

        open_it();
        p = processes_find(&processes, 7);
        write_actor(&java);
        write_thread(7, 20, 0);
        write_thread(8, 30, 0);
        write_thread(9, 3, 0);
        collect();
        assert_ptr_equal(processes_find(&processes, 7), p);
        assert_int_equal(p->threads, 2);
        assert_int_equal(p->cpu_ns[0], 3 * NS_PER_S);
        /* and is gone with the last of the others, whether it is waited for or not */
        java.threads = 1;
        write_actor(&java);
        collect();
        assert_null(processes_find(&processes, 7));
}

static void expect_slots(int busy0_s, int busy1_s)
{
        const struct process *p = processes_find(&processes, 7);

        assert_int_equal(p->cpu_ns[0], (uint64_t)busy0_s * NS_PER_S);
        assert_int_equal(p->cpu_ns[1], (uint64_t)busy1_s * NS_PER_S);
        assert_int_equal(p->cpu_ns[topology.nslots], 0);
        assert_int_equal(cputime_totals(cputime)->busy_ns[0], (uint64_t)busy0_s * NS_PER_S);
        assert_int_equal(cputime_totals(cputime)->busy_ns[1], (uint64_t)busy1_s * NS_PER_S);
        assert_int_equal(cputime_losses(cputime)->lost_ns, 0);
}

static void each_thread_is_charged_where_it_ran(void **state)
{
        write_two_threads(20, 30, 0, 1);
        open_it();
        write_two_threads(22, 35, 0, 1);
        write_stat(102, 1000, 205, 900);
        collect();
        expect_slots(2, 5);
        /* one waits, the other goes on */
        write_two_threads(22, 36, 0, 1);
        write_stat(102, 1000, 206, 900);
        collect();
        expect_slots(2, 6);
        /* a third one has come and gone: where it was is not known, and they tell best */
        write_two_threads(22, 38, 4, 1);
        write_stat(102, 1000, 212, 900);
        collect();
        expect_slots(2, 12);
}

static void each_thread_is_charged_where_it_ran_in_nanoseconds(void **state)
{
        tree_write(&tree, "self/schedstat", "1 0 1\n");
        each_thread_is_charged_where_it_ran(state);
        assert_string_equal(cputime_name(cputime), "proc (schedstat)");
}

/* Its first thread's time was charged before there was a second. */
static void a_second_thread_does_not_move_what_the_first_used(void **state)
{
        open_it();
        write_two_threads(51, 3, 0, 1);
        write_stat(101, 1000, 203, 900);
        collect();
        expect_slots(1, 3);
}

/* What is charged on another CPU than the kernel counts it on is not nobody's as well. */
static void who_changes_its_cpu_is_not_counted_twice(void **state)
{
        open_it();
        write_process(56, 1);
        write_stat(103, 1000, 203, 900);
        collect();
        expect_slots(0, 6);
        write_stat(103, 1000, 205, 900);
        collect();
        assert_int_equal(cputime_losses(cputime)->lost_ns, 2 * NS_PER_S);
}

/* The child's number is lower than its parent's when numbers have begun anew. */
static void a_child_that_is_read_first_has_its_parent(void **state)
{
        const struct actor parent = {.pid = 9,
                                     .ppid = 7,
                                     .threads = 1,
                                     .state = 'S',
                                     .start_ticks = now_ticks() + 1},
                           child = {.pid = 8,
                                    .ppid = 9,
                                    .threads = 1,
                                    .state = 'S',
                                    .start_ticks = now_ticks() + 1},
                           orphan = {.pid = 6,
                                     .ppid = 5,
                                     .threads = 1,
                                     .state = 'S',
                                     .start_ticks = now_ticks() + 1};

        open_it();
        write_actor(&parent);
        write_actor(&child);
        write_actor(&orphan);
        assert_int_equal(cputime_meet(cputime, 8), 0);
        assert_non_null(processes_find(&processes, 8)->parent);
        assert_int_equal(processes_find(&processes, 8)->parent->pid, 9);
        assert_int_equal(processes_find(&processes, 9)->parent->pid, 7);
        collect();
        assert_int_equal(processes.nprocesses, 4);
        assert_null(processes_find(&processes, 6)->parent);
        collect();
        assert_int_equal(processes.nprocesses, 4);
}

static void who_is_asked_for_is_met_out_of_turn(void **state)
{
        const struct actor child = {.pid = 9,
                                    .ppid = 7,
                                    .threads = 1,
                                    .cpu_s = 2,
                                    .state = 'R',
                                    .start_ticks = now_ticks() + 1};

        open_it();
        write_actor(&child);
        write_process(53, 0);
        assert_int_equal(cputime_meet(cputime, 9), 0);
        assert_int_equal(processes_find(&processes, 9)->cpu_ns[0], 2 * NS_PER_S);
        assert_int_equal(processes_find(&processes, 9)->parent->pid, 7);
        /* and nobody else */
        assert_int_equal(processes_find(&processes, 7)->cpu_ns[0], 0);
        assert_int_equal(cputime_meet(cputime, 10), 0);
        assert_null(processes_find(&processes, 10));
        collect();
        assert_int_equal(processes_find(&processes, 9)->cpu_ns[0], 2 * NS_PER_S);
        assert_int_equal(processes_find(&processes, 7)->cpu_ns[0], 3 * NS_PER_S);
}

/* Whoever may follow could keep reports from everybody otherwise. */
static void meeting_does_not_put_off_the_next_look(void **state)
{
        const struct timespec pause = {.tv_nsec = 10000000};
        int looks = 0;

        open_it();
        for (int i = 0; i < 100 && looks == 0; i++) { /* a second, for a quarter of one */
                assert_int_equal(cputime_meet(cputime, 7), 0);
                looks = cputime_collect(cputime, false);
                nanosleep(&pause, NULL);
        }
        assert_int_equal(looks, 1);
        assert_int_equal(cputime_collect(cputime, false), 0);
}

static void without_the_sums_it_does_not_open(void **state)
{
        const struct cputime_config config = {
                .probe = "proc", .max_processes = 64, .proc_root = tree.root};
        char why[512];

        tree_remove(&tree, "stat");
        assert_int_equal(cputime_open(&cputime, &config, &topology, &processes, why, sizeof(why)),
                         -ENOENT);
        assert_non_null(strstr(why, tree.root));
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(time_before_is_not_counted),
                TEST(a_process_is_charged_where_it_ran_last),
                TEST(what_nobody_was_met_for_is_nobodys_once),
                TEST(the_sum_of_all_cpus_is_no_cpu),
                TEST(a_cpu_that_goes_and_comes_takes_no_time_along),
                TEST(a_cpu_that_comes_later_brings_no_time_along),
                TEST(who_cannot_be_read_now_has_not_gone),
                TEST(a_look_that_fails_changes_nothing),
                TEST(who_is_met_late_brings_no_past_along),
                TEST(a_process_lives_on_when_its_leader_has_ended),
                TEST(each_thread_is_charged_where_it_ran),
                TEST(each_thread_is_charged_where_it_ran_in_nanoseconds),
                TEST(a_second_thread_does_not_move_what_the_first_used),
                TEST(who_changes_its_cpu_is_not_counted_twice),
                TEST(a_child_that_is_read_first_has_its_parent),
                TEST(who_is_asked_for_is_met_out_of_turn),
                TEST(meeting_does_not_put_off_the_next_look),
                TEST(without_the_sums_it_does_not_open),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
