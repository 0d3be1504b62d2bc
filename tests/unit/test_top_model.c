/* SPDX-License-Identifier: MIT */
/* energat top's model: power from two looks, rows that add up, groups, order and tree. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "top_model.h"
#include "top_owner.h"

static struct top_model model;
static struct top_order order;

static int set_up(void **state)
{
        (void)state;
        model = (struct top_model){0};
        order = (struct top_order){0};
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        top_model_deinit(&model);
        return 0;
}

static struct top_snapshot look(double uptime_s, size_t n, const struct top_process *processes)
{
        struct top_snapshot s = {.uptime_s = uptime_s, .nnodes = 2, .nodes = {0, 1}};

        s.processes = calloc(n + 1, sizeof(*processes));
        assert_non_null(s.processes);
        if (n > 0)
                memcpy(s.processes, processes, n * sizeof(*processes));
        s.nprocesses = n;
        return s;
}

static void see(struct top_snapshot s)
{
        assert_int_equal(top_model_update(&model, &s), 0);
        assert_int_equal(top_model_arrange(&model, &order), 0);
}

static const struct top_row *row_named(const char *name)
{
        for (size_t i = 0; i < model.nrows; i++)
                if (strcmp(model.rows[i].name, name) == 0)
                        return &model.rows[i];
        fail_msg("there is no row '%s'", name);
        return NULL;
}

static void near(double value, double expected)
{
        if (!(fabs(value - expected) < 1e-9))
                fail_msg("%.12g, expected %.12g", value, expected);
}

#define P(PID, START, NAME, CPU, J, ...)                                                         \
        {                                                                                        \
                .pid = (PID), .start_s = (START), .comm = NAME, .cpu_s = (CPU), .energy_j = (J), \
                __VA_ARGS__                                                                      \
        }

static void the_first_look_knows_energy_and_no_power(void **state)
{
        const struct top_process a[] = {P(7, 1, "a", 4, 40)};

        (void)state;
        see(look(10, 1, a));
        near(row_named("a")->energy_j, 40);
        assert_true(isnan(row_named("a")->power_w));
        assert_true(isnan(row_named("a")->cpu_percent));
}

static void power_is_energy_over_the_time_between(void **state)
{
        const struct top_process a[] = {P(7, 1, "a", 4, 40, .node_cpu_s = {4, 0})};
        const struct top_process b[] = {P(7, 1, "a", 5, 55, .node_cpu_s = {4.25, 0.75})};

        (void)state;
        see(look(10, 1, a));
        see(look(12, 1, b));
        near(row_named("a")->power_w, 7.5);
        near(row_named("a")->cpu_percent, 50);
        near(row_named("a")->node_percent[0], 25);
        near(row_named("a")->node_percent[1], 75);
}

static void who_was_born_since_used_all_of_it_since(void **state)
{
        const struct top_process a[] = {P(7, 1, "a", 4, 40)};
        const struct top_process b[] = {P(7, 1, "a", 4, 40), P(9, 10.5, "b", 1, 6)};

        (void)state;
        see(look(10, 1, a));
        see(look(12, 2, b));
        near(row_named("b")->power_w, 3);
        near(row_named("a")->power_w, 0);
}

static void a_reused_pid_is_another_process(void **state)
{
        const struct top_process a[] = {P(7, 1, "old", 40, 400)};
        const struct top_process b[] = {P(7, 11, "new", 1, 2)};
        struct top_snapshot first = look(10, 1, a), second = look(12, 1, b);

        (void)state;
        first.exited_j = 5;
        second.exited_j = 5 + 400 + 20; /* "old" used another 20 J before it went */
        see(first);
        see(second);
        near(row_named("new")->power_w, 1);
        near(row_named("(exited)")->power_w, 10);
}

static void rows_add_up_to_what_was_used(void **state)
{
        const struct top_process a[] = {P(1, 1, "a", 1, 10), P(2, 1, "b", 1, 10),
                                        P(3, 1, "c", 1, 10)};
        const struct top_process b[] = {P(1, 1, "a", 2, 14), P(3, 1, "c", 1, 10),
                                        P(4, 10, "d", 1, 3)};
        struct top_snapshot first = look(10, 3, a), second = look(11, 3, b);
        double sum = 0;

        (void)state;
        first.exited_j = 100;
        second.exited_j = 100 + 10 + 2; /* b used 2 J more; 1 J is of one born and gone between */
        second.exited_j += 1;
        see(first);
        see(second);
        for (size_t i = 0; i < model.nrows; i++)
                sum += model.rows[i].power_w;
        near(sum, 14 - 10 + 3 + 2 + 1);
}

