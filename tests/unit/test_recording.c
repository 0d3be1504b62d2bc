/* SPDX-License-Identifier: MIT */
/* Recordings: what is read of a file that is whole, cut off, foreign or from the future. */
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

#include "record.h"
#include "recording.h"
#include "report.h"
#include "report_forms.h"
#include "row_deltas.h"
#include "usage.h"

static const struct impact_factors factors = {
        .pue = 1,
        .emissions_g_per_kwh = NAN,
        .price_per_kwh = NAN,
};

#define HEADER                                                                           \
        "{\"energat_record\": {\"version\": 1, \"kind\": \"command\", \"name\": \"x\", " \
        "\"host\": \"h\", \"interval_s\": 1.0, \"cpus\": 2, \"energat\": \"0\"}}\n"
#define ENERGY "{\"package_j\": 6.0, \"dram_j\": null}"
#define INTERVAL(time)                                                                           \
        "{\"interval\": {\"source\": \"powercap\", \"estimated\": false, \"pid\": 5, "           \
        "\"name\": \"x\", \"time\": " time ", \"duration_s\": 1.0, \"machine_s\": 1.0, "         \
        "\"cpu_s\": 0.5, \"attributed\": " ENERGY ", \"share\": " ENERGY ", \"tracer\": " ENERGY \
        ", \"machine\": {\"package_j\": 20.0, \"dram_j\": null, \"static_package_j\": 8.0, "     \
        "\"static_dram_j\": null}, \"sockets\": [], \"reasons\": {}, \"warnings\": []}}\n"
#define ROWS(time, comm, joules)                                                             \
        "{\"processes\": {\"time\": " time ", \"duration_s\": 1.0, \"rows\": [{\"pid\": 5, " \
        "\"start_s\": 1.5, \"comm\": \"" comm "\", \"user\": \"u\", \"cpu_s\": 0.4, "        \
        "\"package_j\": " joules ", \"dram_j\": null}]}}\n"

static char path[64];

/* The document of these lines, or the error. */
static int document_of(const char *text, size_t length, json_t **document)
{
        struct record_reader reader;
        char why[256];
        FILE *f;
        int r;

        strcpy(path, "/tmp/energat-recording.XXXXXX");
        r = mkstemp(path);
        assert_true(r >= 0);
        f = fdopen(r, "w");
        assert_int_equal(fwrite(text, 1, length, f), length);
        assert_int_equal(fclose(f), 0);
        r = record_read(&reader, path, why, sizeof(why));
        if (r == 0) {
                r = recording_document(&reader, &factors, document);
                record_reader_close(&reader);
        } else {
                assert_true(why[0]);
        }
        unlink(path);
        return r;
}

static const char whole[] = HEADER INTERVAL("101.0") ROWS("101.0", "sh", "2.0") INTERVAL("102.0")
        ROWS("102.0", "a\\u0000b<script>",
             "5.0") "{\"later\": {\"what\": 1}}\n{\"end\": {\"time\": 102.0, \"exit_status\": 3, "
                    "\"report\": null}}\n";

static double series_joules(const json_t *document, const char *kind)
{
        const json_t *series = json_object_get(json_object_get(document, "power"), "series"), *one;
        double sum = 0;
        size_t i;

        json_array_foreach(series, i, one)
        {
                if (strcmp(report_string(one, "kind"), kind) == 0)
                        sum += report_number(one, NULL, "energy_j");
        }
        return sum;
}

static void near(double value, double expected)
{
        if (!(fabs(value - expected) <= 1e-9))
                fail_msg("%.12g, expected %.12g", value, expected);
}

