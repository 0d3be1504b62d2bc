/* SPDX-License-Identifier: MIT */
#include "config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define MAX_DECIMALS   20 /* format_number() gives them all back */
#define NUMBER_LETTERS "0123456789."

static void *field(struct config *c, const struct config_row *row)
{
        return (char *)c + row->offset;
}

static const void *const_field(const struct config *c, const struct config_row *row)
{
        return (const char *)c + row->offset;
}

/* Digits and at most one point.  The daemon keeps the C locale, in which strtod() reads them. */
static int parse_number(const char *text, size_t length, double *ret)
{
        char digits[64], *end;
        const char *point;

        if (length == 0 || length >= sizeof(digits) || strspn(text, NUMBER_LETTERS) < length)
                return -EINVAL;
        memcpy(digits, text, length);
        digits[length] = '\0';
        point = strchr(digits, '.');
        if (point && strlen(point + 1) > MAX_DECIMALS)
                return -EINVAL;
        *ret = strtod(digits, &end);
        return *end == '\0' && end != digits ? 0 : -EINVAL;
}

/* "10ms", "0.01", "0.01 s", "1s": seconds where no unit is given. */
static int parse_time(const char *text, double *ret_ns)
{
        static const struct {
                const char *name;
                double ns;
        } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
        size_t length = strspn(text, NUMBER_LETTERS);
        const char *unit = text + length + strspn(text + length, " \t");
        double number;

        if (parse_number(text, length, &number) < 0)
                return -EINVAL;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (strcmp(unit, units[i].name) != 0)
                        continue;
                *ret_ns = round(number * units[i].ns);
                return 0;
        }
        return -EINVAL;
}

static bool within(const struct config_row *row, double value)
{
        return value <= row->max && (row->above_min ? value > row->min : value >= row->min);
}

void config_format_time(uint64_t ns, char *text, size_t size)
{
        if (ns % NS_PER_S == 0)
                snprintf(text, size, "%" PRIu64 "s", ns / NS_PER_S);
        else if (ns % 1000000 == 0)
                snprintf(text, size, "%" PRIu64 "ms", ns / 1000000);
        else if (ns % 1000 == 0)
                snprintf(text, size, "%" PRIu64 "us", ns / 1000);
        else
                snprintf(text, size, "%" PRIu64 "ns", ns);
}

/* What is right, for a message. */
static void describe_expected(const struct config_row *row, char *text, size_t size)
{
        char low[32], high[32];

        switch (row->type) {
        case TYPE_CHOICE:
                snprintf(text, size, "one of: %s", row->choices);
                return;
        case TYPE_PATH:
                snprintf(text, size, "a path of at most %zu bytes, and no comment behind it",
                         row->size - 1);
                return;
        case TYPE_NAME:
                snprintf(text, size, "a name of at most %zu bytes", row->size - 1);
                return;
        case TYPE_NUMBER:
                snprintf(text, size, "a number %s %g and at most %g",
                         row->above_min ? "above" : "of at least", row->min, row->max);
                return;
        case TYPE_TIME:
                config_format_time((uint64_t)row->min, low, sizeof(low));
                config_format_time((uint64_t)row->max, high, sizeof(high));
                snprintf(text, size, "a time from %s to %s, such as 10ms or 0.01 (seconds)", low,
                         high);
                return;
        case TYPE_ROWS:
                snprintf(text, size, "a whole number from %.0f to %.0f", row->min, row->max);
                return;
        case TYPE_BOOL:
                snprintf(text, size, "yes or no");
                return;
        }
}

static int set_text(char *to, const struct config_row *row, const char *value)
{
        size_t length = strlen(value);

        if (length == 0 || length >= row->size)
                return -EINVAL;
        memcpy(to, value, length + 1);
        return 0;
}

bool config_is_choice(const struct config_row *row, const char *value)
{
        size_t length = strlen(value);

        for (const char *p = row->choices; *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (n == length && strncmp(p, value, n) == 0)
                        return true;
                p += n;
        }
        return false;
}

/* A comment stands on a line of its own; behind a path it would become a part of it. */
static int set_path(char *to, const struct config_row *row, const char *value)
{
        for (const char *p = value; *p; p++)
                if ((*p == '#' || *p == ';') && p > value && isspace((unsigned char)p[-1]))
                        return -EINVAL;
        return set_text(to, row, value);
}