static void the_same_moment_again_changes_nothing(void **state)
{
        const struct top_process a[] = {P(7, 1, "a", 4, 40)}, b[] = {P(7, 1, "a", 5, 44)};

        (void)state;
        see(look(10, 1, a));
        see(look(11, 1, b));
        see(look(11, 1, b));
        near(row_named("a")->power_w, 4);
}

static void another_daemon_begins_anew(void **state)
{
        const struct top_process a[] = {P(7, 1, "a", 4, 40)}, b[] = {P(7, 1, "a", 0.1, 1)};

        (void)state;
        see(look(10, 1, a));
        see(look(2, 1, b));
        assert_true(isnan(row_named("a")->power_w));
        near(row_named("a")->energy_j, 1);
}

static void users_and_units_sum_their_processes(void **state)
{
        const struct top_process a[] = {P(1, 1, "a", 0, 0, .user = "ann", .unit = "x.service"),
                                        P(2, 1, "b", 0, 0, .user = "bob", .unit = "x.service"),
                                        P(3, 1, "c", 0, 0, .user = "ann", .unit = "y.scope")};
        const struct top_process b[] = {
                P(1, 1, "a", 1, 10, .user = "ann", .unit = "x.service", .node_cpu_s = {1, 0},
                  .threads = 2),
                P(2, 1, "b", 1, 20, .user = "bob", .unit = "x.service", .threads = 1),
                P(3, 1, "c", 1, 30, .user = "ann", .unit = "y.scope", .node_cpu_s = {0, 1},
                  .threads = 1)};

        (void)state;
        see(look(10, 3, a));
        order.group = TOP_USERS;
        see(look(11, 3, b));
        near(row_named("ann")->power_w, 40);
        near(row_named("ann")->node_percent[0], 50);
        near(row_named("bob")->cpu_percent, 100);
        assert_int_equal(row_named("ann")->processes, 2);
        assert_int_equal(row_named("ann")->threads, 3);
        order.group = TOP_UNITS;
        assert_int_equal(top_model_arrange(&model, &order), 0);
        near(row_named("x.service")->power_w, 30);
        near(row_named("y.scope")->power_w, 30);
        assert_string_equal(row_named("(exited)")->name, "(exited)");
}

static void names(const char *expected)
{
        char text[256] = "";

        for (size_t i = 0; i < model.nrows; i++) {
                strcat(text, model.rows[i].name);
                strcat(text, " ");
        }
        assert_string_equal(text, expected);
}

static void rows_are_in_the_order_asked_for(void **state)
{
        const struct top_process a[] = {P(1, 1, "c", 0, 5, .user = "x"),
                                        P(2, 1, "a", 0, 1, .user = "z"),
                                        P(3, 1, "b", 0, 3, .user = "y")};
        const struct top_process b[] = {P(1, 1, "c", 3, 6, .user = "x"),
                                        P(2, 1, "a", 1, 4, .user = "z"),
                                        P(3, 1, "b", 2, 5, .user = "y")};
        static const char *const expected[TOP_SORTS] = {"a b c ", "c b a ", "c b a ",
                                                        "c a b ", "c b a ", "a b c "};
        struct top_snapshot first = look(10, 3, a), second = look(11, 3, b);

        (void)state;
        first.exited_j = second.exited_j = NAN; /* as for ordinary users: no such row */
        see(first);
        see(second);
        for (unsigned int sort = 0; sort < TOP_SORTS; sort++) {
                order.sort = sort;
                assert_int_equal(top_model_arrange(&model, &order), 0);
                names(expected[sort]);
        }
        order.reverse = true;
        order.sort = TOP_ENERGY;
        assert_int_equal(top_model_arrange(&model, &order), 0);
        names("a b c ");
}

static void filters_keep_what_matches(void **state)
{
        const struct top_process a[] = {P(1, 1, "Alpha", 0, 5, .user = "ann", .unit = "u"),
                                        P(2, 1, "beta", 0, 4, .user = "bob", .unit = "alpine"),
                                        P(3, 1, "gamma", 0, 3)};
        struct top_snapshot s = look(10, 3, a);

        (void)state;
        s.exited_j = NAN;
        strcpy(order.filter, "ALP");
        order.sort = TOP_ENERGY;
        see(s);
        names("Alpha beta ");
        strcpy(order.user, "bob");
        assert_int_equal(top_model_arrange(&model, &order), 0);
        names("beta ");
}

