/* SPDX-License-Identifier: MIT */
#include "../config_print.h"
#include "tree.h"

/* A file of text, or of bytes, and what becomes of it. */
static struct config config;
static char *messages;

static int setup(void **state)
{
        config_defaults(&config);
        messages = NULL;
        return 0;
}

static int teardown(void **state)
{
        free(messages);
        return 0;
}

static int parse_bytes(const void *bytes, size_t length)
{
        size_t size;
        FILE *out, *in = length ? fmemopen((void *)(uintptr_t)bytes, length, "r")
                                : fopen("/dev/null", "re");
        int r;

        free(messages);
        out = open_memstream(&messages, &size);
        assert_non_null(in);
        assert_non_null(out);
        r = config_parse(&config, in, "test.conf", out);
        fclose(in);
        fclose(out);
        return r;
}

static int parse(const char *text)
{
        return parse_bytes(text, strlen(text));
}

static void assert_messages(const char *expected)
{
        assert_string_equal(messages, expected);
}

static void assert_refused(const char *text, const char *message)
{
        struct config before = config;

        assert_int_equal(parse(text), -EINVAL);
        if (!strstr(messages, message))
                fail_msg("'%s' has no '%s'", messages, message);
        assert_memory_equal(&config, &before, sizeof(config));
}

/* wherever they come from */
static void assert_same_values(const struct config *a, const struct config *b)
{
        assert_memory_equal(a, b, offsetof(struct config, places));
}

static void defaults_are_those_of_the_design(void **state)
{
        assert_string_equal(config.source, "auto");
        assert_string_equal(config.powercap_root, "/sys/class/powercap");
        assert_true(config.estimate_idle_w == 0.74);
        assert_true(config.estimate_busy_w == 2.76);
        assert_int_equal(config.tick_ns, 10000000);
        assert_string_equal(config.model, "energat");
        assert_int_equal(config.interval_ns, 1000000000);
        assert_true(config.gamma == 0.3);
        assert_true(config.delta == 0.2);
        assert_string_equal(config.probe, "auto");
        assert_int_equal(config.max_processes, 16384);
        assert_false(config.irq);
        assert_string_equal(config.socket, "/run/energat/energat.sock");
        assert_string_equal(config.state_dir, "/var/lib/energat");
        assert_string_equal(config.log_level, "info");
        assert_string_equal(config.user, "energat");
}

static void every_key_is_read(void **state)
{
        assert_int_equal(parse("[energy]\n"
                               "source = powercap\n"
                               "powercap_root=/tmp/power cap#1;2\n"
                               "  estimate_idle_w   =  1.5  \n"
                               "estimate_busy_w = 12\n"
                               "[sampling]\n"
                               "period = 20ms\n"
                               "[ model ]\n"
                               "model = additive\n"
                               "interval = 0.5\n"
                               "gamma = 1\n"
                               "delta = .25\n"
                               "# a comment\n"
                               "; another = one\n"
                               "\n"
                               "[accounting]\n"
                               "probe = proc\n"
                               "max_processes = 5000\n"
                               "irq = yes\n"
                               "[server]\n"
                               "socket = /tmp/s\n"
                               "state_dir = state\n"
                               "log_level = debug\n"
                               "idle_timeout = 5s\n"
                               "[access]\n"
                               "group = staff\n"
                               "interval = 2s\n"
                               "own_processes = no\n"
                               "[daemon]\n"
                               "user = _energat-2.x"),
                         0);
        assert_messages("");
        assert_string_equal(config.source, "powercap");
        assert_string_equal(config.powercap_root, "/tmp/power cap#1;2");
        assert_true(config.estimate_idle_w == 1.5);
        assert_true(config.estimate_busy_w == 12);
        assert_int_equal(config.tick_ns, 20000000);
        assert_string_equal(config.model, "additive");
        assert_int_equal(config.interval_ns, 500000000);
        assert_true(config.gamma == 1);
        assert_true(config.delta == 0.25);
        assert_string_equal(config.probe, "proc");
        assert_int_equal(config.max_processes, 8192);
        assert_true(config.irq);
        assert_string_equal(config.socket, "/tmp/s");
        assert_string_equal(config.state_dir, "state");
        assert_string_equal(config.log_level, "debug");
        assert_int_equal(config.idle_timeout_ns, 5000000000);
        assert_string_equal(config.access_group, "staff");
        assert_int_equal(config.access_interval_ns, 2000000000);
        assert_false(config.access_own_processes);
        assert_string_equal(config.user, "_energat-2.x");
}

