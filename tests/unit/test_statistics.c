/* SPDX-License-Identifier: MIT */
/* Statistics against values that others have published. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "statistics.h"

/* Sleep gained with two drugs by ten patients: Student's own example (Biometrika 6, 1908), and R's
 * data set `sleep`; the expected values are those of R's t.test(). */
static const double drug1[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
static const double drug2[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
#define PATIENTS 10

static void near(double value, double expected, double tolerance)
{
        if (!(fabs(value - expected) <= tolerance))
                fail_msg("%.9g, expected %.9g", value, expected);
}

static void mean_and_interval_are_students(void **state)
{
        struct statistics s = statistics_of(drug1, PATIENTS);

        (void)state;
        assert_int_equal(s.count, PATIENTS);
        near(s.mean, 0.75, 1e-12);
        near(s.median, 0.35, 1e-12);
        near(s.deviation, 1.789010, 1e-6);
        near(s.min, -1.6, 0);
        near(s.max, 3.7, 0);
        near(s.low, -0.5297804, 1e-7);
        near(s.high, 2.0297804, 1e-7);
}

static void values_not_known_are_left_out(void **state)
{
        const double values[] = {NAN, 2, NAN, 4, INFINITY};
        struct statistics s = statistics_of(values, 5);

        (void)state;
        assert_int_equal(s.count, 2);
        near(s.mean, 3, 0);
}

static void one_value_has_no_spread_and_none_has_no_mean(void **state)
{
        const double one = 5;
        struct statistics s = statistics_of(&one, 1);

        (void)state;
        near(s.mean, 5, 0);
        assert_true(isnan(s.deviation) && isnan(s.low) && isnan(s.high));
        s = statistics_of(NULL, 0);
        assert_true(isnan(s.mean) && isnan(s.median) && isnan(s.min));
}

static void paired_test_is_students(void **state)
{
        struct comparison c = comparison_paired(drug1, drug2, PATIENTS);

        (void)state;
        assert_true(c.paired);
        near(c.difference, 1.58, 1e-12);
        near(c.t, 4.0621, 5e-5);
        near(c.freedom, 9, 0);
        near(c.p, 0.002833, 5e-7);
        near(c.low, 0.7001142, 1e-7);
        near(c.high, 2.4598858, 1e-7);
        near(c.ratio, 2.33 / 0.75, 1e-12);
}

static void two_samples_are_welchs(void **state)
{
        struct comparison c = comparison_welch(drug1, PATIENTS, drug2, PATIENTS);

        (void)state;
        assert_false(c.paired);
        near(c.t, 1.8608, 5e-5);
        near(c.freedom, 17.776, 5e-4);
        near(c.p, 0.07939, 5e-6);
        near(c.low, -0.2054832, 1e-7);
        near(c.high, 3.3654832, 1e-7);
}

static void pairs_with_a_hole_are_left_out(void **state)
{
        const double a[] = {1, NAN, 3, 4}, b[] = {2, 3, 5, NAN};
        struct comparison c = comparison_paired(a, b, 4);

        (void)state;
        assert_int_equal(c.count, 2);
        near(c.difference, 1.5, 1e-12);
}

static void equal_values_do_not_differ_and_constant_ones_surely_do(void **state)
{
        const double a[] = {2, 2, 2}, b[] = {3, 3, 3};
        struct comparison c = comparison_paired(a, a, 3);

        (void)state;
        near(c.p, 1, 0);
        c = comparison_paired(a, b, 3);
        near(c.p, 0, 0);
        near(c.low, 1, 0);
        c = comparison_welch(a, 3, b, 3);
        near(c.p, 0, 0);
}

static void one_pair_says_nothing(void **state)
{
        struct comparison c = comparison_paired(drug1, drug2, 1);

        (void)state;
        near(c.difference, 1.2, 1e-12);
        assert_true(isnan(c.p) && isnan(c.low));
}

/* The example of Iglewicz and Hoaglin, 1993: the mean and deviation of these hide both outliers. */
static void outliers_do_not_hide_each_other(void **state)
{
        const double values[] = {2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3};
        bool out[10];

        (void)state;
        statistics_outliers(values, 10, out);
        for (int i = 0; i < 10; i++)
                assert_int_equal(out[i], i >= 8);
}

static void few_values_or_equal_ones_have_no_outliers(void **state)
{
        const double few[] = {1, 1.1, 0.9, 100}, equal[] = {1, 1, 1, 1, 1, 7};
        bool out[6];

        (void)state;
        statistics_outliers(few, 4, out);
        for (int i = 0; i < 4; i++)
                assert_false(out[i]);
        statistics_outliers(equal, 6, out);
        for (int i = 0; i < 6; i++)
                assert_false(out[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mean_and_interval_are_students),
                cmocka_unit_test(values_not_known_are_left_out),
                cmocka_unit_test(one_value_has_no_spread_and_none_has_no_mean),
                cmocka_unit_test(paired_test_is_students),
                cmocka_unit_test(two_samples_are_welchs),
                cmocka_unit_test(pairs_with_a_hole_are_left_out),
                cmocka_unit_test(equal_values_do_not_differ_and_constant_ones_surely_do),
                cmocka_unit_test(one_pair_says_nothing),
                cmocka_unit_test(outliers_do_not_hide_each_other),
                cmocka_unit_test(few_values_or_equal_ones_have_no_outliers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
