/* SPDX-License-Identifier: MIT */
/* Settings: which source goes before which, and what a bad file is told. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "settings.h"

static struct settings s; /* too large for a stack */
static char directory[64];
static char *messages;
static size_t messages_size;
static FILE *stream;

static int set_up(void **state)
{
        char name[64];

        (void)state;
        for (unsigned int id = 0; id < SETTINGS; id++)
                unsetenv(settings_variable(id, name));
        strcpy(directory, "/tmp/energat-settings.XXXXXX");
        if (!mkdtemp(directory) || chdir(directory) < 0)
                return -1;
        setenv("HOME", directory, 1);
        unsetenv("XDG_CONFIG_HOME");
        stream = open_memstream(&messages, &messages_size);
        settings_defaults(&s);
        return stream ? 0 : -1;
}

static int tear_down(void **state)
{
        (void)state;
        fclose(stream);
        free(messages);
        unlink("test.ini");
        unlink(".energat.ini");
        unlink(".config/energat.ini");
        rmdir(".config");
        return chdir("/") < 0 || rmdir(directory) < 0 ? -1 : 0;
}

static void put(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_int_equal(fputs(text, f) >= 0, 1);
        assert_int_equal(fclose(f), 0);
}

static int read_text(const char *text)
{
        int r;

        put("test.ini", text);
        r = settings_read_file(&s, "test.ini", SETTING_USER_FILE, stream);
        fflush(stream);
        return r;
}

static void every_default_is_a_valid_value(void **state)
{
        char why[256];

        (void)state;
        for (unsigned int id = 0; id < SETTINGS; id++) {
                const char *initial = settings_row(id)->initial;

                if (!initial[0]) {
                        assert_null(settings_text(&s, id));
                        assert_true(isnan(settings_number(&s, id)));
                        continue;
                }
                assert_int_equal(
                        settings_set(&s, id, initial, SETTING_DEFAULT, "", why, sizeof(why)), 0);
                assert_string_equal(settings_text(&s, id), initial);
        }
        assert_true(settings_number(&s, SETTING_PUE) == 1);
        assert_true(isnan(settings_number(&s, SETTING_EMISSIONS_FACTOR)));
}

static void a_value_says_where_it_came_from(void **state)
{
        (void)state;
        assert_int_equal(read_text("# mine\n[post-processing]\n  pue = 1.4\nprice_unit = CHF\n"),
                         0);
        assert_true(settings_number(&s, SETTING_PUE) == 1.4);
        assert_string_equal(s.values[SETTING_PUE].place, "test.ini:3");
        assert_int_equal(s.values[SETTING_PUE].origin, SETTING_USER_FILE);
        assert_string_equal(settings_text(&s, SETTING_PRICE_UNIT), "CHF");
        assert_true(settings_is_default(&s, SETTING_GAMMA));
        assert_string_equal(messages, "");
}

static void a_bad_value_names_file_line_and_key(void **state)
{
        (void)state;
        assert_int_equal(read_text("[post-processing]\n\npue = 0.9\n"), -EINVAL);
        assert_string_equal(messages, "test.ini:3: pue: '0.9' is not valid; must be a number of at "
                                      "least 1 and at most 10\n");
        assert_true(settings_number(&s, SETTING_PUE) == 1);
}

