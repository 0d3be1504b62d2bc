/* SPDX-License-Identifier: MIT */
/* energat top's lines: they fit every size of screen, in UTF-8 and without; and its keys. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "top_keys.h"
#include "top_text.h"
#include "top_view.h"

#define ROWS 100

static struct top_screen screen;
static struct top_model model;
static struct top_order order;
static struct top_view view;

static int set_up(void **state)
{
        (void)state;
        setlocale(LC_CTYPE, "C.UTF-8");
        model = (struct top_model){.interval_s = 1, .nnodes = 2, .nsockets = 2, .nall = ROWS};
        model.now = (struct top_snapshot){
                .uptime_s = 4000, .source = "powercap", .nnotes = 2, .nprocesses = ROWS};
        strcpy(model.now.notes[0], "package-0: counter \033[31mstands still");
        strcpy(model.now.notes[1], "no baseline");
        for (unsigned int i = 0; i < 2; i++)
                model.sockets[i] = (struct top_power){.socket = (int)i,
                                                      .all_w = 50,
                                                      .fixed_w = 20,
                                                      .share_w = 25,
                                                      .unattributed_w = 5,
                                                      .dram_w = 3,
                                                      .most_w = 100};
        model.rows = calloc(ROWS, sizeof(model.rows[0]));
        if (!model.rows)
                return -1;
        model.nrows = ROWS;
        for (unsigned int i = 0; i < ROWS; i++)
                model.rows[i] = (struct top_row){.pid = 1000 + i,
                                                 .name = i % 2 ? "odd" : "even",
                                                 .user = "somebody-with-a-name",
                                                 .unit = "u",
                                                 .power_w = 1.5,
                                                 .energy_j = 12345,
                                                 .cpu_percent = 99.9,
                                                 .node_percent = {40, 60}};
        order = (struct top_order){0};
        view = (struct top_view){
                .width = 80, .height = 24, .utf8 = true, .delay_s = 1, .user = "me"};
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        free(model.rows);
        return 0;
}

static void draw(void)
{
        top_view_draw(&screen, &view, &model, &order);
        for (int i = 0; i < screen.nlines; i++)
                top_view_strip(screen.lines[i]);
}

static bool shows(const char *text)
{
        for (int i = 0; i < screen.nlines; i++)
                if (strstr(screen.lines[i], text))
                        return true;
        return false;
}

static void every_size_is_kept_to(void **state)
{
        static const bool utf8[] = {true, false};

        (void)state;
        for (size_t mode = 0; mode < 2; mode++) {
                view.utf8 = utf8[mode];
                for (view.width = 1; view.width <= TOP_WIDTH_MAX; view.width += 7)
                        for (view.height = 1; view.height < 60; view.height += 3) {
                                draw();
                                assert_true(screen.nlines <= view.height);
                                for (int i = 0; i < screen.nlines; i++)
                                        assert_true(top_text_width(screen.lines[i]) <= view.width);
                        }
        }
}

static void a_usual_screen_has_all_of_it(void **state)
{
        (void)state;
        draw();
        assert_int_equal(screen.nlines, 24);
        assert_true(shows("powercap"));
        assert_true(shows("socket 0   50.0 W ["));
        assert_true(shows("static  20.0 share  25.0 unattr.   5.0 dram   3.0"));
        assert_true(shows("! no baseline"));
        assert_true(shows("100 rows by power"));
        assert_true(shows("POWER W   ENERGY  CPU %    NODES NAME"));
        assert_true(shows("    1000 somebody     1.500  12.3 kJ   99.9    40/60 even"));
        assert_true(shows("q quit"));
        assert_true(screen.nrows > 10);
}

static void a_bar_has_its_parts_in_proportion(void **state)
{
        (void)state;
        view.utf8 = false;
        view.width = 130; /* a bar of 60 for 100 W */
        draw();
        assert_true(shows("[============###############---                              ]"));
        view.utf8 = true;
        draw();
        assert_true(shows("\xe2\x96\x92\xe2\x96\x88"));
}

static void what_is_not_known_is_a_question_mark(void **state)
{
        (void)state;
        model.sockets[0].fixed_w = NAN;
        model.rows[0].power_w = NAN;
        draw();
        assert_true(shows("static     ?"));
        assert_true(shows("somebody         -"));
        assert_false(shows("nan"));
}

