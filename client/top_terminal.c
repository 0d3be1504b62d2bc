/* SPDX-License-Identifier: MIT */
#define NCURSES_WIDECHAR 1
#include "top_terminal.h"

#include <curses.h>
#include <errno.h>
#include <term.h>
#include <unistd.h>

/* term.h has macros of these names. */
#undef columns
#undef lines

#include "top_keys.h"

#define WHEEL_LINES 3
#define ESCAPE_MS   25 /* time for the rest of an escape sequence, over ssh too */
#define ESCAPE      27

static struct {
        SCREEN *screen; /* NULL: not taken */
        bool colour;
} terminal;

static attr_t attributes_of(char style)
{
        bool colour = terminal.colour;

        switch (style) {
        case TOP_BOLD:
                return A_BOLD;
        case TOP_DIM:
                return colour ? COLOR_PAIR(4) : A_NORMAL;
        case TOP_HEAD:
                return A_REVERSE;
        case TOP_SELECTED:
                return colour ? COLOR_PAIR(5) : A_REVERSE;
        case TOP_STATIC:
                return colour ? COLOR_PAIR(1) : A_NORMAL;
        case TOP_SHARE:
                return colour ? COLOR_PAIR(2) : A_NORMAL;
        case TOP_REST:
                return colour ? COLOR_PAIR(3) : A_NORMAL;
        case TOP_WARNING:
                return colour ? A_BOLD | COLOR_PAIR(3) : A_BOLD;
        default:
                return A_NORMAL;
        }
}

static void start_colours(void)
{
        start_color();
        use_default_colors();
        init_pair(1, COLOR_BLUE, -1);
        init_pair(2, COLOR_GREEN, -1);
        init_pair(3, COLOR_YELLOW, -1);
        init_pair(4, COLOR_CYAN, -1);
        init_pair(5, COLOR_BLACK, COLOR_CYAN);
}

int top_terminal_open(bool colour)
{
        int error;

        if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1)
                return -ENOTTY;
        /* newterm() forgets to free something when it does not know the type */
        if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
                return -ENOTSUP;
        del_curterm(cur_term);
        terminal.screen = newterm(NULL, stdout, stdin);
        if (!terminal.screen)
                return -ENOTSUP;
        set_term(terminal.screen);
        cbreak();
        noecho();
        nonl();
        keypad(stdscr, TRUE);
        nodelay(stdscr, TRUE);
        set_escdelay(ESCAPE_MS);
        curs_set(0);
        mousemask(BUTTON1_CLICKED | BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED, NULL);
        mouseinterval(0); /* no waiting for a double click */
        terminal.colour = colour && has_colors();
        if (terminal.colour)
                start_colours();
        return 0;
}

void top_terminal_close(void)
{
        if (!terminal.screen)
                return;
        endwin();
        delscreen(terminal.screen);
        terminal.screen = NULL;
}

void top_terminal_size(int *width, int *height)
{
        getmaxyx(stdscr, *height, *width);
}

static void draw_line(const char *line)
{
        attrset(A_NORMAL);
        for (const char *p = line; *p;) {
                const char *start = p;

                if (*p == TOP_STYLE && p[1]) {
                        attrset(attributes_of(p[1]));
                        p += 2;
                        continue;
                }
                while (*p && *p != TOP_STYLE)
                        p++;
                addnstr(start, (int)(p - start));
        }
}

void top_terminal_draw(const struct top_screen *s)
{
        int width, height;

        getmaxyx(stdscr, height, width);
        (void)width;
        erase();
        for (int i = 0; i < s->nlines && i < height; i++) {
                move(i, 0);
                draw_line(s->lines[i]);
        }
        refresh();
}

static int key_of(int code)
{
        static const struct {
                int code, key;
        } keys[] = {
                {KEY_UP, TOP_KEY_UP},
                {KEY_DOWN, TOP_KEY_DOWN},
                {KEY_PPAGE, TOP_KEY_PAGE_UP},
                {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
                {KEY_HOME, TOP_KEY_HOME},
                {KEY_END, TOP_KEY_END},
                {KEY_ENTER, TOP_KEY_ENTER},
                {'\r', TOP_KEY_ENTER},
                {'\n', TOP_KEY_ENTER},
                {ESCAPE, TOP_KEY_ESCAPE},
                {KEY_BACKSPACE, TOP_KEY_BACKSPACE},
                {0x7f, TOP_KEY_BACKSPACE},
                {'\b', TOP_KEY_BACKSPACE},
                {KEY_F(1), TOP_KEY_HELP},
        };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (keys[i].code == code)
                        return keys[i].key;
        return code <= 0xff ? code : 0;
}

static enum top_event mouse_event(int *column, int *line)
{
        MEVENT event;

        if (getmouse(&event) != OK)
                return TOP_EVENT_NONE;
        if (event.bstate & (BUTTON4_PRESSED | BUTTON5_PRESSED)) {
                *line = event.bstate & BUTTON4_PRESSED ? -WHEEL_LINES : WHEEL_LINES;
                return TOP_EVENT_WHEEL;
        }
        *column = event.x;
        *line = event.y;
        return TOP_EVENT_CLICK;
}

enum top_event top_terminal_next(int *key, int *column, int *line)
{
        int code = getch();

        if (code == ERR)
                return TOP_EVENT_NONE;
        if (code == KEY_RESIZE)
                return TOP_EVENT_SIZE;
        if (code == KEY_MOUSE)
                return mouse_event(column, line);
        *key = key_of(code);
        return TOP_EVENT_KEY;
}