static void bad_values_of_every_kind_are_refused(void **state)
{
        static const char *const bad[] = {
                "[post-processing]\npue = 1,4\n",
                "[post-processing]\npue = nan\n",
                "[post-processing]\npue = 1.4 or so\n",
                "[post-processing]\npue =\n",
                "[output]\nformat = xml\n",
                "[measurement]\ngamma = 0\n",
                "[top]\ndelay = -1\n",
                "[connection]\nsocket =\n",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(read_text(bad[i]), -EINVAL);
}

static void an_unknown_key_warns_and_names_the_near_one(void **state)
{
        (void)state;
        assert_int_equal(read_text("[post-processing]\nprice_facotr = 0.3\npue = 2\n"), 0);
        assert_string_equal(messages, "test.ini:2: post-processing.price_facotr: unknown key, "
                                      "ignored; did you mean 'price_factor'?\n");
        assert_true(settings_number(&s, SETTING_PUE) == 2);
}

static void a_key_in_the_wrong_section_is_unknown(void **state)
{
        (void)state;
        assert_int_equal(read_text("[top]\npue = 2\n"), 0);
        assert_non_null(strstr(messages, "test.ini:2: top.pue: unknown key"));
        assert_true(settings_number(&s, SETTING_PUE) == 1);
}

static void a_line_that_is_none_is_named(void **state)
{
        (void)state;
        assert_int_equal(read_text("[top]\n\nthis is no setting\n"), -EINVAL);
        assert_non_null(strstr(messages, "test.ini:3: "));
}

static void a_line_that_is_too_long_is_named(void **state)
{
        char text[1024] = "[connection]\nsocket = /";

        (void)state;
        memset(text + strlen(text), 'x', 600);
        assert_int_equal(read_text(text), -EINVAL);
        assert_non_null(strstr(messages, "test.ini:2: the line is too long"));
        assert_true(settings_is_default(&s, SETTING_SOCKET) ||
                    strlen(settings_text(&s, SETTING_SOCKET)) < 600);
}

static void the_last_of_two_counts_and_is_told(void **state)
{
        (void)state;
        assert_int_equal(read_text("[top]\ndelay = 2\ndelay = 3\n"), 0);
        assert_true(settings_number(&s, SETTING_TOP_DELAY) == 3);
        assert_non_null(strstr(messages, "test.ini:3: delay: set before, on line 2"));
}

static void the_nearer_source_goes_first(void **state)
{
        char why[256];

        (void)state;
        assert_int_equal(mkdir(".config", 0700), 0);
        put(".config/energat.ini",
            "[post-processing]\npue = 1.1\nprice_unit = CHF\n[top]\ndelay=5\n");
        put(".energat.ini", "[post-processing]\npue = 1.2\n[top]\ndelay=6\n");
        setenv("ENERGAT_PUE", "1.3", 1);
        assert_int_equal(settings_load(&s, stream), 0);
        assert_true(settings_number(&s, SETTING_PUE) == 1.3);
        assert_string_equal(s.values[SETTING_PUE].place, "ENERGAT_PUE");
        assert_true(settings_number(&s, SETTING_TOP_DELAY) == 6);
        assert_int_equal(s.values[SETTING_TOP_DELAY].origin, SETTING_DIRECTORY_FILE);
        assert_string_equal(settings_text(&s, SETTING_PRICE_UNIT), "CHF");
        assert_int_equal(s.values[SETTING_PRICE_UNIT].origin, SETTING_USER_FILE);
        assert_int_equal(
                settings_set(&s, SETTING_PUE, "1.4", SETTING_OPTION, "--pue", why, sizeof(why)), 0);
        assert_true(settings_number(&s, SETTING_PUE) == 1.4);
}

static void the_users_file_can_be_elsewhere(void **state)
{
        struct settings_file files[SETTINGS_FILES];

        (void)state;
        setenv("XDG_CONFIG_HOME", "/somewhere", 1);
        settings_default_files(files);
        assert_string_equal(files[1].path, "/somewhere/energat.ini");
        setenv("XDG_CONFIG_HOME", "relative", 1); /* not valid: as if it were not set */
        setenv("HOME", "/home/a", 1);
        settings_default_files(files);
        assert_string_equal(files[1].path, "/home/a/.config/energat.ini");
        unsetenv("HOME");
        settings_default_files(files);
        assert_string_equal(files[1].path, "");
}

static void a_bad_variable_is_named(void **state)
{
        (void)state;
        setenv("ENERGAT_GAMMA", "7", 1);
        assert_int_equal(settings_read_environment(&s, stream), -EINVAL);
        fflush(stream);
        assert_non_null(strstr(messages, "ENERGAT_GAMMA in the environment: '7' is not valid"));
}

static void somebody_elses_directory_has_no_say(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip(); /* only root can give a file away */
        put(".energat.ini", "[connection]\nsocket = /tmp/trap\n");
        assert_int_equal(chown(".energat.ini", 12345, 12345), 0);
        assert_int_equal(settings_load(&s, stream), 0);
        fflush(stream);
        assert_non_null(strstr(messages, ".energat.ini: ignored"));
        assert_true(settings_is_default(&s, SETTING_SOCKET));
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
        (void)state;
        assert_int_equal(mkdir(".config", 0700), 0);
        assert_true(settings_read_file(&s, ".config", SETTING_USER_FILE, stream) < 0);
        assert_int_equal(settings_read_file(&s, "missing", SETTING_USER_FILE, stream), 0);
}

/* What anybody can leave in a folder such as /tmp: whoever works there is told, and works on. */
static int read_foreign(const char *expected)
{
        int r;

        alarm(20); /* a reader that waits is ended, and the test with it */
        r = settings_read_file(&s, ".energat.ini", SETTING_DIRECTORY_FILE, stream);
        alarm(0);
        fflush(stream);
        assert_non_null(messages);
        assert_non_null(strstr(messages, ".energat.ini: ignored: "));
        assert_non_null(strstr(messages, expected));
        assert_true(settings_is_default(&s, SETTING_PUE));
        return r;
}

static void a_pipe_in_the_directory_is_ignored(void **state)
{
        (void)state;
        assert_int_equal(mkfifo(".energat.ini", 0666), 0);
        assert_int_equal(read_foreign("it is no regular file"), 0);
}

static void a_link_in_the_directory_is_never_followed(void **state)
{
        (void)state;
        put("test.ini", "[post-processing]\npue = 1.5\n");
        assert_int_equal(symlink("test.ini", ".energat.ini"), 0);
        assert_int_equal(read_foreign("it is a link"), 0);
        unlink(".energat.ini");
        assert_int_equal(symlink("/dev/zero", ".energat.ini"), 0);
        assert_int_equal(read_foreign("it is a link"), 0);
}

static void a_file_in_the_directory_that_may_not_be_read_is_ignored(void **state)
{
        uid_t me = geteuid();

        (void)state;
        put(".energat.ini", "[post-processing]\npue = 1.5\n");
        assert_int_equal(chmod(".energat.ini", 0), 0);
        assert_int_equal(chmod(directory, 0755), 0);
        if (me == 0) /* who may read everything */
                assert_int_equal(seteuid(65534), 0);
        assert_int_equal(read_foreign("Permission denied"), 0);
        assert_int_equal(seteuid(me), 0);
}

/* A user who may not read everything, with a home that is somebody else's: what setpriv or runuser
 * leave of HOME.  Root becomes one; other users take the rights from themselves. */
static uid_t become_a_stranger(mode_t mode)
{
        uid_t me = geteuid();

        assert_int_equal(chmod(directory, mode), 0);
        if (me == 0)
                assert_int_equal(seteuid(65534), 0);
        return me;
}

static void become_again(uid_t me)
{
        assert_int_equal(seteuid(me), 0);
        assert_int_equal(chmod(directory, 0700), 0);
}

static void a_folder_that_cannot_be_searched_holds_no_settings(void **state)
{
        uid_t me;

        (void)state;
        assert_int_equal(mkdir(".config", 0755), 0);
        put(".config/energat.ini", "[post-processing]\npue = 1.5\n");
        put(".energat.ini", "[post-processing]\npue = 1.6\n");
        me = become_a_stranger(0);
        assert_int_equal(settings_load(&s, stream), 0); /* $HOME and the current directory */
        setenv("XDG_CONFIG_HOME", directory, 1);
        assert_int_equal(settings_load(&s, stream), 0);
        become_again(me);
        fflush(stream);
        assert_string_equal(messages, "");
        assert_true(settings_is_default(&s, SETTING_PUE));
}

static void ones_own_file_that_may_not_be_read_is_an_error(void **state)
{
        uid_t me;
        int r;

        (void)state;
        assert_int_equal(mkdir(".config", 0755), 0);
        put(".config/energat.ini", "[post-processing]\npue = 1.5\n");
        assert_int_equal(chmod(".config/energat.ini", 0), 0);
        me = become_a_stranger(0755);
        r = settings_load(&s, stream);
        become_again(me);
        fflush(stream);
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(messages, "/energat.ini: cannot be read: Permission denied"));
}

