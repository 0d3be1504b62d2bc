/* SPDX-License-Identifier: MIT */
/* Where the socket may be made, and with which mode; the same rules hold for the state directory.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "directory.h"
#include "listener.h"
#include "tree.h"

#define SOME_ID 4321 /* neither root nor whoever runs this */

static struct tree tree;
static bool listening;
static char why[CONFIG_PATH_MAX + 256];

static int setup(void **state)
{
        (void)state;
        why[0] = '\0';
        tree_make(&tree);
        return 0;
}

static int teardown(void **state)
{
        (void)state;
        tree_remove(&tree, "");
        return 0;
}

/* A name can be a link to another file by the time its mode is changed. */
int __real_chmod(const char *path, mode_t mode);
int __wrap_chmod(const char *path, mode_t mode);

int __wrap_chmod(const char *path, mode_t mode)
{
        if (listening)
                fail_msg("chmod(%s, %04o) as root follows links", path, mode);
        return __real_chmod(path, mode);
}

static void the_socket_is_for_all_from_the_beginning(void **state)
{
        struct listener l;
        struct stat st;
        mode_t before = umask(0077);

        (void)state;
        listening = true;
        assert_int_equal(
                listener_open(&l, tree_path(&tree, "s"), geteuid(), getegid(), why, sizeof(why)),
                0);
        listening = false;
        assert_int_equal(umask(before), 0077);
        assert_int_equal(stat(l.path, &st), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0666);
        listener_close(&l);
}

static int check(uid_t uid, gid_t gid)
{
        return directory_check(tree.root, uid, gid, why, sizeof(why));
}

/* Whose the tree is then: not root's, where that can be had. */
static void give_away(uid_t *uid, gid_t *gid)
{
        *uid = geteuid() ? geteuid() : SOME_ID;
        *gid = geteuid() ? getegid() : SOME_ID;
        assert_int_equal(chown(tree.root, *uid, *gid), 0);
}

static void a_directory_in_which_anybody_may_write_is_refused(void **state)
{
        uid_t uid = geteuid();
        gid_t gid = getegid();

        (void)state;
        assert_int_equal(check(uid, gid), 0);
        assert_int_equal(chmod(tree.root, 0757), 0);
        assert_int_equal(check(uid, gid), -EPERM);
        assert_non_null(strstr(why, "chmod o-w"));
        assert_int_equal(chmod(tree.root, 01777), 0); /* as /tmp is */
        assert_int_equal(check(uid, gid), 0);
}

static void a_directory_of_another_user_is_worth_a_warning(void **state)
{
        uid_t uid;
        gid_t gid;

        (void)state;
        give_away(&uid, &gid);
        assert_int_equal(chmod(tree.root, 0700), 0);
        assert_int_equal(check(uid, gid), 0);
        assert_int_equal(check(uid + 1, gid), 1);
        assert_non_null(strstr(why, "chown"));
        assert_int_equal(chmod(tree.root, 01777), 0);
        assert_int_equal(check(uid + 1, gid), 1);
}

static void a_directory_in_which_another_group_may_write_is_too(void **state)
{
        uid_t uid;
        gid_t gid;

        (void)state;
        give_away(&uid, &gid);
        assert_int_equal(chmod(tree.root, 0755), 0);
        assert_int_equal(check(uid, gid + 1), 0);
        assert_int_equal(chmod(tree.root, 0775), 0);
        assert_int_equal(check(uid, gid), 0);
        assert_int_equal(check(uid, gid + 1), 1);
        assert_non_null(strstr(why, "chmod g-w"));
}

int main(void)
{
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_socket_is_for_all_from_the_beginning),
                TEST(a_directory_in_which_anybody_may_write_is_refused),
                TEST(a_directory_of_another_user_is_worth_a_warning),
                TEST(a_directory_in_which_another_group_may_write_is_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
