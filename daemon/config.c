/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE       8192            /* a path and its key fit well */
#define MAX_FILE       (1024UL * 1024) /* no configuration of ours is larger; /dev/zero is */
#define MAX_SOCKET     108             /* sun_path, with its NUL: unix(7) */
#define MAX_SHOWN      64              /* of a bad value, in a message */
#define MAX_EXPECTED   160
#define MAX_DECIMALS   20 /* print_number() gives them all back */
#define NUMBER_LETTERS "0123456789."

enum type { TYPE_CHOICE, TYPE_PATH, TYPE_NUMBER, TYPE_TIME, TYPE_ROWS, TYPE_BOOL };

struct row {
        const char *section, *key;
        enum type type;
        bool above_min; /* min itself is not allowed */
        size_t offset;
        size_t size;         /* of a string, its NUL included */
        double min, max;     /* of a number, of rows; of a time, in ns */
        const char *choices; /* separated by spaces */
        const char *initial; /* the default, as in a file */
};

#define FIELD(name) .offset = offsetof(struct config, name)
#define TEXT(name)  FIELD(name), .size = sizeof(((struct config *)0)->name)

static const struct row rows[] = {
        {"energy", "source", TYPE_CHOICE, TEXT(source), .initial = "auto",
         .choices = "auto powercap perf msr hwmon estimate"},
        {"energy", "powercap_root", TYPE_PATH, TEXT(powercap_root),
         .initial = "/sys/class/powercap"},
        /* Cloud Carbon Footprint's 0.74 W to 3.5 W per logical CPU, see source_estimate.c */
        {"energy", "estimate_idle_w", TYPE_NUMBER, FIELD(estimate_idle_w), .max = 10000,
         .initial = "0.74"},
        {"energy", "estimate_busy_w", TYPE_NUMBER, FIELD(estimate_busy_w), .max = 10000,
         .initial = "2.76"},
        {"sampling", "period", TYPE_TIME, FIELD(tick_ns), .min = 1e6, .max = 10e9,
         .initial = "10ms"},
        {"model", "interval", TYPE_TIME, FIELD(interval_ns), .min = 10e6, .max = 3600e9,
         .initial = "1s"},
        {"model", "gamma", TYPE_NUMBER, FIELD(gamma), .above_min = true, .max = 1,
         .initial = "0.3"},
        {"model", "delta", TYPE_NUMBER, FIELD(delta), .above_min = true, .max = 1,
         .initial = "0.2"},
        {"accounting", "probe", TYPE_CHOICE, TEXT(probe), .initial = "auto",
         .choices = "auto bpf proc"},
        /* the kernel's highest pid_max is 4194304 (PID_MAX_LIMIT, include/linux/threads.h) */
        {"accounting", "max_processes", TYPE_ROWS, FIELD(max_processes), .min = 64, .max = 4194304,
         .initial = "16384"},
        {"accounting", "irq", TYPE_BOOL, FIELD(irq), .initial = "no"},
        {"server", "socket", TYPE_PATH, FIELD(socket), .size = MAX_SOCKET,
         .initial = "/run/energat/energat.sock"},
        {"server", "state_dir", TYPE_PATH, TEXT(state_dir), .initial = "/var/lib/energat"},
        {"server", "log_level", TYPE_CHOICE, TEXT(log_level), .initial = "info",
         .choices = "debug info notice warning err"},
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void *field(struct config *c, const struct row *row)
{
        return (char *)c + row->offset;
}

static const void *const_field(const struct config *c, const struct row *row)
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

static bool within(const struct row *row, double value)
{
        return value <= row->max && (row->above_min ? value > row->min : value >= row->min);
}

/* The same time as briefly as it can be written exactly. */
static void format_time(uint64_t ns, char *text, size_t size)
{
        if (ns % 1000000000 == 0)
                snprintf(text, size, "%" PRIu64 "s", ns / 1000000000);
        else if (ns % 1000000 == 0)
                snprintf(text, size, "%" PRIu64 "ms", ns / 1000000);
        else if (ns % 1000 == 0)
                snprintf(text, size, "%" PRIu64 "us", ns / 1000);
        else
                snprintf(text, size, "%" PRIu64 "ns", ns);
}

/* What is right, for a message. */
static void describe_expected(const struct row *row, char *text, size_t size)
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
        case TYPE_NUMBER:
                snprintf(text, size, "a number %s %g and at most %g",
                         row->above_min ? "above" : "of at least", row->min, row->max);
                return;
        case TYPE_TIME:
                format_time((uint64_t)row->min, low, sizeof(low));
                format_time((uint64_t)row->max, high, sizeof(high));
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

static int set_text(char *to, const struct row *row, const char *value)
{
        size_t length = strlen(value);

        if (length == 0 || length >= row->size)
                return -EINVAL;
        memcpy(to, value, length + 1);
        return 0;
}

static int set_choice(char *to, const struct row *row, const char *value)
{
        size_t length = strlen(value);

        for (const char *p = row->choices; *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (n == length && strncmp(p, value, n) == 0)
                        return set_text(to, row, value);
                p += n;
        }
        return -EINVAL;
}

/* A comment stands on a line of its own; behind a path it would become a part of it. */
static int set_path(char *to, const struct row *row, const char *value)
{
        for (const char *p = value; *p; p++)
                if ((*p == '#' || *p == ';') && p > value && isspace((unsigned char)p[-1]))
                        return -EINVAL;
        return set_text(to, row, value);
}

static int set_number(double *to, const struct row *row, const char *value)
{
        double number;

        if (parse_number(value, strlen(value), &number) < 0 || !within(row, number))
                return -EINVAL;
        *to = number;
        return 0;
}

static int set_time(uint64_t *to, const struct row *row, const char *value)
{
        double ns;

        if (parse_time(value, &ns) < 0 || !within(row, ns))
                return -EINVAL;
        *to = (uint64_t)ns;
        return 0;
}

/* Rows of a table whose size is a power of two; min and max are. */
static int set_rows(uint32_t *to, const struct row *row, const char *value)
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

static int set_row(struct config *c, const struct row *row, const char *value)
{
        void *to = field(c, row);

        switch (row->type) {
        case TYPE_CHOICE:
                return set_choice(to, row, value);
        case TYPE_PATH:
                return set_path(to, row, value);
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

void config_defaults(struct config *c)
{
        *c = (struct config){0};
        for (size_t i = 0; i < NROWS; i++)
                set_row(c, &rows[i], rows[i].initial);
}

static const struct row *find_row(const char *section, size_t section_length, const char *key)
{
        for (size_t i = 0; i < NROWS; i++)
                if (strlen(rows[i].section) == section_length &&
                    strncmp(rows[i].section, section, section_length) == 0 &&
                    strcmp(rows[i].key, key) == 0)
                        return &rows[i];
        return NULL;
}

/* For a message: cut, and nothing in it that a terminal or a log would act on. */
static const char *shown(const char *text, char buffer[MAX_SHOWN + 4])
{
        size_t n = 0;

        for (; n < MAX_SHOWN && text[n]; n++)
                buffer[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
        memcpy(buffer + n, text[n] ? "..." : "", text[n] ? 4 : 1);
        return buffer;
}

static void explain(const struct row *row, const char *value, char *why, size_t why_size)
{
        char expected[MAX_EXPECTED], buffer[MAX_SHOWN + 4];

        describe_expected(row, expected, sizeof(expected));
        snprintf(why, why_size, "'%s' is not valid; must be %s", shown(value, buffer), expected);
}

int config_set(struct config *c, const char *key, const char *value, char *why, size_t why_size)
{
        const char *point = strchr(key, '.');
        const struct row *row = point ? find_row(key, (size_t)(point - key), point + 1) : NULL;
        char buffer[MAX_SHOWN + 4];
        int r;

        if (!row) {
                snprintf(why, why_size, "there is no key '%s'", shown(key, buffer));
                return -ENOENT;
        }
        r = set_row(c, row, value);
        if (r < 0)
                explain(row, value, why, why_size);
        return r;
}

/* A file being read. */
struct parse {
        struct config config; /* as read so far */
        const char *name;
        FILE *messages;
        unsigned int line;
        unsigned int errors;
        char section[MAX_SHOWN];
        bool in_section;
        unsigned int set_at[NROWS]; /* line on which a row was set; 0: none */
};

__attribute__((format(printf, 2, 3))) static void tell(const struct parse *p, const char *format,
                                                       ...)
{
        va_list ap;

        fprintf(p->messages, "%s:%u: ", p->name, p->line);
        va_start(ap, format);
        vfprintf(p->messages, format, ap);
        va_end(ap);
        fputc('\n', p->messages);
}

static char *trim(char *text)
{
        char *end = text + strlen(text);

        while (end > text && isspace((unsigned char)end[-1]))
                end--;
        *end = '\0';
        return text + strspn(text, " \t\r\n\v\f");
}

static void parse_section(struct parse *p, char *text)
{
        char *end = text + strlen(text) - 1;
        char buffer[MAX_SHOWN + 4];
        char *name;

        p->in_section = false;
        if (*end != ']' || end == text) {
                tell(p, "'%s' is not a section; write [section]", shown(text, buffer));
                p->errors++;
                return;
        }
        *end = '\0';
        name = trim(text + 1);
        if (*name == '\0' || strpbrk(name, "[]") || strlen(name) >= sizeof(p->section)) {
                tell(p, "'[%s]' is not a section; write [section]", shown(name, buffer));
                p->errors++;
                return;
        }
        snprintf(p->section, sizeof(p->section), "%s", name);
        p->in_section = true;
}

static void tell_unknown(const struct parse *p, const char *key)
{
        char section[MAX_SHOWN + 4], name[MAX_SHOWN + 4];
        bool any = false;

        fprintf(p->messages, "%s:%u: %s.%s: unknown key, ignored; ", p->name, p->line,
                shown(p->section, section), shown(key, name));
        for (size_t i = 0; i < NROWS; i++) {
                if (strcmp(rows[i].section, p->section) != 0)
                        continue;
                fprintf(p->messages, "%s%s", any ? ", " : "keys of this section: ", rows[i].key);
                any = true;
        }
        for (size_t i = 0; !any && i < NROWS; i++)
                if (i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0)
                        fprintf(p->messages, "%s%s", i == 0 ? "sections: " : ", ", rows[i].section);
        fputc('\n', p->messages);
}

static void parse_assignment(struct parse *p, char *text)
{
        char *equals = strchr(text, '=');
        const struct row *row;
        char buffer[MAX_SHOWN + 4], why[MAX_SHOWN + MAX_EXPECTED + 64];
        char *key, *value;

        if (!equals || equals == text) {
                tell(p, "'%s' is neither a section nor a setting; write key = value",
                     shown(text, buffer));
                p->errors++;
                return;
        }
        *equals = '\0';
        key = trim(text);
        value = trim(equals + 1);
        if (!p->in_section) {
                tell(p, "%s: is in no section; put it below its [section]", shown(key, buffer));
                p->errors++;
                return;
        }
        row = find_row(p->section, strlen(p->section), key);
        if (!row) {
                tell_unknown(p, key);
                return;
        }
        if (p->set_at[row - rows])
                tell(p, "%s.%s: is set a second time; this one holds, not that of line %u",
                     row->section, row->key, p->set_at[row - rows]);
        p->set_at[row - rows] = p->line;
        if (set_row(&p->config, row, value) < 0) {
                explain(row, value, why, sizeof(why));
                tell(p, "%s.%s: %s", row->section, row->key, why);
                p->errors++;
        }
}

static void parse_line(struct parse *p, char *text)
{
        text = trim(text);
        if (*text == '\0' || *text == '#' || *text == ';')
                return;
        if (*text == '[')
                parse_section(p, text);
        else
                parse_assignment(p, text);
}

/* Next line without its newline.  1: *text; 0: end; -EINVAL: a line that cannot be read, told. */
static int next_line(struct parse *p, FILE *stream, char text[MAX_LINE], size_t *total)
{
        size_t n = 0;
        bool nul = false;
        int c;

        while ((c = getc(stream)) != EOF && c != '\n') {
                nul |= c == '\0';
                if (++*total > MAX_FILE)
                        break;
                if (n < MAX_LINE)
                        text[n++] = (char)c;
        }
        if (c == EOF && n == 0)
                return 0;
        p->line++;
        if (n < MAX_LINE && !nul && *total <= MAX_FILE) {
                text[n] = '\0';
                return 1;
        }
        if (*total > MAX_FILE)
                tell(p, "the file is larger than %lu bytes; is it a configuration file?", MAX_FILE);
        else if (nul)
                tell(p, "the line has a NUL byte; is it a text file?");
        else
                tell(p, "the line is longer than %d bytes; split it", MAX_LINE - 1);
        p->errors++;
        return -EINVAL;
}

static void check_together(struct parse *p)
{
        const struct row *interval = find_row("model", 5, "interval");
        const struct row *period = find_row("sampling", 8, "period");
        unsigned int a = p->set_at[interval - rows], b = p->set_at[period - rows];
        char text[32];

        if (p->errors || p->config.interval_ns >= p->config.tick_ns)
                return;
        p->line = a > b ? a : b;
        format_time(p->config.tick_ns, text, sizeof(text));
        tell(p, "model.interval: is shorter than sampling.period; must be at least %s", text);
        p->errors++;
}

int config_parse(struct config *c, FILE *stream, const char *name, FILE *messages)
{
        static const char bom[] = "\xef\xbb\xbf";
        struct parse p = {.config = *c, .name = name, .messages = messages};
        char text[MAX_LINE];
        size_t total = 0;
        int r;

        errno = 0;
        while ((r = next_line(&p, stream, text, &total)) != 0 && total <= MAX_FILE) {
                size_t skip = 0;

                if (r < 0)
                        continue;
                if (p.line == 1 && strncmp(text, bom, strlen(bom)) == 0)
                        skip = strlen(bom);
                parse_line(&p, text + skip);
        }
        if (ferror(stream)) {
                r = errno > 0 ? -errno : -EIO;
                fprintf(messages, "%s: cannot be read: %s\n", name, strerror(-r));
                return r;
        }
        check_together(&p);
        if (p.errors)
                return -EINVAL;
        *c = p.config;
        return 0;
}

int config_load(struct config *c, const char *path, FILE *messages)
{
        FILE *stream = fopen(path, "re");
        int r;

        if (!stream) {
                r = -errno;
                fprintf(messages, "%s: cannot be opened: %s\n", path, strerror(-r));
                return r;
        }
        r = config_parse(c, stream, path, messages);
        fclose(stream);
        return r;
}

/* As few digits as read back to the same number. */
static void print_number(double value, FILE *out)
{
        char text[64];

        for (int digits = 1; digits <= MAX_DECIMALS; digits++) {
                snprintf(text, sizeof(text), "%.*f", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        fputs(text, out);
}

void config_print(const struct config *c, FILE *out)
{
        for (size_t i = 0; i < NROWS; i++) {
                const struct row *row = &rows[i];
                const void *from = const_field(c, row);
                char text[32];

                if (i == 0 || strcmp(row->section, rows[i - 1].section) != 0)
                        fprintf(out, "%s[%s]\n", i == 0 ? "" : "\n", row->section);
                fprintf(out, "%s = ", row->key);
                switch (row->type) {
                case TYPE_CHOICE:
                case TYPE_PATH:
                        fputs(from, out);
                        break;
                case TYPE_NUMBER:
                        print_number(*(const double *)from, out);
                        break;
                case TYPE_TIME:
                        format_time(*(const uint64_t *)from, text, sizeof(text));
                        fputs(text, out);
                        break;
                case TYPE_ROWS:
                        fprintf(out, "%" PRIu32, *(const uint32_t *)from);
                        break;
                case TYPE_BOOL:
                        fputs(*(const bool *)from ? "yes" : "no", out);
                        break;
                }
                fputc('\n', out);
        }
}