/* jansson refuses \u0000 by default, and so such a line is damaged: that is the cut here */
static void sums_are_those_of_the_lines(void **state)
{
        json_auto_t *d = NULL;
        const char lines[] = HEADER INTERVAL("101.0") ROWS("101.0", "sh", "2.0") INTERVAL("102.0")
                ROWS("102.0", "<script>", "5.0") "{\"later\": {\"what\": 1}}\n"
                                                 "{\"end\": {\"time\": 102.0, \"exit_status\": "
                                                 "3, \"report\": null}}\n";

        (void)state;
        assert_int_equal(document_of(lines, strlen(lines), &d), 0);
        assert_true(json_is_true(json_object_get(d, "complete")));
        assert_int_equal(report_integer(d, "exit_status"), 3);
        near(report_number(d, NULL, "duration_s"), 2);
        near(report_number(json_object_get(d, "result"), "share", "package_j"), 12);
        near(report_number(d, "machine", "package_j"), 40);
        assert_true(isnan(report_number(d, "machine", "dram_j")));
        /* 12 J in all, of which rows tell 7: the rest is nobody's that was seen */
        near(series_joules(d, "program"), 7);
        near(series_joules(d, "rest"), 5);
        assert_int_equal(json_array_size(json_object_get(d, "programs")), 2);
        /* it became another by exec, and is one process */
        assert_int_equal(json_array_size(json_object_get(d, "processes")), 1);
}

static void a_damaged_line_ends_it_and_is_named(void **state)
{
        json_auto_t *d = NULL;

        (void)state;
        assert_int_equal(document_of(whole, strlen(whole), &d), 0);
        assert_false(json_is_true(json_object_get(d, "complete")));
        assert_non_null(strstr(report_string(d, "cut"), "line 5"));
        near(report_number(json_object_get(d, "result"), "share", "package_j"), 12);
}

/* Cut at every byte: nothing but errors that have a name, and sums that never shrink. */
static void every_cut_is_survived(void **state)
{
        double before = 0;
        int good = 0;

        (void)state;
        for (size_t length = 0; length < strlen(whole); length++) {
                json_auto_t *d = NULL;
                int r = document_of(whole, length, &d);

                if (r == 0) {
                        double now = report_number(json_object_get(d, "result"), "share",
                                                   "package_j");

                        assert_false(json_is_true(json_object_get(d, "complete")));
                        assert_true(now >= before);
                        before = now;
                        good++;
                } else {
                        assert_true(r == -EBADMSG || r == -ENODATA);
                }
        }
        assert_true(good > 0);
        near(before, 12);
}

static void foreign_files_are_refused(void **state)
{
        static const char *const files[] = {
                "",
                "\n",
                "hello\n",
                "[1]\n",
                "{\"interval\": {}}\n",
                "{\"energat_record\": 1}\n",
                "{\"energat_record\": {\"version\": 2, \"kind\": \"command\"}}\n",
                "{\"energat_record\": {\"version\": \"1\", \"kind\": \"command\"}}\n",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                json_auto_t *d = NULL;

                assert_int_equal(document_of(files[i], strlen(files[i]), &d), -EBADMSG);
        }
}

static void nonsense_in_good_lines_is_passed_over(void **state)
{
        const char lines[] = HEADER
                "{\"interval\": 5}\n{\"interval\": {}}\n{\"processes\": {\"rows\": [1, null]}}\n"
                "{\"machine\": []}\n{\"end\": \"x\"}\n{\"note\": null}\n" INTERVAL("9.0");
        json_auto_t *d = NULL;

        (void)state;
        assert_int_equal(document_of(lines, strlen(lines), &d), 0);
        near(report_number(json_object_get(d, "result"), "share", "package_j"), 6);
}

/* ---- rows ---- */

static json_t *take_at(struct row_deltas *deltas, double uptime_s, const char *rows,
                       struct row_window *window)
{
        json_auto_t *reply = json_pack("{s:f, s:o}", "uptime_s", uptime_s, "rows",
                                       json_loads(rows, 0, NULL));
        json_t *list = NULL;

        assert_non_null(json_object_get(reply, "rows"));
        assert_int_equal(row_deltas_take(deltas, reply, window, &list), 0);
        return list;
}

static json_t *take(struct row_deltas *deltas, const char *rows)
{
        struct row_window window;

        return take_at(deltas, 100, rows, &window);
}

#define ROW(pid, start, ppid, cpu)                                                         \
        "{\"pid\": " pid ", \"start_s\": " start ", \"ppid\": " ppid ", \"comm\": \"c\", " \
        "\"cpu_s\": " cpu ", \"share\": {\"package_j\": " cpu ", \"dram_j\": null}}"

