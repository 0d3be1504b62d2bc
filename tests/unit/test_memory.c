/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "memory_read.h"
#include "procfs.h"
#include "tree.h"

#define HELD_BYTES ((size_t)16 << 20)

/* The form of a kernel 6.1's file; figures made up. */
static const char rollup[] =
        "55d0a0400000-7ffd5c1f2000 ---p 00000000 00:00 0                  [rollup]\n"
        "Rss:                3616 kB\n"
        "Pss:                 731 kB\n"
        "Shared_Clean:       3072 kB\n"
        "Shared_Dirty:          8 kB\n"
        "Private_Clean:        24 kB\n"
        "Private_Dirty:       512 kB\n"
        "Referenced:         3616 kB\n"
        "Anonymous:           520 kB\n"
        "Shared_Hugetlb:        0 kB\n"
        "Private_Hugetlb:    2048 kB\n"
        "Swap:                  0 kB\n";

static void only_private_memory_counts(void **state)
{
        struct memory_private found;

        (void)state;
        assert_int_equal(memory_parse_private(rollup, &found), 0);
        assert_int_equal(found.small_bytes, (24 + 512) * 1024);
        assert_int_equal(found.huge_bytes, 2048 * 1024);
}

static void anonymous_memory_is_what_is_resident_and_not_shared(void **state)
{
        uint64_t pages;

        (void)state;
        assert_int_equal(memory_parse_statm("25170 3616 3072 12 0 900 0\n", &pages), 0);
        assert_int_equal(pages, 544);
        assert_int_equal(memory_parse_statm("9 3 4 0 0 0 0\n", &pages), 0); /* torn */
        assert_int_equal(pages, 0);
        assert_int_equal(memory_parse_statm("25170 3616", &pages), -EBADMSG);
        assert_int_equal(memory_parse_statm("", &pages), -EBADMSG);
}

static void a_file_without_private_lines_is_no_file_of_ours(void **state)
{
        struct memory_private found;

        (void)state;
        assert_int_equal(memory_parse_private("", &found), -EBADMSG);
        assert_int_equal(memory_parse_private("Rss: 12 kB\nPrivate_Clean: lots\n", &found),
                         -EBADMSG);
}

/* ---- a process whose first thread has ended ---- */

static void other_files_are_read_when_the_first_thread_has_ended(void **state)
{
        static struct memory_spread spread;
        static struct tree tree;
        uint64_t bytes = 1;

        tree_make(&tree);
        tree_write(&tree, "7/statm", "0 0 0 0 0 0 0\n");
        tree_write(&tree, "7/task/7/statm", "0 0 0 0 0 0 0\n");
        tree_write(&tree, "7/numa_maps", "");
        /* the last of them: nobody holds anything any more */
        assert_int_equal(memory_read_anonymous(tree.root, 7, 4096, &bytes), -ESRCH);
        assert_int_equal(bytes, 0);
        tree_write(&tree, "7/task/8/statm", "900 50 10 1 0 100 0\n");
        tree_write(&tree, "7/task/8/numa_maps",
                   "5581000 default anon=9 dirty=9 N1=9 "
                   "kernelpagesize_kB=4\n");
        assert_int_equal(memory_read_anonymous(tree.root, 7, 4096, &bytes), 0);
        assert_int_equal(bytes, 40 * 4096);
        memory_spread_begin(&spread, 2);
        assert_int_equal(memory_read_spread(tree.root, 7, &spread), 0);
        assert_int_equal(spread.small.sole_bytes[1], 9 * 4096);
        tree_remove(&tree, "");
}

static void *hold_for_ever(void *argument)
{
        for (;;)
                pause();
        return argument;
}

/* The kernel's own files of such a process. */
static void who_lives_on_without_its_first_thread_holds_what_it_held(void **state)
{
        struct procfs_stat stat = {0};
        struct memory_private found;
        uint64_t bytes;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                char *memory = mmap(NULL, HELD_BYTES, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
                pthread_t thread;

                if (memory == MAP_FAILED || pthread_create(&thread, NULL, hold_for_ever, NULL) != 0)
                        _exit(1);
                pthread_exit(NULL);
        }
        for (int i = 0; i < 500 && stat.state != 'Z'; i++) {
                assert_int_equal(procfs_stat(&stat, "/proc", pid), 0);
                poll(NULL, 0, 10);
        }
        assert_int_equal(stat.state, 'Z');
        assert_int_equal(stat.threads, 2);
        assert_int_equal(
                memory_read_anonymous("/proc", pid, (uint64_t)sysconf(_SC_PAGESIZE), &bytes), 0);
        assert_true(bytes >= HELD_BYTES);
        assert_int_equal(memory_read_private("/proc", pid, &found), 0);
        assert_true(found.small_bytes >= HELD_BYTES);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_private_memory_counts),
                cmocka_unit_test(anonymous_memory_is_what_is_resident_and_not_shared),
                cmocka_unit_test(a_file_without_private_lines_is_no_file_of_ours),
                cmocka_unit_test(other_files_are_read_when_the_first_thread_has_ended),
                cmocka_unit_test(who_lives_on_without_its_first_thread_holds_what_it_held),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
