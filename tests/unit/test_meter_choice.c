/* SPDX-License-Identifier: MIT */
/* Which source a meter opens, and what it says of the others. */
#include "meter_stage.h"

static void auto_takes_the_first_that_works_and_says_why_not_the_others(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("auto");
        assert_string_equal(meter_source_name(meter), "fake");
        assert_false(meter_estimated(meter));
        assert_string_equal(meter_why_passed_over(meter), "better: not here");
}

static void a_source_that_opens_not_is_passed_over_too(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        fake.fake_open = -EIO;
        assert_int_equal(meter_open(&meter, "auto", &config, &topology, why, sizeof(why)), -EIO);
        assert_string_equal(why, "better: not here; fake: it broke; model: it broke");
        assert_null(meter);
}

static void a_source_without_domains_is_none(void **state)
{
        assert_int_equal(meter_open(&meter, "fake", &config, &topology, why, sizeof(why)), -ENODEV);
        assert_non_null(strstr(why, "fake: 0 energy domains"));
}

static void a_named_source_is_the_only_one_tried(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        assert_int_equal(meter_open(&meter, "better", &config, &topology, why, sizeof(why)),
                         -ENODEV);
        assert_string_equal(why, "better: not here; usable here: fake, model");
        open_meter("model");
        assert_true(meter_estimated(meter));
        assert_string_equal(meter_why_passed_over(meter), "");
}

static void a_source_that_is_unknown_names_those_that_there_are(void **state)
{
        assert_int_equal(meter_open(&meter, "steam", &config, &topology, why, sizeof(why)),
                         -EINVAL);
        assert_string_equal(why, "no energy source is called 'steam'; usable here: fake, model");
        fake.fake_probe = -ENODEV;
        assert_int_equal(meter_open(&meter, "steam", &config, &topology, why, sizeof(why)),
                         -EINVAL);
        assert_string_equal(why, "no energy source is called 'steam'; usable here: none");
}

static void reasons_that_do_not_fit_are_cut(void **state)
{
        char small[16];

        memset(small, 'x', sizeof(small));
        assert_int_equal(meter_open(&meter, "better", &config, &topology, small, sizeof(small)),
                         -ENODEV);
        assert_string_equal(small, "better: not her");
}

static void a_base_is_known_only_where_the_source_knows_it(void **state)
{
        add_domain(DOMAIN_PACKAGE, RANGE_UJ);
        open_meter("fake");
        assert_true(meter_known_base_w(meter, 0) < 0);
        meter_close(meter);
        open_meter("model");
        assert_true(meter_known_base_w(meter, 0) == 7.5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(auto_takes_the_first_that_works_and_says_why_not_the_others),
                TEST(a_source_that_opens_not_is_passed_over_too),
                TEST(a_source_without_domains_is_none),
                TEST(a_named_source_is_the_only_one_tried),
                TEST(a_source_that_is_unknown_names_those_that_there_are),
                TEST(reasons_that_do_not_fit_are_cut),
                TEST(a_base_is_known_only_where_the_source_knows_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
