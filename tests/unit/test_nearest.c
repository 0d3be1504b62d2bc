/* SPDX-License-Identifier: MIT */
/* What a misspelt word was meant to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nearest.h"

static void distances_are_of_damerau_and_levenshtein(void **state)
{
        (void)state;
        assert_int_equal(nearest_distance("", ""), 0);
        assert_int_equal(nearest_distance("status", "status"), 0);
        assert_int_equal(nearest_distance("", "run"), 3);
        assert_int_equal(nearest_distance("run", ""), 3);
        assert_int_equal(nearest_distance("kitten", "sitting"), 3);
        assert_int_equal(nearest_distance("stauts", "status"), 1);
        assert_int_equal(nearest_distance("ab", "ba"), 1);
        assert_int_equal(nearest_distance("ca", "abc"), 3); /* 2 if parts were edited twice */
        assert_int_equal(nearest_distance("abcdef", "badcfe"), 3);
}

static void distance_is_symmetric(void **state)
{
        static const char *const words[] = {"run", "record", "report", "export", "top", "tpo", ""};

        (void)state;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                for (size_t j = 0; j < sizeof(words) / sizeof(words[0]); j++)
                        assert_int_equal(nearest_distance(words[i], words[j]),
                                         nearest_distance(words[j], words[i]));
}

static void long_words_have_no_neighbours(void **state)
{
        char word[200];

        (void)state;
        memset(word, 'x', sizeof(word) - 1);
        word[sizeof(word) - 1] = '\0';
        assert_int_equal(nearest_distance(word, word), NEAREST_WORD_MAX);
}

static const char *best(const char *word)
{
        static const char *const known[] = {"run", "top", "check", "status", "sensors", "config"};
        struct nearest near = nearest_to(word);

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                nearest_offer(&near, known[i]);
        return near.best;
}

static void the_nearest_is_suggested_and_nothing_far(void **state)
{
        (void)state;
        assert_string_equal(best("stauts"), "status");
        assert_string_equal(best("chekc"), "check");
        assert_string_equal(best("tpo"), "top");
        assert_string_equal(best("rum"), "run");
        assert_string_equal(best("conifg"), "config");
        assert_null(best("make"));
        assert_null(best("x"));
        assert_null(best(""));
        assert_null(best("frobnicate"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(distances_are_of_damerau_and_levenshtein),
                cmocka_unit_test(distance_is_symmetric),
                cmocka_unit_test(long_words_have_no_neighbours),
                cmocka_unit_test(the_nearest_is_suggested_and_nothing_far),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