static void an_empty_file_changes_nothing(void **state)
{
        struct config before = config;

        assert_int_equal(parse(""), 0);
        assert_int_equal(parse("\n\n"), 0);
        assert_int_equal(parse("[energy]\n"), 0);
        assert_messages("");
        assert_memory_equal(&config, &before, sizeof(config));
}

static void times_have_units_and_bounds(void **state)
{
        static const struct {
                const char *text;
                uint64_t ns; /* 0: refused */
        } cases[] = {
                {"10ms", 10000000},
                {"0.01", 10000000},
                {"0.01s", 10000000},
                {"0.01 s", 10000000},
                {"1s", 1000000000},
                {"1", 1000000000},
                {"10", 10000000000},
                {"1ms", 1000000},
                {"0.001", 1000000},
                {"1500us", 1500000},
                {"1000001ns", 1000001},
                {"2.5ms", 2500000},
                {"0", 0},
                {"0.9ms", 0},
                {"999999ns", 0},
                {"10.1", 0},
                {"10001ms", 0},
                {"-1", 0},
                {"1m", 0},
                {"ms", 0},
                {"1e-2", 0},
                {"0x1", 0},
                {"inf", 0},
                {"nan", 0},
                {"1..0", 0},
                {"1 0", 0},
                {".", 0},
                {"", 0},
                {"10 MS", 0},
        };
        char why[256];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int r = config_set(&config, "sampling.period", cases[i].text, why, sizeof(why));

                if (r != (cases[i].ns ? 0 : -EINVAL))
                        fail_msg("'%s' gives %d", cases[i].text, r);
                if (cases[i].ns)
                        assert_int_equal(config.tick_ns, cases[i].ns);
                else
                        assert_non_null(strstr(why, "must be a time from 1ms to 10s"));
        }
}

static void values_out_of_bounds_are_refused(void **state)
{
        static const char *const cases[][2] = {
                {"energy.source", "RAPL"},
                {"energy.source", ""},
                {"energy.source", "powercap perf"},
                {"energy.powercap_root", ""},
                {"energy.estimate_idle_w", "-1"},
                {"energy.estimate_busy_w", "10001"},
                {"energy.estimate_busy_w", "1,5"},
                {"model.model", "shapley"},
                {"model.model", "Energat"},
                {"model.model", "energat additive"},
                {"model.gamma", "0"},
                {"model.gamma", "nan"},
                {"model.interval", "nan"},
                {"model.gamma", "1.01"},
                {"model.delta", "0.0"},
                {"model.delta", "x"},
                {"model.interval", "9ms"},
                {"model.interval", "3601"},
                {"accounting.probe", "ebpf"},
                {"accounting.max_processes", "63"},
                {"accounting.max_processes", "4194305"},
                {"accounting.max_processes", "1e3"},
                {"accounting.max_processes", "100.5"},
                {"accounting.irq", "maybe"},
                {"accounting.irq", "YES"},
                {"server.log_level", "loud"},
                {"server.state_dir", "/x # where it is"},
                {"daemon.user", ""},
                {"daemon.user", "0"},
                {"daemon.user", "a b"},
                {"daemon.user", "../root"},
                {"daemon.user", "a-name-longer-than-any-login-name-is"},
        };
        struct config before = config;
        char why[256];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                int r = config_set(&config, cases[i][0], cases[i][1], why, sizeof(why));

                if (r != -EINVAL)
                        fail_msg("%s = %s gives %d", cases[i][0], cases[i][1], r);
                assert_non_null(strstr(why, "is not valid; must be "));
        }
        assert_memory_equal(&config, &before, sizeof(config));
}

