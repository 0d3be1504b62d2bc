/* SPDX-License-Identifier: MIT */
#include "top_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "top_view.h"

struct top_text top_text_on(char *line, size_t size, int max_columns, bool utf8)
{
        line[0] = '\0';
        return (struct top_text){
                .line = line, .size = size, .max_columns = max_columns, .utf8 = utf8};
}

static bool append(struct top_text *t, const char *bytes, size_t length, int columns)
{
        if (t->used + length >= t->size || t->columns + columns > t->max_columns)
                return false;
        memcpy(t->line + t->used, bytes, length);
        t->used += length;
        t->line[t->used] = '\0';
        t->columns += columns;
        return true;
}

/* As much as there is room for: a byte is a column. */
static void append_ascii(struct top_text *t, const char *bytes, size_t length)
{
        size_t columns = (size_t)(t->max_columns - t->columns);

        if (length > columns)
                length = columns;
        if (length >= t->size - t->used)
                length = t->size - t->used - 1;
        append(t, bytes, length, (int)length);
}

static void append_blanks(struct top_text *t, int n)
{
        static const char blanks[] = "                                ";

        for (; n > 0; n -= (int)sizeof(blanks) - 1)
                append_ascii(t, blanks,
                             (size_t)n < sizeof(blanks) ? (size_t)n : sizeof(blanks) - 1);
}

void top_text_add(struct top_text *t, const char *format, ...)
{
        char text[TOP_LINE_MAX];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        append_ascii(t, text, strlen(text));
}

void top_text_style(struct top_text *t, char style)
{
        const char mark[] = {TOP_STYLE, style};

        append(t, mark, sizeof(mark), 0);
}

/* The next character of a name: its bytes, and its columns.  What is no character of the locale,
 * does not print or has no width of its own is one byte that becomes '?'. */
static size_t next_character(const char *name, int *columns)
{
        mbstate_t state = {0};
        wchar_t wide;
        size_t length;

        *columns = 1;
        if (*name >= ' ' && *name <= '~') /* most are: the long way takes ten times as long */
                return 1;
        length = mbrtowc(&wide, name, strlen(name), &state);
        if (length == 0 || length > strlen(name))
                return 0;
        *columns = wcwidth(wide);
        if (*columns < 1) {
                *columns = 1;
                return 0;
        }
        return length;
}

int top_text_width(const char *name)
{
        int sum = 0;

        while (*name) {
                int columns;
                size_t length = next_character(name, &columns);

                sum += columns;
                name += length ? length : 1;
        }
        return sum;
}

void top_text_name(struct top_text *t, const char *name, int width)
{
        int used = 0;

        if (width > t->max_columns - t->columns)
                width = t->max_columns - t->columns;
        while (*name) {
                int columns;
                size_t length = next_character(name, &columns);

                if (used + columns > width)
                        break;
                if (!append(t, length ? name : "?", length ? length : 1, columns))
                        break;
                used += columns;
                name += length ? length : 1;
        }
        append_blanks(t, width - used);
}

void top_text_repeat(struct top_text *t, const char *glyph, int n)
{
        for (int i = 0; i < n; i++)
                append(t, glyph, strlen(glyph), 1);
}

void top_text_pad(struct top_text *t, int column)
{
        append_blanks(t, column - t->columns);
}