static void only_descendants_count_also_when_their_parent_has_gone(void **state)
{
        __attribute__((cleanup(row_deltas_freep))) struct row_deltas *d = row_deltas_new(10, NULL);
        json_auto_t *first = take(
                d, "[" ROW("10", "1.0", "1", "1.0") "," ROW("11", "2.0", "10", "2.0") "," ROW(
                           "99", "1.0", "1", "9.0") "]");
        /* 10 has gone, and 11 is a child of 1 now; 12 is its child */
        json_auto_t *second = take(
                d, "[" ROW("11", "2.0", "1", "2.5") "," ROW("12", "3.0", "11", "4.0") "," ROW(
                           "99", "1.0", "1", "10.0") "]");

        (void)state;
        assert_int_equal(json_array_size(first), 2);
        assert_int_equal(json_array_size(second), 2);
        near(report_number(json_array_get(second, 0), NULL, "cpu_s"), 0.5);
        near(report_number(json_array_get(second, 1), NULL, "cpu_s"), 4);
}

static void a_pid_used_again_is_another_process(void **state)
{
        __attribute__((cleanup(row_deltas_freep))) struct row_deltas *d = row_deltas_new(0, NULL);
        json_auto_t *first = take(d, "[" ROW("10", "1.0", "1", "8.0") "]");
        json_auto_t *second = take(d, "[" ROW("10", "5.0", "1", "0.25") "]");
        json_auto_t *third = take(d, "[" ROW("10", "5.0", "1", "0.25") "]");

        (void)state;
        assert_int_equal(json_array_size(first),
                         0); /* the machine's past is not of this recording */
        near(report_number(json_array_get(second, 0), NULL, "cpu_s"), 0.25);
        assert_int_equal(json_array_size(third), 0);
}

/* A process that has used more with the new daemon than before with the old one is no less of one
 * that is counted from 0. */
static void all_that_a_daemon_tells_that_began_anew_is_since_then(void **state)
{
        __attribute__((cleanup(row_deltas_freep))) struct row_deltas *d = row_deltas_new(0, NULL);
        struct row_window window;
        json_auto_t *first = take_at(d, 50, "[" ROW("10", "1.0", "1", "2.0") "]", &window);
        json_auto_t *second = NULL, *third = NULL;

        (void)state;
        assert_false(window.anew);
        assert_int_equal(json_array_size(first), 0);
        second = take_at(d, 8, "[" ROW("10", "1.0", "1", "3.0") "]", &window);
        assert_true(window.anew);
        near(window.duration_s, 8);
        near(report_number(json_array_get(second, 0), NULL, "cpu_s"), 3);
        third = take_at(d, 9, "[" ROW("10", "1.0", "1", "3.5") "]", &window);
        assert_false(window.anew);
        near(window.duration_s, 1);
        near(report_number(json_array_get(third, 0), NULL, "cpu_s"), 0.5);
}

static void put_status(const char *directory, const char *uids)
{
        char name[128];
        FILE *f;

        snprintf(name, sizeof(name), "%s/10", directory);
        mkdir(name, 0700);
        snprintf(name, sizeof(name), "%s/10/status", directory);
        f = fopen(name, "w");
        assert_non_null(f);
        fprintf(f, "Name:\tUid:\\nUid:\t7\nUmask:\t0022\nState:\tR (running)\nUid:\t%s\n", uids);
        assert_int_equal(fclose(f), 0);
}

/* The files are root's, as those of every process that may not be dumped. */
static void a_row_is_of_the_real_user_of_the_moment(void **state)
{
        char directory[] = "/tmp/energat-proc.XXXXXX", name[128];
        struct row_deltas *d;
        json_t *list;

        (void)state;
        assert_non_null(mkdtemp(directory));
        d = row_deltas_new(10, directory);
        assert_non_null(d);
        put_status(directory, "54321\t0\t0\t0");
        list = take(d, "[" ROW("10", "1.0", "1", "1.0") "]");
        assert_string_equal(report_string(json_array_get(list, 0), "user"), "54321");
        json_decref(list);
        put_status(directory, "54322\t0\t0\t0");
        list = take(d, "[" ROW("10", "1.0", "1", "2.0") "]");
        assert_string_equal(report_string(json_array_get(list, 0), "user"), "54322");
        json_decref(list);
        snprintf(name, sizeof(name), "%s/10/status", directory);
        unlink(name);
        list = take(d, "[" ROW("10", "1.0", "1", "3.0") "]"); /* it has gone meanwhile */
        assert_string_equal(report_string(json_array_get(list, 0), "user"), "54322");
        json_decref(list);
        snprintf(name, sizeof(name), "%s/10", directory);
        rmdir(name);
        assert_int_equal(rmdir(directory), 0);
        row_deltas_free(d);
}

