/* SPDX-License-Identifier: MIT */
#include "configuration.h"

#include "log.h"
#include "tree.h"

/* A file that changes while the daemon runs, and what reading it again does. */
static struct configuration c;
static char path[] = "/tmp/energat-test-XXXXXX";
static char why[256];

static void write_file(const char *text)
{
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
        log_set_level(LOG_EMERG); /* what is wrong on purpose would fill the output */
        write_file("[model]\ngamma = 0.5\n[sampling]\nperiod = 20ms\n");
        configuration_init(&c, path);
        assert_int_equal(configuration_load(&c), 0);
        assert_true(c.config.gamma == 0.5);
        return 0;
}

static char *warnings_of(void)
{
        json_t *warnings = json_array();
        char *text;

        configuration_warnings(&c, warnings);
        text = json_dumps(warnings, JSON_COMPACT);
        json_decref(warnings);
        return text;
}

static void a_live_key_takes_effect(void **state)
{
        write_file("[model]\ngamma = 0.7\n[sampling]\nperiod = 20ms\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_true(c.config.gamma == 0.7);
        assert_string_equal(c.waiting, "");
}

static void other_keys_wait_and_are_named(void **state)
{
        char *warnings;

        write_file("[model]\ngamma = 0.5\n[sampling]\nperiod = 30ms\n[energy]\nsource = perf\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_int_equal(c.config.tick_ns, 20000000);
        assert_int_equal(c.wanted.tick_ns, 30000000);
        assert_string_equal(c.waiting, "energy.source, sampling.period");
        warnings = warnings_of();
        assert_non_null(strstr(warnings, "waits for a restart of energatd: energy.source, samp"));
        free(warnings);
        /* and are forgotten when the file is as it was */
        write_file("[model]\ngamma = 0.5\n[sampling]\nperiod = 20ms\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_string_equal(c.waiting, "");
}

static void a_key_that_left_the_file_has_its_default(void **state)
{
        write_file("[sampling]\nperiod = 20ms\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_true(c.config.gamma == 0.3);
}

static void a_bad_file_changes_nothing_and_is_told(void **state)
{
        struct config before = c.config;
        char *warnings;

        write_file("[model]\ngamma = 0.9\ndelta = banana\n");
        assert_int_equal(configuration_reload(&c), -EINVAL);
        assert_memory_equal(&c.config, &before, sizeof(before));
        assert_non_null(strstr(c.problem, ":3: model.delta: 'banana' is not valid"));
        warnings = warnings_of();
        assert_non_null(strstr(warnings, "model.delta: 'banana'"));
        free(warnings);
        /* until it is mended */
        write_file("[model]\ngamma = 0.9\n[sampling]\nperiod = 20ms\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_string_equal(c.problem, "");
        assert_true(c.config.gamma == 0.9);
        warnings = warnings_of();
        assert_string_equal(warnings, "[]");
        free(warnings);
}

static void an_interval_below_the_period_in_force_is_refused(void **state)
{
        /* together they are right, but the period waits and the interval would not */
        write_file("[model]\ngamma = 0.9\ninterval = 15ms\n[sampling]\nperiod = 10ms\n");
        assert_int_equal(configuration_reload(&c), -EINVAL);
        assert_non_null(strstr(c.problem, "model.interval: is shorter than the sampling.period"));
        assert_int_equal(c.config.interval_ns, 1000000000);
        assert_true(c.config.gamma == 0.5);
}

static void options_go_before_the_file_always(void **state)
{
        assert_int_equal(configuration_option(&c, "model.gamma", "0.25", why, sizeof(why)), 0);
        assert_int_equal(configuration_load(&c), 0);
        assert_true(c.config.gamma == 0.25);
        write_file("[model]\ngamma = 0.7\n");
        assert_int_equal(configuration_reload(&c), 0);
        assert_true(c.config.gamma == 0.25);
        assert_int_equal(configuration_option(&c, "model.gamma", "7", why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "'7' is not valid"));
}

static void a_named_file_that_has_gone_is_refused(void **state)
{
        assert_int_equal(unlink(path), 0);
        assert_int_equal(configuration_reload(&c), -ENOENT);
        assert_true(c.config.gamma == 0.5);
        assert_non_null(strstr(c.problem, path));
        assert_non_null(strstr(c.problem, "No such file"));
}

static void a_default_file_need_not_be_there(void **state)
{
        configuration_init(&c, NULL);
        assert_string_equal(c.path, "/etc/energat/energatd.conf");
        /* the same rule on a path that is certainly not there */
        snprintf(c.path, sizeof(c.path), "/nonexistent/energatd.conf");
        assert_int_equal(configuration_load(&c), 0);
        assert_false(c.found);
        assert_true(c.config.gamma == 0.3);
}

static void a_long_list_of_errors_is_cut(void **state)
{
        static char text[20000] = "[model]\n";

        for (int i = 0; i < 500; i++)
                strcat(text, "gamma = 7\n");
        write_file(text);
        assert_int_equal(configuration_reload(&c), -EINVAL);
        assert_true(strlen(c.problem) < sizeof(c.problem));
        assert_string_equal(c.problem + strlen(c.problem) - 4, " ...");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_live_key_takes_effect),
                TEST(other_keys_wait_and_are_named),
                TEST(a_key_that_left_the_file_has_its_default),
                TEST(a_bad_file_changes_nothing_and_is_told),
                TEST(an_interval_below_the_period_in_force_is_refused),
                TEST(options_go_before_the_file_always),
                TEST(a_named_file_that_has_gone_is_refused),
                TEST(a_default_file_need_not_be_there),
                TEST(a_long_list_of_errors_is_cut),
        };
        int fd = mkstemp(path), failed;

        if (fd < 0)
                return 1;
        close(fd);
        failed = cmocka_run_group_tests(tests, NULL, NULL);
        unlink(path);
        return failed;
}