static void a_socket_path_must_fit_into_an_address(void **state)
{
        char path[109], why[256];

        memset(path, 'x', sizeof(path));
        path[108] = '\0';
        assert_int_equal(config_set(&config, "server.socket", path, why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "107"));
        path[107] = '\0';
        assert_int_equal(config_set(&config, "server.socket", path, why, sizeof(why)), 0);
        assert_string_equal(config.socket, path);
}

static void keys_that_do_not_exist_are_enoent(void **state)
{
        static const char *const keys[] = {
                "energy.sauce", "source",       "energy.",       ".source", "",
                "energysource", "model.source", "energy.source "};
        char why[256];

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                assert_int_equal(config_set(&config, keys[i], "auto", why, sizeof(why)), -ENOENT);
        assert_string_equal(why, "there is no key 'energy.source '");
}

static void yes_and_no_have_their_usual_spellings(void **state)
{
        static const char *const yes[] = {"yes", "true", "on", "1"};
        static const char *const no[] = {"no", "false", "off", "0"};
        char why[256];

        for (int i = 0; i < 4; i++) {
                assert_int_equal(config_set(&config, "accounting.irq", yes[i], why, 256), 0);
                assert_true(config.irq);
                assert_int_equal(config_set(&config, "accounting.irq", no[i], why, 256), 0);
                assert_false(config.irq);
        }
}

static void an_error_names_file_line_and_key(void **state)
{
        assert_int_equal(parse("[energy]\n\n# x\nsource = steam\n"), -EINVAL);
        assert_messages("test.conf:4: energy.source: 'steam' is not valid; must be one of: "
                        "auto powercap perf msr hwmon estimate\n");
}

static void every_error_of_a_file_is_told(void **state)
{
        assert_int_equal(parse("[energy]\nsource = steam\n[model]\ngamma = 2\nnonsense\n"),
                         -EINVAL);
        assert_non_null(strstr(messages, "test.conf:2: energy.source: "));
        assert_non_null(strstr(messages, "test.conf:4: model.gamma: "));
        assert_non_null(strstr(messages, "test.conf:5: 'nonsense' is neither"));
}

static void one_error_leaves_the_whole_configuration_alone(void **state)
{
        assert_refused("[model]\ngamma = 0.5\n[server]\nlog_level = loud\n", "log_level");
}

static void a_bad_word_is_refused_with_those_that_there_are(void **state)
{
        char why[256];

        assert_refused("[model]\nmodel = shapley\n",
                       "test.conf:2: model.model: 'shapley' is not valid; must be one of: energat "
                       "additive");
        assert_int_equal(config_set(&config, "model.model", "x", why, sizeof(why)), -EINVAL);
        assert_non_null(strstr(why, "one of: energat additive"));
        assert_true(config_has_choice("model.model", "additive"));
        assert_false(config_has_choice("model.model", "additiv"));
        assert_false(config_has_choice("model.model", ""));
        assert_false(config_has_choice("model.gamma", "0.3"));
        assert_false(config_has_choice("model", "energat"));
}

static void unknown_keys_and_sections_are_warnings(void **state)
{
        assert_int_equal(parse("[model]\nalpha = 1\ngamma = 0.5\n[weather]\nrain = 1\n"), 0);
        assert_messages("test.conf:2: model.alpha: unknown key, ignored; keys of this section: "
                        "model, interval, gamma, delta\n"
                        "test.conf:5: weather.rain: unknown key, ignored; sections: "
                        "energy, sampling, model, accounting, server, access, daemon\n");
        assert_true(config.gamma == 0.5);
}

