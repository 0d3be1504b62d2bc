/* SPDX-License-Identifier: MIT */
/* What /proc says of a process: names made to confuse, broken files, and this very process. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/wait.h>

#include "procfs.h"
#include "tree.h"

static struct tree tree;

static int setup(void **state)
{
        tree_make(&tree);
        return 0;
}

static int teardown(void **state)
{
        tree_remove(&tree, "");
        return 0;
}

/* Fields 3 to 52 of a stat file, each with a number of its own. */
#define FIELDS                                                                                    \
        " S 4 5 6 7 8 2097152 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 " \
        "32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52\n"

static void expect_fields(const struct procfs_stat *stat)
{
        assert_int_equal(stat->state, 'S');
        assert_int_equal(stat->ppid, 4);
        assert_int_equal(stat->flags, PROCFS_PF_KTHREAD);
        assert_int_equal(stat->cpu_ticks, 14 + 15);
        assert_int_equal(stat->threads, 20);
        assert_int_equal(stat->start_ticks, 22);
        assert_int_equal(stat->cpu, 39);
}

static void every_field_is_the_one_that_proc_5_names(void **state)
{
        struct procfs_stat stat;

        assert_int_equal(procfs_parse_stat(&stat, "1234 (bash)" FIELDS), 0);
        assert_string_equal(stat.comm, "bash");
        expect_fields(&stat);
}

static void names_may_hold_anything(void **state)
{
        static const char *const names[] = {
                "two words",
                "",
                ")",
                "(",
                "a) S 1 (b",
                "line\nbreak",
                "tab\there (x) ",
                "\xff\xfe",
                "))))))))))))))",
                "1 (sh) R 2 2",
        };
        struct procfs_stat stat;
        char text[512];

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(text, sizeof(text), "1234 (%s)%s", names[i], FIELDS);
                assert_int_equal(procfs_parse_stat(&stat, text), 0);
                assert_string_equal(stat.comm, names[i]);
                expect_fields(&stat);
        }
        /* kernel threads' names are longer in some kernels */
        snprintf(text, sizeof(text), "1234 (%s)%s", "kworker/u8:3-events_unbound", FIELDS);
        assert_int_equal(procfs_parse_stat(&stat, text), 0);
        assert_string_equal(stat.comm, "kworker/u8:3-ev");
        expect_fields(&stat);
}

static void large_numbers_fit(void **state)
{
        struct procfs_stat stat;

        assert_int_equal(
                procfs_parse_stat(&stat,
                                  "4194304 (x) R 4194303 1 1 0 -1 4294967295 18446744073709551615 "
                                  "0 0 0 9223372036854775807 9223372036854775807 0 0 -100 -20 "
                                  "65536 0 18446744073709551615 18446744073709551615 -1 "
                                  "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 -1 8191"),
                0);
        assert_int_equal(stat.ppid, 4194303);
        assert_int_equal(stat.flags, UINT32_MAX);
        assert_true(stat.cpu_ticks == UINT64_C(18446744073709551614));
        assert_int_equal(stat.threads, 65536);
        assert_true(stat.start_ticks == UINT64_MAX);
        assert_int_equal(stat.cpu, 8191);
}

static void garbage_is_refused(void **state)
{
        static const char *const garbage[] = {
                "",
                "\n",
                "1234",
                "1234 bash S 4 5 6",
                "1234 (bash",
                "1234 bash)",
                ")(",
                "1234 (bash)",
                "1234 (bash) ",
                "1234 (bash) S",
                "1234 (bash) S four 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26",
                /* cut off before the last field that is needed */
                "1234 (bash) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 "
                "28 "
                "29 30 31 32 33 34 35 36 37 38",
        };
        struct procfs_stat stat;

        for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
                if (procfs_parse_stat(&stat, garbage[i]) != -EBADMSG)
                        fail_msg("accepted: '%s'", garbage[i]);
}

/* Whatever is cut or changed: no reading beyond the text, and a name that ends. */
static void mutilated_text_does_no_harm(void **state)
{
        static const char whole[] = "1234 (a) (b)" FIELDS;
        struct procfs_stat stat;

        for (size_t length = 0; length < sizeof(whole); length++) {
                char *cut = strndup(whole, length); /* on the heap: ASan sees its end */

                assert_non_null(cut);
                if (procfs_parse_stat(&stat, cut) == 0)
                        assert_string_equal(stat.comm, "a) (b");
                for (size_t i = 0; i < length; i++) {
                        char was = cut[i];

                        cut[i] = (char)(i * 37 + length);
                        if (cut[i] && procfs_parse_stat(&stat, cut) == 0)
                                assert_non_null(memchr(stat.comm, '\0', sizeof(stat.comm)));
                        cut[i] = was;
                }
                free(cut);
        }
}

static void files_are_found_by_pid(void **state)
{
        struct procfs_stat stat;

        tree_write(&tree, "77/stat", "77 (x)" FIELDS);
        tree_write(&tree, "78/stat", "78 (broken)\n");
        assert_int_equal(procfs_stat(&stat, tree.root, 77), 0);
        expect_fields(&stat);
        assert_int_equal(procfs_ppid(tree.root, 77), 4);
        assert_int_equal(procfs_stat(&stat, tree.root, 78), -EBADMSG);
        assert_int_equal(procfs_ppid(tree.root, 78), -EBADMSG);
        assert_int_equal(procfs_stat(&stat, tree.root, 79), -ESRCH);
        assert_int_equal(procfs_ppid(tree.root, 79), -ESRCH);
}

/* ---- status ---- */

