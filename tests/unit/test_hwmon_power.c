/* SPDX-License-Identifier: MIT */
/* Energy that the hwmon driver makes of power, where a chip tells no energy. */
#include "hwmon_stage.h"

#define TICK_NS UINT64_C(10000000)

static void constant_power_gives_exact_energy_over_uneven_ticks(void **state)
{
        struct reading reading;
        const struct domain *domains;
        uint64_t now_ns = SECOND_NS;
        struct source *s;

        put_grace("123456789\n");
        s = opened();
        driver->domains(s, &domains);
        assert_true(domains[0].range_uj == UINT64_MAX);
        read_at(s, now_ns, &reading);
        assert_int_equal(reading.error, 0);
        assert_int_equal(reading.counter_uj, 0);
        srandom(3);
        for (int i = 0; i < 10000; i++) {
                now_ns += TICK_NS + (uint64_t)random() % 1000003;
                read_at(s, now_ns, &reading);
                assert_int_equal(reading.error, 0);
        }
        assert_true(reading.counter_uj ==
                    (uint64_t)((unsigned __int128)123456789 * (now_ns - SECOND_NS) / SECOND_NS));
        driver->close(s);
}

static void power_that_changes_is_taken_to_go_straight(void **state)
{
        struct reading reading;
        struct source *s;

        put_grace("100000000\n");
        s = opened();
        read_at(s, SECOND_NS, &reading);
        put_grace("200000000\n");
        read_at(s, 2 * SECOND_NS, &reading);
        assert_int_equal(reading.counter_uj, 150000000);
        put_grace("0\n");
        read_at(s, 2 * SECOND_NS + SECOND_NS / 2, &reading);
        assert_int_equal(reading.counter_uj, 200000000);
        read_at(s, 5 * SECOND_NS, &reading);
        assert_int_equal(reading.counter_uj, 200000000);
        put_grace("1\n");
        read_at(s, 5 * SECOND_NS + 1, &reading);
        assert_int_equal(reading.counter_uj, 200000000);
        driver->close(s);
}

/* What was used while the sensor failed is not known; a counter that goes back says so. */
static void over_a_failed_reading_nothing_is_made_up(void **state)
{
        static const struct {
                const char *text;
                int error;
        } bad[] = {{"\n", -EBADMSG},
                   {"", -EBADMSG},
                   {"1e6\n", -EBADMSG},
                   {"12 34\n", -EBADMSG},
                   {"0x10\n", -EBADMSG},
                   {"-\n", -EBADMSG},
                   {"--5\n", -EBADMSG},
                   {"1.5\n", -EBADMSG},
                   {"nan\n", -EBADMSG},
                   {"-5000000\n", -ERANGE},
                   {"18446744073709551616\n", -ERANGE},
                   {"1000000000000001\n", -ERANGE},
                   {"0000000000000000000000000000000000000000000000000000000000000000001\n",
                    -EBADMSG}};
        struct reading reading;
        uint64_t now_ns = SECOND_NS;
        struct source *s;

        put_grace("100000000\n");
        s = opened();
        read_at(s, now_ns, &reading);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                put_grace("100000000\n");
                now_ns += SECOND_NS;
                read_at(s, now_ns, &reading);
                now_ns += SECOND_NS;
                read_at(s, now_ns, &reading);
                assert_int_equal(reading.error, 0);
                assert_true(reading.counter_uj >= 100000000);

                put_grace(bad[i].text);
                now_ns += SECOND_NS;
                read_at(s, now_ns, &reading);
                assert_int_equal(reading.error, bad[i].error);

                put_grace("100000000\n");
                now_ns += SECOND_NS;
                read_at(s, now_ns, &reading);
                assert_int_equal(reading.error, 0);
                assert_int_equal(reading.counter_uj, 0);
        }
        driver->close(s);
}

static void over_a_pause_longer_than_any_tick_nothing_is_made_up(void **state)
{
        struct reading reading;
        struct source *s;

        put_grace("100000000\n");
        s = opened();
        read_at(s, SECOND_NS, &reading);
        read_at(s, 11 * SECOND_NS, &reading);
        assert_int_equal(reading.counter_uj, 1000000000);
        read_at(s, 100 * SECOND_NS, &reading);
        assert_int_equal(reading.error, 0);
        assert_int_equal(reading.counter_uj, 0);
        driver->close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(constant_power_gives_exact_energy_over_uneven_ticks),
                TEST(power_that_changes_is_taken_to_go_straight),
                TEST(over_a_failed_reading_nothing_is_made_up),
                TEST(over_a_pause_longer_than_any_tick_nothing_is_made_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