static void what_may_be_meant_is_suggested(void **state)
{
        static const char *const cases[][3] = {
                {"sampling", "perod", "did you mean sampling.period? "},
                {"sampling", "periods", "did you mean sampling.period? "},
                {"server", "period", "did you mean sampling.period? "},
                {"server", "stat_dri", "did you mean server.state_dir? "},
                {"server", "sock_direct", NULL},
                {"model", "alpha", NULL},
                {"accounting", "ira", "did you mean accounting.irq? "},
                {"accounting", "arm", NULL},
                {"accounting", "max-processes", "did you mean accounting.max_processes? "},
                {"energy", "sources", "did you mean energy.source? "},
        };
        char text[256];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                snprintf(text, sizeof(text), "[%s]\n%s = 1\n", cases[i][0], cases[i][1]);
                assert_int_equal(parse(text), 0);
                if (cases[i][2] ? !strstr(messages, cases[i][2])
                                : strstr(messages, "did you mean") != NULL)
                        fail_msg("%s.%s gives: %s", cases[i][0], cases[i][1], messages);
        }
}

static size_t number_of(const char *section, const char *key)
{
        for (size_t i = 0; i < config_nkeys(); i++)
                if (strcmp(config_section(i), section) == 0 && strcmp(config_key(i), key) == 0)
                        return i;
        fail_msg("there is no key %s.%s", section, key);
        return 0;
}

static void each_value_knows_where_it_comes_from(void **state)
{
        size_t gamma = number_of("model", "gamma"), socket = number_of("server", "socket");
        char why[256];

        assert_int_equal(config.places[gamma].origin, CONFIG_DEFAULT);
        assert_int_equal(parse("[model]\n\ngamma = 0.5\n"), 0);
        assert_int_equal(config.places[gamma].origin, CONFIG_FILE);
        assert_int_equal(config.places[gamma].line, 3);
        assert_int_equal(config.places[socket].origin, CONFIG_DEFAULT);
        assert_int_equal(config_set(&config, "model.gamma", "0.7", why, sizeof(why)), 0);
        assert_int_equal(config.places[gamma].origin, CONFIG_OPTION);
}

static void a_value_can_be_taken_over_alone(void **state)
{
        char text[CONFIG_PATH_MAX];
        struct config other;

        assert_int_equal(parse("[model]\ngamma = 0.123\ndelta = 0.7\n"), 0);
        config_defaults(&other);
        config_copy_value(&other, &config, number_of("model", "gamma"));
        assert_true(other.gamma == 0.123 && other.delta == 0.2);
        assert_int_equal(other.places[number_of("model", "gamma")].line, 2);
        config_value(&other, number_of("model", "gamma"), text);
        assert_string_equal(text, "0.123");
}

static void of_a_key_set_twice_the_last_holds(void **state)
{
        assert_int_equal(parse("[model]\ngamma = 0.5\n[model]\ngamma = 0.7\n"), 0);
        assert_messages("test.conf:4: model.gamma: is set a second time; "
                        "this one holds, not that of line 2\n");
        assert_true(config.gamma == 0.7);
}

static void a_key_outside_a_section_is_an_error(void **state)
{
        assert_refused("gamma = 0.5\n", "test.conf:1: gamma: is in no section");
        /* nor does it fall into the section before a broken one */
        assert_refused("[model]\n[energy\ngamma = 0.5\n", "test.conf:3: gamma: is in no section");
}

static void malformed_lines_are_errors(void **state)
{
        assert_refused("[energy\n", "test.conf:1: '[energy' is not a section");
        assert_refused("[]\n", "is not a section");
        assert_refused("[\n", "is not a section");
        assert_refused("[energy] # why\n", "is not a section");
        assert_refused("[[energy]]\n", "is not a section");
        assert_refused("[energy]\nsource\n", "test.conf:2: 'source' is neither");
        assert_refused("[energy]\n= auto\n", "is neither");
        assert_refused("[energy]\nsource =\n", "energy.source: '' is not valid");
        assert_refused("[energy]\nsource : auto\n", "is neither");
}

