/* SPDX-License-Identifier: MIT */
/* Text that came from elsewhere: what reaches a terminal of it, and what JSON. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "impact.h"
#include "text.h"

static void json_takes_what_is_not_utf8(void **state)
{
        json_auto_t *string = text_json("caf\xe9 \xe2\x82");

        (void)state;
        assert_non_null(string);
        assert_string_equal(json_string_value(string), "caf? ??");
}

static void a_price_unit_reaches_json_whatever_it_is(void **state)
{
        static const char *const units[] = {
                "\xa4",                       /* the currency sign, in Latin-1 */
                "12345678901234\xe2\x82\xac", /* cut in the middle of a character */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                static struct settings s;
                struct impact_factors factors;
                char why[256];
                json_t *object;

                settings_defaults(&s);
                assert_int_equal(settings_set(&s, SETTING_PRICE_UNIT, units[i], SETTING_ENVIRONMENT,
                                              "", why, sizeof(why)),
                                 0);
                factors = impact_factors_of(&s);
                object = impact_factors_json(&factors);
                assert_non_null(object);
                json_decref(object);
        }
}

static void what_is_printed(const char *text, const char *expected)
{
        char *printed = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&printed, &size);

        assert_non_null(stream);
        text_print_safe(stream, text);
        assert_int_equal(fclose(stream), 0);
        assert_string_equal(printed, expected);
        free(printed);
}

static void nothing_that_steers_a_terminal_is_printed(void **state)
{
        /* U+202E and U+2066, in bytes: no editor shall act on them here */
        static const char right_to_left[] = {'\xe2', '\x80', '\xae', 'g', 'n', 'p', '\0'};
        static const char isolate[] = {'\xe2', '\x81', '\xa6', 'x', '\0'};

        (void)state;
        what_is_printed("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                        "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
        what_is_printed("\x1b[31m\a\n\x7f", "?[31m???");
        what_is_printed("\x9b"
                        "31m",
                        "?31m"); /* CSI of a terminal with 8 bits */
        what_is_printed("\xc2\x9b"
                        "31m",
                        "?31m"); /* the same in UTF-8 */
        what_is_printed(right_to_left, "?gnp");
        what_is_printed(isolate, "?x");
        what_is_printed("\xe2\x82", "??"); /* cut */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(json_takes_what_is_not_utf8),
                cmocka_unit_test(nothing_that_steers_a_terminal_is_printed),
                cmocka_unit_test(a_price_unit_reaches_json_whatever_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
