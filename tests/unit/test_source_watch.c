/* SPDX-License-Identifier: MIT */
/* When measuring may begin anew with a better source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source_watch.h"

#define BEGIN_NS 1000000000ull
#define LATER_NS (BEGIN_NS + SOURCE_WATCH_PATIENCE_NS)

static int something;

static void nobody_followed_nothing_to_wait_for(void **state)
{
        struct server s = {0};

        (void)state;
        assert_false(source_watch_may_begin(&s, false, BEGIN_NS));
        assert_true(source_watch_may_begin(&s, true, BEGIN_NS));
}

static void who_is_followed_is_waited_for_but_not_for_ever(void **state)
{
        struct server s = {.follows = (struct follow *)(void *)&something};

        (void)state;
        assert_false(source_watch_may_begin(&s, true, BEGIN_NS));
        assert_false(source_watch_may_begin(&s, true, LATER_NS - 1));
        assert_true(source_watch_may_begin(&s, true, LATER_NS));
        s.follows = NULL;
        s.surveys = (struct survey *)(void *)&something;
        assert_true(source_watch_may_begin(&s, true, LATER_NS));
}

static void a_source_that_goes_again_begins_the_wait_anew(void **state)
{
        struct server s = {.follows = (struct follow *)(void *)&something};

        (void)state;
        assert_false(source_watch_may_begin(&s, true, BEGIN_NS));
        assert_false(source_watch_may_begin(&s, false, LATER_NS - 1));
        assert_false(source_watch_may_begin(&s, true, LATER_NS));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_followed_nothing_to_wait_for),
                cmocka_unit_test(who_is_followed_is_waited_for_but_not_for_ever),
                cmocka_unit_test(a_source_that_goes_again_begins_the_wait_anew),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