static int status_of(const char *text, struct procfs_status *status)
{
        tree_write(&tree, "1/status", text);
        return procfs_status(status, tree.root, 1);
}

static void status_tells_users_and_the_process_of_a_thread(void **state)
{
        struct procfs_status status;

        assert_int_equal(status_of("Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t4321\n"
                                   "Ngid:\t0\nPid:\t4322\nPPid:\t1\nTracerPid:\t0\n"
                                   "Uid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n",
                                   &status),
                         0);
        assert_int_equal(status.tgid, 4321);
        assert_int_equal(status.uid, 1000);
        assert_int_equal(status.euid, 1001);
        assert_int_equal(status.suid, 1002);
        assert_int_equal(status.state, 'S');
}

static void a_name_does_not_pass_for_a_line(void **state)
{
        struct procfs_status status;

        /* the kernel escapes a line break in a name; what follows is not at a line's start */
        assert_int_equal(status_of("Name:\tUid: 0 0 0\\nUid:\\t0\\t0\\t0\nState:\tR (running)\n"
                                   "Tgid:\t9\nUid:\t1000\t1000\t1000\t1000\n",
                                   &status),
                         0);
        assert_int_equal(status.uid, 1000);
        assert_int_equal(status.suid, 1000);
}

static void a_status_that_lacks_a_line_is_refused(void **state)
{
        static const char *const texts[] = {
                "",
                "\n\n\n",
                "Name:\tx\nState:\tS (sleeping)\nTgid:\t1\n",
                "Name:\tx\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\n",
                "Name:\tx\nTgid:\t1\nUid:\t0\t0\t0\t0\n",
                "State:\tS (sleeping)\nTgid:\t1\nUid:\t0\t0\n",
                "State:\tS (sleeping)\nTgid:\tone\nUid:\t0\t0\t0\t0\n",
        };
        struct procfs_status status;

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (status_of(texts[i], &status) != -EBADMSG)
                        fail_msg("accepted: '%s'", texts[i]);
        assert_int_equal(procfs_status(&status, tree.root, 2), -ESRCH);
        /* its parent has waited for it just now */
        assert_int_equal(status_of("State:\tX (dead)\nTgid:\t0\nUid:\t0\t0\t0\t0\n", &status),
                         -ESRCH);
}

/* ---- the real one ---- */

static void this_process_is_what_the_kernel_says(void **state)
{
        struct procfs_status status;
        struct procfs_stat stat;
        cpu_set_t before, one;
        int cpu = sched_getcpu();

        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        assert_int_equal(procfs_stat(&stat, "/proc", getpid()), 0);
        sched_setaffinity(0, sizeof(before), &before);
        assert_int_equal(stat.cpu, cpu);
        assert_int_equal(stat.ppid, getppid());
        assert_int_equal(stat.state, 'R');
        assert_int_equal(stat.threads, 1);
        assert_false(stat.flags & PROCFS_PF_KTHREAD);
        assert_true(stat.start_ticks > 0);
        assert_int_equal(procfs_status(&status, "/proc", getpid()), 0);
        assert_int_equal(status.tgid, getpid());
        assert_int_equal(status.uid, getuid());
        assert_int_equal(status.euid, geteuid());
        assert_int_equal(status.state, 'R');
}

static void who_has_gone_is_not_found(void **state)
{
        struct procfs_stat stat;
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
        /* dead, but not waited for */
        assert_int_equal(procfs_stat(&stat, "/proc", pid), 0);
        assert_int_equal(stat.state, 'Z');
        assert_int_equal(stat.ppid, getpid());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(procfs_stat(&stat, "/proc", pid), -ESRCH);
}

static void the_namespace_is_found_by_pid(void **state)
{
        struct procfs_namespace ours, own;

        assert_int_equal(procfs_pid_namespace(&ours, "/proc", 0), 0);
        assert_int_equal(procfs_pid_namespace(&own, "/proc", getpid()), 0);
        assert_true(procfs_namespace_equal(&ours, &own));
        own.ino++;
        assert_false(procfs_namespace_equal(&ours, &own));
        assert_int_equal(procfs_pid_namespace(&own, tree.root, getpid()), -ESRCH);
}

static void the_last_of_its_pids_is_that_in_its_own_namespace(void **state)
{
        tree_write(&tree, "7/status", "Name:\tx\nNSpid:\t7\t31\t1\nNSpgid:\t7\t9\t8\n");
        tree_write(&tree, "8/status", "Name:\tx\nNSpid:\t8\nNSpgid:\t9\n");
        tree_write(&tree, "9/status", "Name:\tNSpid: 5\n");
        assert_int_equal(procfs_innermost_pid(tree.root, 7), 1);
        assert_int_equal(procfs_innermost_pid(tree.root, 8), 8);
        assert_int_equal(procfs_innermost_pid(tree.root, 9), -ESRCH);
        assert_int_equal(procfs_innermost_pid(tree.root, 10), -ESRCH);
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(every_field_is_the_one_that_proc_5_names),
                TEST(names_may_hold_anything),
                TEST(large_numbers_fit),
                TEST(garbage_is_refused),
                TEST(mutilated_text_does_no_harm),
                TEST(files_are_found_by_pid),
                TEST(status_tells_users_and_the_process_of_a_thread),
                TEST(a_name_does_not_pass_for_a_line),
                TEST(a_status_that_lacks_a_line_is_refused),
                TEST(this_process_is_what_the_kernel_says),
                TEST(who_has_gone_is_not_found),
                TEST(the_namespace_is_found_by_pid),
                TEST(the_last_of_its_pids_is_that_in_its_own_namespace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