static void the_systems_file_out_of_reach_is_an_error(void **state)
{
        uid_t me;
        int r;

        (void)state;
        put("test.ini", "[post-processing]\npue = 1.5\n");
        me = become_a_stranger(0);
        r = settings_read_file(&s, "test.ini", SETTING_SYSTEM_FILE, stream);
        become_again(me);
        assert_int_equal(r, -EACCES);
}

static void ones_own_file_that_is_no_file_is_an_error(void **state)
{
        (void)state;
        assert_int_equal(mkfifo("test.ini", 0600), 0);
        alarm(20);
        assert_int_equal(settings_read_file(&s, "test.ini", SETTING_USER_FILE, stream), -EINVAL);
        alarm(0);
        fflush(stream);
        assert_non_null(strstr(messages, "test.ini: cannot be read: it is no regular file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(every_default_is_a_valid_value),
                TEST(a_value_says_where_it_came_from),
                TEST(a_bad_value_names_file_line_and_key),
                TEST(bad_values_of_every_kind_are_refused),
                TEST(an_unknown_key_warns_and_names_the_near_one),
                TEST(a_key_in_the_wrong_section_is_unknown),
                TEST(a_line_that_is_none_is_named),
                TEST(a_line_that_is_too_long_is_named),
                TEST(the_last_of_two_counts_and_is_told),
                TEST(the_nearer_source_goes_first),
                TEST(the_users_file_can_be_elsewhere),
                TEST(a_bad_variable_is_named),
                TEST(somebody_elses_directory_has_no_say),
                TEST(a_pipe_in_the_directory_is_ignored),
                TEST(a_link_in_the_directory_is_never_followed),
                TEST(a_file_in_the_directory_that_may_not_be_read_is_ignored),
                TEST(a_folder_that_cannot_be_searched_holds_no_settings),
                TEST(ones_own_file_that_may_not_be_read_is_an_error),
                TEST(the_systems_file_out_of_reach_is_an_error),
                TEST(ones_own_file_that_is_no_file_is_an_error),
                TEST(a_file_that_cannot_be_read_is_an_error),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