static void an_interval_below_the_period_is_refused(void **state)
{
        assert_refused("[sampling]\nperiod = 2s\n",
                       "test.conf:2: model.interval: is shorter than sampling.period; "
                       "must be at least 2s");
        assert_refused("[sampling]\nperiod = 50ms\n[model]\ninterval = 20ms\n", "test.conf:4: ");
        assert_int_equal(parse("[sampling]\nperiod = 2s\n[model]\ninterval = 2s\n"), 0);
}

static void windows_files_are_read(void **state)
{
        assert_int_equal(parse("\xef\xbb\xbf[model]\r\ngamma = 0.5\r\n\r\n# c\r\n"), 0);
        assert_messages("");
        assert_true(config.gamma == 0.5);
        /* a mark is one at the beginning only */
        assert_refused("[model]\n\xef\xbb\xbfgamma = 0.5\n[energy]\nsource=x\n", "unknown key");
}

static void a_nul_byte_is_an_error(void **state)
{
        static const char bytes[] = "[model]\ngamma = 0.5\0\ndelta = 0.5\n";

        assert_int_equal(parse_bytes(bytes, sizeof(bytes) - 1), -EINVAL);
        assert_messages("test.conf:2: the line has a NUL byte; is it a text file?\n");
        assert_true(config.gamma == 0.3);
}

static void a_line_that_is_too_long_is_an_error_and_the_next_is_read(void **state)
{
        static char text[20000];

        snprintf(text, sizeof(text), "[energy]\n%010000d\nsource = steam\n", 0);
        assert_int_equal(parse(text), -EINVAL);
        assert_non_null(strstr(messages, "test.conf:2: the line is longer than 8191 bytes"));
        assert_non_null(strstr(messages, "test.conf:3: energy.source: 'steam'"));
}

static void a_path_may_be_as_long_as_paths_are(void **state)
{
        static char text[CONFIG_PATH_MAX + 64] = "[server]\nstate_dir = ";
        size_t start = strlen(text);

        memset(text + start, 'p', CONFIG_PATH_MAX - 1);
        assert_int_equal(parse(text), 0);
        assert_int_equal(strlen(config.state_dir), CONFIG_PATH_MAX - 1);
        text[start + CONFIG_PATH_MAX - 1] = 'p';
        assert_refused(text, "server.state_dir: ");
        /* of which a message shows a part */
        assert_true(strlen(messages) < 256);
}

static void a_file_without_end_is_refused(void **state)
{
        size_t size;
        FILE *out;

        free(messages);
        out = open_memstream(&messages, &size);
        assert_int_equal(config_load(&config, "/dev/zero", out), -EINVAL);
        fclose(out);
        assert_non_null(strstr(messages, "/dev/zero:1: the file is larger than"));
}

static void control_bytes_do_not_reach_the_log(void **state)
{
        assert_int_equal(parse("[energy]\nsource = \x1b[2J\xff\n\x1b[model]\n"), -EINVAL);
        for (const char *p = messages; *p; p++)
                assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
        size_t size;
        FILE *out;

        free(messages);
        out = open_memstream(&messages, &size);
        assert_int_equal(config_load(&config, "/nonexistent/x.conf", out), -ENOENT);
        assert_int_equal(config_load(&config, "/", out), -EISDIR);
        fclose(out);
        assert_messages("/nonexistent/x.conf: cannot be opened: No such file or directory\n"
                        "/: cannot be read: Is a directory\n");
}

static char *print(const struct config *c)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        config_print(c, out);
        fclose(out);
        return text;
}