static void children_stand_below_their_parents(void **state)
{
        const struct top_process a[] = {P(1, 1, "init", 0, 1), P(5, 1, "sh", 0, 2, .ppid = 1),
                                        P(6, 1, "cron", 0, 9, .ppid = 1),
                                        P(8, 1, "make", 0, 7, .ppid = 5),
                                        P(9, 1, "alone", 0, 3, .ppid = 77)};
        struct top_snapshot s = look(10, 5, a);

        (void)state;
        s.exited_j = NAN;
        order.tree = true;
        order.sort = TOP_ENERGY;
        see(s);
        names("alone init cron sh make ");
        assert_int_equal(row_named("make")->depth, 2);
        assert_int_equal(row_named("cron")->depth, 1);
        assert_int_equal(row_named("alone")->depth, 0);
}

static void a_circle_of_parents_is_shown_and_ends(void **state)
{
        const struct top_process a[] = {P(1, 1, "a", 0, 1, .ppid = 2),
                                        P(2, 1, "b", 0, 2, .ppid = 1),
                                        P(3, 1, "c", 0, 1, .ppid = 3)};
        struct top_snapshot s = look(10, 3, a);

        (void)state;
        s.exited_j = NAN;
        order.tree = true;
        see(s);
        assert_int_equal(model.nrows, 3);
}

static void parts_of_a_socket_add_up(void **state)
{
        struct top_snapshot first = look(10, 0, NULL), second = look(12, 0, NULL);

        (void)state;
        first.nsockets = second.nsockets = 1;
        first.sockets[0] = (struct top_socket){
                .socket = 1, .all = 100, .dram = 10, .fixed = 60, .unattributed = 5};
        second.sockets[0] = (struct top_socket){
                .socket = 1, .all = 180, .dram = 20, .fixed = 100, .unattributed = 9};
        see(first);
        assert_true(isnan(model.sockets[0].all_w));
        see(second);
        near(model.sockets[0].all_w, 40);
        near(model.sockets[0].fixed_w, 20);
        near(model.sockets[0].unattributed_w, 2);
        near(model.sockets[0].share_w, 18);
        near(model.sockets[0].dram_w, 5);
        near(model.sockets[0].most_w, 40);
}

#define STATUS "{\"source\": \"powercap\", \"estimated\": false, \"domains\": [], \"warnings\": []}"

/* A snapshot of an answer; `before` may be NULL. */
static struct top_snapshot parse(const char *text, const struct top_snapshot *before)
{
        json_auto_t *status = json_loads(STATUS, 0, NULL), *rows = json_loads(text, 0, NULL);
        struct top_snapshot s;

        assert_non_null(rows);
        assert_int_equal(top_snapshot_parse(&s, rows, status, false, before), 0);
        return s;
}

#define ROW(PID, CPU, PACKAGE, DRAM)                                                    \
        "{\"pid\": " #PID ", \"start_s\": 1, \"comm\": \"p" #PID "\", \"threads\": 1, " \
        "\"cpu_s\": " #CPU ", \"share\": {\"package_j\": " #PACKAGE ", \"dram_j\": " #DRAM "}}"

static void what_has_not_changed_is_as_it_was_but_for_its_memory(void **state)
{
        static const char first[] = "{\"uptime_s\": 10, \"nodes\": [0], \"rows\": [" ROW(
                4, 1, 7, 1) "," ROW(6, 2, 8, 1) "," ROW(9, 3, 9, 1) "]}";
        static const char second[] = "{\"uptime_s\": 12, \"nodes\": [0], \"rows\": [" ROW(
                6, 3, 12,
                2) "," ROW(7, 1, 1, 0) "], \"unchanged\": [4, 9], \"unchanged_dram_j\": [3, null]}";

        (void)state;
        see(parse(first, NULL));
        see(parse(second, &model.now));
        assert_int_equal(model.now.nprocesses, 4);
        near(row_named("p4")->energy_j, 10);
        near(row_named("p4")->power_w, 1);
        near(row_named("p4")->cpu_percent, 0);
        near(row_named("p6")->power_w, 2.5);
        near(row_named("p7")->power_w, 0.5);
        near(row_named("p9")->energy_j, 10);
        near(row_named("p9")->power_w, 0);
}

static void unchanged_since_nothing_that_is_known_is_refused(void **state)
{
        json_auto_t *status = json_loads(STATUS, 0, NULL);
        json_auto_t *rows = json_loads("{\"uptime_s\": 12, \"nodes\": [0], \"rows\": [], "
                                       "\"unchanged\": [4]}",
                                       0, NULL);
        const struct top_process other[] = {P(5, 1, "a", 4, 40)};
        struct top_snapshot s, before = look(10, 1, other);

        (void)state;
        assert_int_equal(top_snapshot_parse(&s, rows, status, false, NULL), -EPROTO);
        assert_int_equal(top_snapshot_parse(&s, rows, status, false, &before), -EPROTO);
        top_snapshot_deinit(&before);
}

