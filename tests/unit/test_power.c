/* SPDX-License-Identifier: MIT */
/* Power over time in bounded memory, its line for a terminal, and what joules mean elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "impact.h"
#include "power.h"

static void near(double value, double expected)
{
        if (!(fabs(value - expected) <= 1e-9 * fmax(1, fabs(expected))))
                fail_msg("%.12g, expected %.12g", value, expected);
}

static void nothing_is_known_of_nothing(void **state)
{
        static struct power p;
        char line[POWER_LINE_MAX];

        (void)state;
        assert_true(isnan(power_average_w(&p)) && isnan(power_peak_w(&p)));
        assert_string_equal(power_line(&p, 10, true, line), "");
        power_add(&p, 0, 5);
        power_add(&p, 1, NAN);
        assert_true(isnan(power_average_w(&p)));
}

static void peak_is_of_the_shortest_window_that_was_seen(void **state)
{
        static struct power p;

        (void)state;
        power_add(&p, 1, 10);
        power_add(&p, 0.5, 15);
        power_add(&p, 2, 4);
        near(power_peak_w(&p), 30);
        near(p.peak_window_s, 0.5);
        near(power_average_w(&p), 29 / 3.5);
}

static void many_windows_keep_energy_time_and_peak(void **state)
{
        static struct power p;
        double joules = 0, seconds = 0, kept_j = 0, kept_s = 0;
        const int windows = 100000;

        (void)state;
        for (int i = 0; i < windows; i++) {
                double j = i % 7, s = 0.5 + i % 3;

                power_add(&p, s, j);
                joules += j;
                seconds += s;
        }
        power_add(&p, 1, 1000);
        assert_true(p.count <= POWER_WINDOWS && p.count >= POWER_WINDOWS / 4);
        for (size_t i = 0; i < p.count; i++) {
                kept_j += p.windows[i].energy_j;
                kept_s += p.windows[i].duration_s;
        }
        near(kept_j, joules + 1000);
        near(kept_s, seconds + 1);
        near(power_peak_w(&p), 1000);
        assert_int_equal(p.measured, windows + 1);
}

static void line_shows_power_from_zero_to_its_peak(void **state)
{
        static struct power p;
        char line[POWER_LINE_MAX];

        (void)state;
        for (int i = 0; i < 8; i++)
                power_add(&p, 1, i);
        assert_string_equal(power_line(&p, 60, false, line), "_.:-=+*#");
        assert_string_equal(power_line(&p, 60, true, line), "▁▂▃▄▅▆▇█");
        assert_string_equal(power_line(&p, 4, false, line), "_-+#");
        assert_string_equal(power_line(&p, 1, false, line), "");
}

static void line_never_leaves_its_room(void **state)
{
        static struct power p;
        char line[POWER_LINE_MAX];

        (void)state;
        for (int i = 0; i < 3 * POWER_WINDOWS; i++)
                power_add(&p, 0.01, 1);
        power_line(&p, 10000, true, line);
        assert_int_equal(strlen(line), 3 * POWER_LINE_COLUMNS);
        memset(&p, 0, sizeof(p));
        power_add(&p, 1, 0);
        power_add(&p, 1, 0);
        assert_string_equal(power_line(&p, 60, false, line), "__");
}

/* One kWh is 3.6 MJ. */
static void kilowatt_hours_have_a_price(void **state)
{
        const struct impact_factors f = {
                .pue = 1.5,
                .emissions_g_per_kwh = 400,
                .price_per_kwh = 0.3,
                .overhead_w = 100,
        };
        struct impact i = impact_of(&f, 3.6e6);

        (void)state;
        near(i.energy_wh, 1000);
        near(i.co2_g, 600);
        near(i.cost, 0.45);
        i = impact_of_machine(&f, 3.6e6 - 100 * 3600, 3600);
        near(i.energy_wh, 1000);
        near(i.co2_g, 600);
}

static void what_is_not_configured_is_not_told(void **state)
{
        const struct impact_factors f = {
                .pue = 1,
                .emissions_g_per_kwh = NAN,
                .price_per_kwh = NAN,
        };
        struct impact i = impact_of(&f, 5);

        (void)state;
        assert_true(isnan(i.co2_g) && isnan(i.cost));
        near(i.energy_j, 5);
        assert_true(isnan(impact_of(&f, NAN).energy_wh));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_known_of_nothing),
                cmocka_unit_test(peak_is_of_the_shortest_window_that_was_seen),
                cmocka_unit_test(many_windows_keep_energy_time_and_peak),
                cmocka_unit_test(line_shows_power_from_zero_to_its_peak),
                cmocka_unit_test(line_never_leaves_its_room),
                cmocka_unit_test(kilowatt_hours_have_a_price),
                cmocka_unit_test(what_is_not_configured_is_not_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