static void what_is_printed_reads_back_the_same(void **state)
{
        static const char *const settings[][2] = {
                {"energy.estimate_idle_w", "0.00000000000000000001"},
                {"energy.estimate_busy_w", "9999.99999999999999999999"},
                {"model.gamma", "0.33333333333333333333"},
                {"model.delta", "0.1234567"},
                {"sampling.period", "1234567ns"},
                {"model.interval", "12.5"},
                {"accounting.max_processes", "4194304"},
                {"accounting.irq", "on"},
                {"server.socket", "/run/a b.sock"},
        };
        struct config printed;
        char *text, why[256];

        for (int changed = 0; changed < 2; changed++) {
                for (size_t i = 0; changed && i < sizeof(settings) / sizeof(settings[0]); i++)
                        assert_int_equal(config_set(&config, settings[i][0], settings[i][1], why,
                                                    sizeof(why)),
                                         0);
                printed = config;
                text = print(&config);
                config_defaults(&config);
                assert_int_equal(parse(text), 0);
                assert_messages("");
                assert_same_values(&config, &printed);
                free(text);
        }
}

/* With the comment marks taken off, the file that is installed says what the program does. */
static void the_installed_file_tells_every_key_and_its_default(void **state)
{
        FILE *in = fopen(ENERGAT_SOURCE_DIR "/configs/energatd.conf", "re");
        char line[256], *uncommented = NULL, *printed, *saveptr;
        struct config defaults = config;
        size_t size;
        FILE *out = open_memstream(&uncommented, &size);

        assert_non_null(in);
        assert_non_null(out);
        while (fgets(line, sizeof(line), in)) {
                size_t word = strspn(line + 1, "abcdefghijklmnopqrstuvwxyz_");

                assert_non_null(strchr(line, '\n'));
                if (line[0] == '#' && strncmp(line + 1 + word, " = ", 3) == 0)
                        fputs(line + 1, out);
                else
                        fputs(line, out);
        }
        fclose(in);
        fclose(out);

        /* so that a default that is not in the file shows */
        memset(&config, 0, sizeof(config));
        config.interval_ns = UINT64_MAX;
        assert_int_equal(parse(uncommented), 0);
        assert_messages("");
        assert_same_values(&config, &defaults);

        printed = print(&defaults);
        for (char *row = strtok_r(printed, "\n", &saveptr); row;
             row = strtok_r(NULL, "\n", &saveptr))
                assert_non_null(strstr(uncommented, row));
        free(printed);
        free(uncommented);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(defaults_are_those_of_the_design),
                TEST(every_key_is_read),
                TEST(an_empty_file_changes_nothing),
                TEST(times_have_units_and_bounds),
                TEST(values_out_of_bounds_are_refused),
                TEST(a_socket_path_must_fit_into_an_address),
                TEST(keys_that_do_not_exist_are_enoent),
                TEST(yes_and_no_have_their_usual_spellings),
                TEST(an_error_names_file_line_and_key),
                TEST(every_error_of_a_file_is_told),
                TEST(one_error_leaves_the_whole_configuration_alone),
                TEST(a_bad_word_is_refused_with_those_that_there_are),
                TEST(unknown_keys_and_sections_are_warnings),
                TEST(what_may_be_meant_is_suggested),
                TEST(each_value_knows_where_it_comes_from),
                TEST(a_value_can_be_taken_over_alone),
                TEST(of_a_key_set_twice_the_last_holds),
                TEST(a_key_outside_a_section_is_an_error),
                TEST(malformed_lines_are_errors),
                TEST(an_interval_below_the_period_is_refused),
                TEST(windows_files_are_read),
                TEST(a_nul_byte_is_an_error),
                TEST(a_line_that_is_too_long_is_an_error_and_the_next_is_read),
                TEST(a_path_may_be_as_long_as_paths_are),
                TEST(a_file_without_end_is_refused),
                TEST(control_bytes_do_not_reach_the_log),
                TEST(a_file_that_cannot_be_read_is_named),
                TEST(what_is_printed_reads_back_the_same),
                TEST(the_installed_file_tells_every_key_and_its_default),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