#define TARGET(ID, PID, NAME, CPU, PACKAGE)                                      \
        "{\"target\": " #ID ", \"pid\": " #PID ", \"uid\": 0, \"name\": \"" NAME \
        "\", \"processes\": 3, \"threads\": 4, \"cpu_s\": " #CPU                 \
        ", \"share\": {\"package_j\": " #PACKAGE ", \"dram_j\": null}}"

static void targets_are_rows_of_their_own(void **state)
{
        static const char first[] = "{\"uptime_s\": 10, \"nodes\": [0], \"rows\": [" ROW(
                4, 1, 7, 1) "], "
                            "\"targets\": [" TARGET(8, 50, "bench", 1, 10) "," TARGET(2, 40, "gone",
                                                                                      1, 1) "]}";
        static const char second[] = "{\"uptime_s\": 12, \"nodes\": [0], \"rows\": [" ROW(
                4, 1, 7, 1) "], "
                            "\"targets\": [" TARGET(9, 60, "new", 0.5, 4) "," TARGET(8, 50, "bench",
                                                                                     2, 15) "]}";

        (void)state;
        order.group = TOP_TARGETS;
        see(parse(first, NULL));
        assert_true(isnan(row_named("bench")->power_w));
        see(parse(second, NULL));
        assert_int_equal(model.nrows, 2);
        near(row_named("bench")->power_w, 2.5);
        near(row_named("bench")->cpu_percent, 50);
        near(row_named("bench")->energy_j, 15);
        assert_int_equal(row_named("bench")->pid, 50);
        assert_int_equal(row_named("bench")->processes, 3);
        near(row_named("new")->power_w, 2); /* all of it since it has been followed */
        assert_string_equal(model.rows[0].name, "bench");
        snprintf(order.filter, sizeof(order.filter), "ne");
        assert_int_equal(top_model_arrange(&model, &order), 0);
        assert_int_equal(model.nrows, 1);
}

static void a_unit_is_the_deepest_service_or_scope(void **state)
{
        static const struct {
                const char *file, *unit;
        } cases[] = {
                {"0::/system.slice/ssh.service\n", "ssh.service"},
                {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n", "a.scope"},
                {"0::/system.slice/ssh.service/below\n", "ssh.service"},
                {"0::/\n", "-"},
                {"", "-"},
                {"nonsense", "-"},
                {"0::/kubepods/pod1/worker\n", "worker"},
                {"12:cpu,cpuacct:/a\n1:name=systemd:/system.slice/db.service\n0::/\n",
                 "db.service"},
                {"4:memory:/batch/job_7\n0::/\n", "job_7"},
                {"0::/docker/"
                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
                 "0123456789ab"},
        };
        char unit[TOP_NAME_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                top_unit_of(cases[i].file, unit, sizeof(unit));
                assert_string_equal(unit, cases[i].unit);
        }
}

static void answers_that_are_none_are_refused(void **state)
{
        static const char *const bad[] = {
                "{}", "{\"uptime_s\": 1, \"nodes\": [0], \"rows\": 7}",
                "{\"uptime_s\": 1, \"nodes\": [0], \"rows\": [{}]}",
                "{\"uptime_s\": 1, \"nodes\": [0], \"rows\": [{\"pid\": \"7\", \"comm\": \"a\"}]}"};
        json_t *status = json_loads(STATUS, 0, NULL);
        struct top_snapshot s;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                json_t *rows = json_loads(bad[i], 0, NULL);

                assert_non_null(rows);
                assert_true(top_snapshot_parse(&s, rows, status, false, NULL) < 0);
                json_decref(rows);
        }
        json_decref(status);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(the_first_look_knows_energy_and_no_power),
                TEST(power_is_energy_over_the_time_between),
                TEST(who_was_born_since_used_all_of_it_since),
                TEST(a_reused_pid_is_another_process),
                TEST(rows_add_up_to_what_was_used),
                TEST(the_same_moment_again_changes_nothing),
                TEST(another_daemon_begins_anew),
                TEST(users_and_units_sum_their_processes),
                TEST(rows_are_in_the_order_asked_for),
                TEST(filters_keep_what_matches),
                TEST(children_stand_below_their_parents),
                TEST(a_circle_of_parents_is_shown_and_ends),
                TEST(parts_of_a_socket_add_up),
                TEST(what_has_not_changed_is_as_it_was_but_for_its_memory),
                TEST(unchanged_since_nothing_that_is_known_is_refused),
                TEST(targets_are_rows_of_their_own),
                TEST(a_unit_is_the_deepest_service_or_scope),
                TEST(answers_that_are_none_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
