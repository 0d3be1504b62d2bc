/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <langinfo.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIGNIFICANT_DIGITS 3
#define MESSAGE_MAX        2048

/* Decimals that leave `value` three significant digits: 0 for 240, 2 for 7.99, 4 for 0.0123. */
static int decimals_for(double value)
{
        /* %e rounds first, so that 9.999 is seen as the 10.0 that it will be printed as */
        char text[TEXT_NUMBER_MAX];
        int exponent, decimals;

        snprintf(text, sizeof(text), "%.*e", SIGNIFICANT_DIGITS - 1, value);
        exponent = atoi(strchr(text, 'e') + 1);
        decimals = SIGNIFICANT_DIGITS - 1 - exponent;
        if (decimals < 0)
                return 0;
        return decimals > 9 ? 9 : decimals;
}

const char *text_number(char text[TEXT_NUMBER_MAX], double value)
{
        if (!isfinite(value))
                snprintf(text, TEXT_NUMBER_MAX, "-");
        else if (value == 0)
                snprintf(text, TEXT_NUMBER_MAX, "0");
        else
                snprintf(text, TEXT_NUMBER_MAX, "%.*f", decimals_for(value), value);
        return text;
}

const char *text_quantity(char text[TEXT_NUMBER_MAX], double value, const char *unit)
{
        static const struct {
                double factor;
                const char *prefix;
        } scales[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}, {1e-3, "m"}, {1e-6, "u"}};
        static const size_t last = sizeof(scales) / sizeof(scales[0]) - 1;
        /* 999.5 is printed as 1000: from there on the next prefix is the right one */
        const double rounds_up = 0.9995;
        char number[TEXT_NUMBER_MAX];
        size_t i = 0;

        if (!isfinite(value)) {
                snprintf(text, TEXT_NUMBER_MAX, "-");
        } else if (value == 0) {
                snprintf(text, TEXT_NUMBER_MAX, "0 %s", unit);
        } else {
                while (i < last && fabs(value) < scales[i].factor * rounds_up)
                        i++;
                text_number(number, value / scales[i].factor);
                snprintf(text, TEXT_NUMBER_MAX, "%.16s %s%.8s", number, scales[i].prefix, unit);
        }
        return text;
}

const char *text_duration(char text[TEXT_NUMBER_MAX], double seconds)
{
        const double minute = 60, hour = 3600, day = 86400, longest = 1e15;
        long long s;

        if (!isfinite(seconds) || seconds < 0 || seconds > longest) {
                snprintf(text, TEXT_NUMBER_MAX, "-");
                return text;
        }
        s = (long long)seconds;
        if (seconds < minute)
                snprintf(text, TEXT_NUMBER_MAX, "%lld s", s);
        else if (seconds < hour)
                snprintf(text, TEXT_NUMBER_MAX, "%lld min", s / 60);
        else if (seconds < day)
                snprintf(text, TEXT_NUMBER_MAX, "%lld h %lld min", s / 3600, s % 3600 / 60);
        else
                snprintf(text, TEXT_NUMBER_MAX, "%lld d %lld h", s / 86400, s % 86400 / 3600);
        return text;
}

/* Length of the well-formed UTF-8 sequence at `s` (Unicode 15, table 3-7), 0 when it is none. */
static size_t sequence_length(const unsigned char *s)
{
        unsigned char low = 0x80, high = 0xbf;
        size_t length;

        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                length = 2;
        else if (s[0] >= 0xe0 && s[0] <= 0xef)
                length = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                length = 4;
        else
                return 0;
        if (s[0] == 0xe0)
                low = 0xa0; /* else it is longer than it need be */
        else if (s[0] == 0xed)
                high = 0x9f; /* surrogates */
        else if (s[0] == 0xf0)
                low = 0x90;
        else if (s[0] == 0xf4)
                high = 0x8f; /* the end of Unicode */

        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < length; i++)
                if (s[i] < 0x80 || s[i] > 0xbf)
                        return 0;
        return length;
}

static uint32_t code_point(const unsigned char *s, size_t length)
{
        static const unsigned char first[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        uint32_t code = s[0] & first[length];

        for (size_t i = 1; i < length; i++)
                code = code << 6 | (s[i] & 0x3f);
        return code;
}

/* Controls of C0 and C1, and those that turn the direction of writing or end a line: a terminal
 * would act on them (Unicode Standard Annex 9, table 4; Technical Report 36, 2.5). */
static bool is_control(uint32_t code)
{
        return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
               code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
               (code >= 0x2066 && code <= 0x2069);
}

size_t text_print_character(FILE *out, const char *s)
{
        size_t length = sequence_length((const unsigned char *)s);

        if (length == 0 || is_control(code_point((const unsigned char *)s, length)))
                fputc('?', out);
        else
                fwrite(s, 1, length, out);
        return length ? length : 1;
}

void text_print_safe(FILE *out, const char *s)
{
        while (*s)
                s += text_print_character(out, s);
}

void text_make_utf8(char *s)
{
        while (*s) {
                size_t length = sequence_length((const unsigned char *)s);

                if (length == 0)
                        *s = '?';
                s += length ? length : 1;
        }
}

char *text_to_utf8(const char *s)
{
        char *copy = strdup(s);

        if (copy)
                text_make_utf8(copy);
        return copy;
}

json_t *text_json(const char *s)
{
        char *copy = text_to_utf8(s);
        json_t *string = copy ? json_string(copy) : NULL;

        free(copy);
        return string;
}

bool text_utf8(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool text_colour(FILE *out)
{
        const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

        if (no_colour && no_colour[0])
                return false;
        if (!terminal || !terminal[0] || strcmp(terminal, "dumb") == 0)
                return false;
        return isatty(fileno(out)) == 1;
}

void text_message(const char *format, ...)
{
        char text[MESSAGE_MAX];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);

        fputs("energat: ", stderr);
        text_print_safe(stderr, text);
        fputc('\n', stderr);
}