/* ---- what grows with time ---- */

static void a_warning_with_counts_is_one_however_long_it_lasts(void **state)
{
        json_auto_t *report = json_pack("{s:[]}", "warnings");
        const json_t *list = json_object_get(report, "warnings");
        char text[128];

        (void)state;
        for (int i = 0; i < 1000; i++) {
                snprintf(text, sizeof(text), "package: below its baseline in %d of 100 ticks", i);
                assert_int_equal(report_warn(report, text), 0);
                snprintf(text, sizeof(text), "suspended for %d.5 s", i);
                assert_int_equal(report_warn(report, text), 0);
        }
        assert_int_equal(report_warn(report, "package-0: stopped"), 0);
        assert_int_equal(report_warn(report, "package-1: stopped"), 0);
        assert_int_equal(json_array_size(list), 4);
        assert_string_equal(json_string_value(json_array_get(list, 0)),
                            "package: below its baseline in 999 of 100 ticks");
        for (int i = 0; i < 1000; i++) {
                snprintf(text, sizeof(text), "domain-%d: stopped", i);
                assert_int_equal(report_warn(report, text), 0);
        }
        assert_int_equal(json_array_size(list), REPORT_WARNINGS_MAX);
        assert_non_null(strstr(json_string_value(json_array_get(list, REPORT_WARNINGS_MAX - 1)),
                               "more warnings"));
}

static void a_warning_that_was_cut_in_a_character_is_one(void **state)
{
        json_auto_t *report = json_pack("{s:[]}", "warnings");

        (void)state;
        assert_int_equal(report_warn(report, "lost: \xe2\x82"), 0);
        assert_int_equal(json_array_size(json_object_get(report, "warnings")), 1);
}

/* Beyond the limit it is not known who is new: nobody is counted, and all energy is. */
static void processes_beyond_the_limit_are_not_counted_again_and_again(void **state)
{
        struct usage u;
        json_auto_t *row = json_pack("{s:i, s:f, s:s, s:s, s:f, s:f}", "pid", 1, "start_s", 1.0,
                                     "comm", "x", "user", "u", "cpu_s", 1.0, "package_j", 1.0);
        const json_t *program;

        (void)state;
        assert_int_equal(usage_init(&u), 0);
        for (int i = 0; i < USAGE_MAX_PROCESSES + 10; i++) {
                json_object_set_new(row, "pid", json_integer(i));
                assert_int_equal(usage_add(&u, row), 0);
        }
        for (int i = 0; i < 5; i++)
                assert_int_equal(usage_add(&u, row), 0);
        program = json_object_get(u.programs, "u x");
        assert_int_equal(report_integer(program, "processes"), USAGE_MAX_PROCESSES);
        near(report_number(program, NULL, "package_j"), USAGE_MAX_PROCESSES + 15);
        assert_true(u.full);
        usage_deinit(&u);
}

/* ---- what is shown ---- */