/* What useradd(8) and systemd accept, and no more: it is looked up as root. */
static int set_name(char *to, const struct config_row *row, const char *value)
{
        if (!isalpha((unsigned char)*value) && *value != '_')
                return -EINVAL;
        for (const char *p = value; *p; p++)
                if (!isalnum((unsigned char)*p) && !strchr("_-.", *p))
                        return -EINVAL;
        return set_text(to, row, value);
}

static int set_number(double *to, const struct config_row *row, const char *value)
{
        double number;

        if (parse_number(value, strlen(value), &number) < 0 || !within(row, number))
                return -EINVAL;
        *to = number;
        return 0;
}

static int set_time(uint64_t *to, const struct config_row *row, const char *value)
{
        double ns;

        if (parse_time(value, &ns) < 0 || !within(row, ns))
                return -EINVAL;
        *to = (uint64_t)ns;
        return 0;
}

/* Rows of a table whose size is a power of two; min and max are. */
static int set_rows(uint32_t *to, const struct config_row *row, const char *value)
{
        uint32_t power = 1;
        double number;

        if (strchr(value, '.') || parse_number(value, strlen(value), &number) < 0 ||
            !within(row, number))
                return -EINVAL;
        while (power < number)
                power *= 2;
        *to = power;
        return 0;
}

static int set_bool(bool *to, const char *value)
{
        static const char *const yes[] = {"yes", "true", "on", "1"};
        static const char *const no[] = {"no", "false", "off", "0"};

        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
                        *to = strcmp(value, yes[i]) == 0;
                        return 0;
                }
        }
        return -EINVAL;
}

int config_set_row(struct config *c, const struct config_row *row, const char *value)
{
        void *to = field(c, row);

        switch (row->type) {
        case TYPE_CHOICE:
                return config_is_choice(row, value) ? set_text(to, row, value) : -EINVAL;
        case TYPE_PATH:
                return set_path(to, row, value);
        case TYPE_NAME:
                return set_name(to, row, value);
        case TYPE_NUMBER:
                return set_number(to, row, value);
        case TYPE_TIME:
                return set_time(to, row, value);
        case TYPE_ROWS:
                return set_rows(to, row, value);
        case TYPE_BOOL:
                return set_bool(to, value);
        }
        return -EINVAL;
}

const char *config_shown(const char *text, char buffer[CONFIG_MAX_SHOWN + 4])
{
        size_t n = 0;

        for (; n < CONFIG_MAX_SHOWN && text[n]; n++)
                buffer[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
        memcpy(buffer + n, text[n] ? "..." : "", text[n] ? 4 : 1);
        return buffer;
}

void config_explain(const struct config_row *row, const char *value, char *why, size_t why_size)
{
        char expected[CONFIG_MAX_EXPECTED], buffer[CONFIG_MAX_SHOWN + 4];

        describe_expected(row, expected, sizeof(expected));
        snprintf(why, why_size, "'%s' is not valid; must be %s", config_shown(value, buffer),
                 expected);
}

/* As few digits as read back to the same number. */
static void format_number(double value, char *text, size_t size)
{
        for (int digits = 1; digits <= MAX_DECIMALS; digits++) {
                snprintf(text, size, "%.*f", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
}

void config_format_row(const struct config *c, const struct config_row *row,
                       char text[CONFIG_PATH_MAX])
{
        const void *from = const_field(c, row);

        switch (row->type) {
        case TYPE_CHOICE:
        case TYPE_PATH:
        case TYPE_NAME:
                snprintf(text, CONFIG_PATH_MAX, "%s", (const char *)from);
                break;
        case TYPE_NUMBER:
                format_number(*(const double *)from, text, CONFIG_PATH_MAX);
                break;
        case TYPE_TIME:
                config_format_time(*(const uint64_t *)from, text, CONFIG_PATH_MAX);
                break;
        case TYPE_ROWS:
                snprintf(text, CONFIG_PATH_MAX, "%" PRIu32, *(const uint32_t *)from);
                break;
        case TYPE_BOOL:
                snprintf(text, CONFIG_PATH_MAX, "%s", *(const bool *)from ? "yes" : "no");
                break;
        }
}