static void names_cannot_bring_control_characters(void **state)
{
        (void)state;
        model.rows[0].name = "a\033[2Jb\1"
                             "1\n\xc2\x9b"
                             "c\xff";
        draw();
        assert_true(shows("a?[2Jb?1?"));
        assert_true(shows("counter ?[31mstands still"));
        for (int i = 0; i < screen.nlines; i++)
                for (const char *c = screen.lines[i]; *c; c++)
                        assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void without_utf8_nothing_but_ascii_comes_out(void **state)
{
        (void)state;
        setlocale(LC_CTYPE, "C");
        view.utf8 = false;
        model.rows[0].name = "m\xc3\xbcller";
        draw();
        assert_true(shows("m??ller"));
        for (int i = 0; i < screen.nlines; i++)
                for (const char *c = screen.lines[i]; *c; c++)
                        assert_true((unsigned char)*c < 0x80);
}

static void a_small_terminal_is_told(void **state)
{
        (void)state;
        view.width = 40;
        view.height = 8;
        draw();
        assert_true(shows("terminal too small"));
        assert_true(shows("40x8, needs 50x10"));
        view.width = 80;
        view.height = 24;
        draw();
        assert_true(shows("socket 0"));
}

static void ordinary_users_are_told_that_it_is_theirs_only(void **state)
{
        (void)state;
        model.now.own_only = true;
        model.sockets[0].unattributed_w = NAN;
        draw();
        assert_true(shows("your own processes (me); root and group energat see all"));
        assert_true(shows("dynamic  30.0"));
}

static enum top_action press(int key)
{
        enum top_action action = top_keys_press(&view, &order, &model, &screen, key);

        draw();
        return action;
}

static void keys_sort_group_and_quit(void **state)
{
        (void)state;
        draw();
        assert_int_equal(press('C'), TOP_REARRANGE);
        assert_int_equal(order.sort, TOP_CPU);
        assert_int_equal(press('C'), TOP_REARRANGE);
        assert_true(order.reverse);
        assert_int_equal(press('s'), TOP_REARRANGE);
        assert_int_equal(order.sort, TOP_PID);
        assert_int_equal(press('g'), TOP_REARRANGE);
        assert_int_equal(order.group, TOP_USERS);
        assert_int_equal(press('t'), TOP_REARRANGE);
        assert_true(order.tree && order.group == TOP_PROCESSES);
        assert_int_equal(press('+'), TOP_DELAY);
        assert_true(view.delay_s == 2);
        assert_int_equal(press('-'), TOP_DELAY);
        assert_true(view.delay_s == 1);
        assert_int_equal(press('p'), TOP_REDRAW);
        assert_true(shows("PAUSED"));
        assert_int_equal(press(0), TOP_NOTHING);
        assert_int_equal(press('z'), TOP_NOTHING);
        assert_int_equal(press('q'), TOP_QUIT);
}

static void moving_keeps_the_cursor_on_the_screen(void **state)
{
        (void)state;
        draw();
        press(TOP_KEY_UP);
        assert_int_equal(view.selected, 0);
        press(TOP_KEY_END);
        assert_int_equal(view.selected, ROWS - 1);
        assert_int_equal(view.offset, ROWS - screen.nrows);
        press(TOP_KEY_DOWN);
        assert_int_equal(view.selected, ROWS - 1);
        press(TOP_KEY_PAGE_UP);
        assert_true(view.selected < ROWS - 1 && view.selected >= view.offset);
        press(TOP_KEY_HOME);
        assert_int_equal(view.offset, 0);
        model.nrows = 0;
        press(TOP_KEY_DOWN);
        assert_int_equal(view.selected, 0);
        model.nrows = ROWS;
}

static void a_search_goes_from_match_to_match(void **state)
{
        (void)state;
        draw();
        press('/');
        assert_true(shows("search: _"));
        press(TOP_KEY_BACKSPACE);
        press('d');
        press('d');
        press('x');
        press(TOP_KEY_BACKSPACE);
        press(TOP_KEY_ENTER);
        assert_int_equal(view.selected, 1);
        press('n');
        assert_int_equal(view.selected, 3);
        press('/');
        press(TOP_KEY_ESCAPE);
        assert_string_equal(view.search, "dd");
}

static void a_filter_is_typed_and_shown(void **state)
{
        (void)state;
        draw();
        press('f');
        press('q'); /* a letter here, and no key */
        press(0xc3);
        press(0xa9);
        press(TOP_KEY_BACKSPACE); /* takes both bytes of it */
        assert_string_equal(view.input, "q");
        assert_int_equal(press(TOP_KEY_ENTER), TOP_REARRANGE);
        assert_string_equal(order.filter, "q");
        assert_true(shows("filter: q"));
        press('f');
        for (int i = 0; i < 3 * TOP_FILTER_MAX; i++)
                press('x');
        press(TOP_KEY_ENTER);
        assert_int_equal(strlen(order.filter), TOP_FILTER_MAX - 1);
}

static void help_fits_and_goes_with_any_key(void **state)
{
        (void)state;
        draw();
        press('?');
        assert_true(screen.nlines <= 24);
        assert_true(shows("any key: back"));
        assert_true(shows("full is the most seen so far"));
        press('q');
        assert_true(shows("rows by power"));
}

static void a_click_on_a_head_sorts_by_it(void **state)
{
        (void)state;
        draw();
        assert_int_equal(top_keys_click(&view, &order, &model, &screen, 4, screen.head_line),
                         TOP_REARRANGE);
        assert_int_equal(order.sort, TOP_PID);
        assert_int_equal(top_keys_click(&view, &order, &model, &screen, 79, screen.head_line),
                         TOP_REARRANGE);
        assert_int_equal(order.sort, TOP_NAME);
        assert_int_equal(top_keys_click(&view, &order, &model, &screen, 4, screen.first_line + 3),
                         TOP_REDRAW);
        assert_int_equal(view.selected, 3);
        assert_int_equal(top_keys_click(&view, &order, &model, &screen, 4, 0), TOP_NOTHING);
        assert_int_equal(top_keys_wheel(&view, &model, 3), TOP_REDRAW);
        assert_int_equal(view.selected, 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(every_size_is_kept_to),
                TEST(a_usual_screen_has_all_of_it),
                TEST(a_bar_has_its_parts_in_proportion),
                TEST(what_is_not_known_is_a_question_mark),
                TEST(names_cannot_bring_control_characters),
                TEST(without_utf8_nothing_but_ascii_comes_out),
                TEST(a_small_terminal_is_told),
                TEST(ordinary_users_are_told_that_it_is_theirs_only),
                TEST(keys_sort_group_and_quit),
                TEST(moving_keeps_the_cursor_on_the_screen),
                TEST(a_search_goes_from_match_to_match),
                TEST(a_filter_is_typed_and_shown),
                TEST(help_fits_and_goes_with_any_key),
                TEST(a_click_on_a_head_sorts_by_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