static char *shown(const char *form, const char *text)
{
        struct record_reader reader;
        struct report_source source = {.factors = &factors, .reader = &reader};
        json_t *document = NULL;
        char why[256], *result = NULL;
        size_t size = 0;
        FILE *f;

        strcpy(path, "/tmp/energat-recording.XXXXXX");
        f = fdopen(mkstemp(path), "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(record_read(&reader, path, why, sizeof(why)), 0);
        assert_int_equal(recording_document(&reader, &factors, &document), 0);
        source.document = document;
        f = open_memstream(&result, &size);
        assert_non_null(f);
        assert_int_equal(report_form(form)->write(f, &source), 0);
        assert_int_equal(fclose(f), 0);
        json_decref(document);
        record_reader_close(&reader);
        unlink(path);
        return result;
}

#define MACHINE_HEADER                                                                   \
        "{\"energat_record\": {\"version\": 1, \"kind\": \"machine\", \"name\": \"m\", " \
        "\"host\": \"h\", \"interval_s\": 1.0, \"cpus\": 2, \"energat\": \"0\"}}\n"
#define MACHINE(source, comm)                                                              \
        "{\"machine\": {\"time\": 101.0, \"duration_s\": 1.0, \"source\": \"" source       \
        "\", \"estimated\": false, \"machine\": {\"package_j\": 20.0}, \"unattributed\": " \
        "{\"package_j\": 1.0}, \"sockets\": [], \"domains\": [], \"cpu_s\": 1.0, "         \
        "\"rows\": [{\"pid\": 5, \"start_s\": 1.5, \"comm\": \"" comm                      \
        "\", \"user\": \"u\", \"cpu_s\": 0.4, \"package_j\": 2.0, \"dram_j\": null}], "    \
        "\"warnings\": [\"package-0: it has stopped\"]}}\n"

static void a_machine_has_its_warnings_and_no_end_that_was_not(void **state)
{
        char *text = shown("text", MACHINE_HEADER MACHINE("power\\u001bcap", "x"));

        (void)state;
        assert_non_null(strstr(text, "warning: package-0: it has stopped"));
        assert_non_null(strstr(text, "it was broken off"));
        assert_non_null(strstr(text, "(power?cap)"));
        assert_null(strchr(text, '\033'));
        free(text);
}

static void a_command_that_was_not_recorded_whole_is_not_complete(void **state)
{
        static const char lines[] = HEADER INTERVAL(
                "101.0") "{\"end\": {\"time\": 102.0, \"exit_status\": 0, \"partial\": true, "
                         "\"report\": "
                         "null}}\n";
        json_auto_t *d = NULL;

        (void)state;
        assert_int_equal(document_of(lines, strlen(lines), &d), 0);
        assert_true(json_is_false(json_object_get(d, "complete")));
        assert_int_equal(report_integer(d, "exit_status"), 0);
}

/* A spreadsheet would run =1+1, and a terminal the escape sequence. */
static void names_are_no_formulas_in_csv(void **state)
{
        static const char *const names[][2] = {
                {"=1+1", ",\"'=1+1\",u,"},       {"@SUM(A1)", ",\"'@SUM(A1)\",u,"},
                {"-a\\\"b", ",\"'-a\"\"b\",u,"}, {"a\\u001b[2J\\u0007", ",a?[2J?,u,"},
                {"a, b", ",\"a, b\",u,"},        {"plain", ",plain,u,"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char line[1024], *text;

                snprintf(line, sizeof(line), MACHINE_HEADER MACHINE("a,%s", "%s"), "b",
                         names[i][0]);
                text = shown("csv", line);
                assert_non_null(strstr(text, names[i][1]));
                assert_non_null(strstr(text, ",\"a,b\",false"));
                free(text);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sums_are_those_of_the_lines),
                cmocka_unit_test(a_damaged_line_ends_it_and_is_named),
                cmocka_unit_test(every_cut_is_survived),
                cmocka_unit_test(foreign_files_are_refused),
                cmocka_unit_test(nonsense_in_good_lines_is_passed_over),
                cmocka_unit_test(only_descendants_count_also_when_their_parent_has_gone),
                cmocka_unit_test(a_pid_used_again_is_another_process),
                cmocka_unit_test(all_that_a_daemon_tells_that_began_anew_is_since_then),
                cmocka_unit_test(a_row_is_of_the_real_user_of_the_moment),
                cmocka_unit_test(a_warning_with_counts_is_one_however_long_it_lasts),
                cmocka_unit_test(a_warning_that_was_cut_in_a_character_is_one),
                cmocka_unit_test(processes_beyond_the_limit_are_not_counted_again_and_again),
                cmocka_unit_test(a_machine_has_its_warnings_and_no_end_that_was_not),
                cmocka_unit_test(a_command_that_was_not_recorded_whole_is_not_complete),
                cmocka_unit_test(names_are_no_formulas_in_csv),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
