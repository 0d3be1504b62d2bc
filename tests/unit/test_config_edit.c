/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_edit.h"

static void edited(const char *before, const char *after)
{
        char *text = config_edit_text(before, "model", "gamma", "0.45");

        assert_non_null(text);
        assert_string_equal(text, after);
        free(text);
}

static void a_value_is_replaced_where_it_stands(void **state)
{
        (void)state;
        edited("[energy]\ngamma = 7\n[model]\n# why\ngamma=0.3\ndelta = 0.2\n",
               "[energy]\ngamma = 7\n[model]\n# why\ngamma = 0.45\ndelta = 0.2\n");
        edited("[model]\n  gamma = 0.3", "[model]\ngamma = 0.45");
        edited("[model]\ngamma = 0.1\ngamma = 0.2\n", "[model]\ngamma = 0.1\ngamma = 0.45\n");
}

static void a_new_value_stands_behind_the_comment_that_shows_it(void **state)
{
        (void)state;
        edited("[model]\n# text\n#gamma = 0.3\n#delta = 0.2\n\n[x]\n",
               "[model]\n# text\n#gamma = 0.3\ngamma = 0.45\n#delta = 0.2\n\n[x]\n");
}

static void else_at_the_head_of_its_section_or_in_a_new_one(void **state)
{
        (void)state;
        edited("[model]\ngammas = 1\n", "[model]\ngamma = 0.45\ngammas = 1\n");
        edited("[model]", "[model]\ngamma = 0.45\n");
        edited("[models]\ngamma = 1", "[models]\ngamma = 1\n\n[model]\ngamma = 0.45\n");
        edited("", "[model]\ngamma = 0.45\n");
}

static void a_file_is_replaced_as_a_whole(void **state)
{
        char path[] = "/tmp/energat-config-XXXXXX", why[256] = "", text[64] = "";
        int fd = mkstemp(path);
        FILE *f;

        (void)state;
        assert_true(fd >= 0);
        assert_true(write(fd, "[model]\n", 8) == 8);
        close(fd);
        assert_int_equal(config_edit(path, "model", "gamma", "0.45", why, sizeof(why)), 0);
        f = fopen(path, "r");
        assert_non_null(f);
        assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
        fclose(f);
        assert_string_equal(text, "[model]\ngamma = 0.45\n");
        unlink(path);
        assert_int_equal(config_edit("/nonexistent/energatd.conf", "model", "gamma", "0.45", why,
                                     sizeof(why)),
                         -ENOENT);
        assert_non_null(strstr(why, "/nonexistent/energatd.conf"));
}

/* The daemon is another user, and reads it at the next reload. */
static void whoever_could_read_the_file_still_can(void **state)
{
        char directory[] = "/tmp/energat-config-XXXXXX", why[256] = "";
        struct stat s;
        mode_t mask;
        FILE *f;

        (void)state;
        assert_non_null(mkdtemp(directory));
        assert_int_equal(chdir(directory), 0);
        f = fopen("real", "w");
        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod("real", 0640), 0);
        if (geteuid() == 0)
                assert_int_equal(chown("real", 0, 12345), 0);
        assert_int_equal(symlink("real", "link"), 0);
        mask = umask(077);
        assert_int_equal(config_edit("link", "model", "gamma", "0.45", why, sizeof(why)), 0);
        assert_int_equal(config_edit("new", "model", "gamma", "0.45", why, sizeof(why)), 0);
        umask(mask);
        assert_int_equal(lstat("link", &s), 0);
        assert_true(S_ISLNK(s.st_mode));
        assert_int_equal(stat("real", &s), 0);
        assert_int_equal(s.st_mode & 07777, 0640);
        assert_true(s.st_size > 0);
        if (geteuid() == 0)
                assert_int_equal(s.st_gid, 12345);
        assert_int_equal(stat("new", &s), 0);
        assert_int_equal(s.st_mode & 07777, 0644);
        unlink("link");
        unlink("real");
        unlink("new");
        assert_int_equal(chdir("/"), 0);
        assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_value_is_replaced_where_it_stands),
                cmocka_unit_test(a_new_value_stands_behind_the_comment_that_shows_it),
                cmocka_unit_test(else_at_the_head_of_its_section_or_in_a_new_one),
                cmocka_unit_test(a_file_is_replaced_as_a_whole),
                cmocka_unit_test(whoever_could_read_the_file_still_can),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
