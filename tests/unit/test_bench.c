/* SPDX-License-Identifier: MIT */
/* Repeated runs: which of them count, and what is said of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench.h"
#include "bench_text.h"
#include "report.h"

static json_t *report_of(double joules, bool estimated, const char *warning)
{
        json_t *report = json_pack("{s:s, s:b, s:{s:f, s:n}, s:{s:f, s:n}, s:f, s:[]}", "source",
                                   estimated ? "estimate" : "powercap", "estimated", estimated,
                                   "attributed", "package_j", joules, "dram_j", "share",
                                   "package_j", joules, "dram_j", "cpu_s", 0.5, "warnings");

        assert_non_null(report);
        if (warning)
                assert_int_equal(report_warn(report, warning), 0);
        return report;
}

static void add(struct bench *b, int command, json_t *report, bool partial)
{
        const struct bench_run run = {.command = command, .partial = partial, .report = report};

        assert_int_equal(bench_add(b, &run, 1), 0);
}

/* The text form; free. */
static char *text_of(const struct bench *b)
{
        static char *text; /* gcc takes one on the stack for what open_memstream() allocates */
        static size_t size;
        FILE *stream = open_memstream(&text, &size);

        assert_non_null(stream);
        assert_int_equal(bench_print_text(stream, b), 0);
        assert_int_equal(fclose(stream), 0);
        return text;
}

static void a_run_that_was_not_measured_whole_is_in_no_mean(void **state)
{
        struct bench b = {.commands = {"x"}, .wanted = 4};
        struct statistics s;
        char *text;

        (void)state;
        add(&b, 0, report_of(5.0, false, NULL), false);
        add(&b, 0, report_of(5.1, false, NULL), false);
        add(&b, 0, report_of(0.5, false, "energatd was away 1 time: 9.000 s are not counted"),
            true);
        add(&b, 0, report_of(5.2, false, NULL), false);
        assert_int_equal(bench_statistics(&b, 0, BENCH_SHARE, &s), 0);
        assert_int_equal(s.count, 3);
        assert_true(fabs(s.mean - 5.1) < 1e-9);
        assert_int_equal(bench_failed(&b), 1);
        text = text_of(&b);
        assert_non_null(strstr(text, "not measured whole"));
        assert_non_null(strstr(text, "1 of 4 runs failed, or were not measured whole"));
        assert_non_null(strstr(text, "warning: energatd was away 1 time"));
        free(text);
        bench_deinit(&b);
}

static void a_warning_of_all_runs_is_told_once(void **state)
{
        struct bench b = {.commands = {"x"}, .wanted = 2};
        char *text, *first;

        (void)state;
        add(&b, 0, report_of(1, false, "no baseline"), false);
        add(&b, 0, report_of(1, false, "no baseline"), false);
        text = text_of(&b);
        first = strstr(text, "warning: no baseline");
        assert_non_null(first);
        assert_null(strstr(first + 1, "warning: no baseline"));
        free(text);
        bench_deinit(&b);
}

/* Every output names its source, and says when it is estimated: a first run without a report
 * must not hide either. */
static void the_source_is_that_of_a_run_that_has_one(void **state)
{
        static const struct impact_factors factors = {.pue = 1};
        struct bench b = {.commands = {"x"}, .wanted = 3};
        json_auto_t *object = NULL;
        char *text;

        (void)state;
        add(&b, 0, NULL, true);
        add(&b, 0, report_of(1, false, NULL), false);
        add(&b, 0, report_of(1, true, NULL), false);
        text = text_of(&b);
        assert_non_null(strstr(text, "(powercap)"));
        assert_non_null(strstr(text, "estimated, no energy meter"));
        free(text);
        object = bench_json(&b, &factors);
        assert_non_null(object);
        assert_string_equal(report_string(object, "source"), "powercap");
        assert_true(report_estimated(object));
        bench_deinit(&b);
}

static void of_nothing_there_is_no_percentage(void **state)
{
        struct bench b = {.commands = {"a", "b"}, .wanted = 6};
        char *text;

        (void)state;
        for (int i = 0; i < 3; i++) {
                add(&b, 0, report_of(0, false, NULL), false);
                add(&b, 1, report_of(2 + 0.01 * i, false, NULL), false);
        }
        text = text_of(&b);
        assert_non_null(strstr(text, "share      B needs more: +2.01 J"));
        assert_null(strstr(text, "nan"));
        free(text);
        bench_deinit(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_run_that_was_not_measured_whole_is_in_no_mean),
                cmocka_unit_test(a_warning_of_all_runs_is_told_once),
                cmocka_unit_test(the_source_is_that_of_a_run_that_has_one),
                cmocka_unit_test(of_nothing_there_is_no_percentage),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
