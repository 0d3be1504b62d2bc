/* SPDX-License-Identifier: MIT */
/* The configuration's file. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config_value.h"
#include "nearest.h"

#define MAX_LINE 8192            /* a path and its key fit well */
#define MAX_FILE (1024UL * 1024) /* no configuration of ours is larger; /dev/zero is */

/* A file being read. */
struct parse {
        struct config config; /* as read so far */
        const char *name;
        FILE *messages;
        unsigned int line;
        unsigned int errors;
        char section[CONFIG_MAX_SHOWN];
        bool in_section;
        unsigned int set_at[CONFIG_MAX_KEYS]; /* line on which a row was set; 0: none */
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
        char buffer[CONFIG_MAX_SHOWN + 4];
        char *name;

        p->in_section = false;
        if (*end != ']' || end == text) {
                tell(p, "'%s' is not a section; write [section]", config_shown(text, buffer));
                p->errors++;
                return;
        }
        *end = '\0';
        name = trim(text + 1);
        if (*name == '\0' || strpbrk(name, "[]") || strlen(name) >= sizeof(p->section)) {
                tell(p, "'[%s]' is not a section; write [section]", config_shown(name, buffer));
                p->errors++;
                return;
        }
        snprintf(p->section, sizeof(p->section), "%s", name);
        p->in_section = true;
}

/* The key that was meant: right in the wrong section, or misspelt in this one. */
static const struct config_row *key_meant(const char *section, const char *key)
{
        const struct config_row *meant = NULL;
        struct nearest near = nearest_to(key);

        for (size_t i = 0; i < config_nkeys(); i++) {
                const struct config_row *row = &config_rows[i];

                if (strcmp(row->key, key) == 0)
                        return row;
                if (strcmp(row->section, section) != 0)
                        continue;
                nearest_offer(&near, row->key);
                if (near.best == row->key)
                        meant = row;
        }
        return meant;
}

static void tell_unknown(const struct parse *p, const char *key)
{
        char section[CONFIG_MAX_SHOWN + 4], name[CONFIG_MAX_SHOWN + 4];
        const struct config_row *near = key_meant(p->section, key);
        bool any = false;

        fprintf(p->messages, "%s:%u: %s.%s: unknown key, ignored; ", p->name, p->line,
                config_shown(p->section, section), config_shown(key, name));
        if (near)
                fprintf(p->messages, "did you mean %s.%s? ", near->section, near->key);
        for (size_t i = 0; i < config_nkeys(); i++) {
                if (strcmp(config_rows[i].section, p->section) != 0)
                        continue;
                fprintf(p->messages, "%s%s",
                        any ? ", " : "keys of this section: ", config_rows[i].key);
                any = true;
        }
        for (size_t i = 0; !any && i < config_nkeys(); i++)
                if (i == 0 || strcmp(config_rows[i].section, config_rows[i - 1].section) != 0)
                        fprintf(p->messages, "%s%s", i == 0 ? "sections: " : ", ",
                                config_rows[i].section);
        fputc('\n', p->messages);
}

static void parse_assignment(struct parse *p, char *text)
{
        char *equals = strchr(text, '=');
        const struct config_row *row;
        char buffer[CONFIG_MAX_SHOWN + 4], why[CONFIG_MAX_SHOWN + CONFIG_MAX_EXPECTED + 64];
        char *key, *value;

        if (!equals || equals == text) {
                tell(p, "'%s' is neither a section nor a setting; write key = value",
                     config_shown(text, buffer));
                p->errors++;
                return;
        }
        *equals = '\0';
        key = trim(text);
        value = trim(equals + 1);
        if (!p->in_section) {
                tell(p, "%s: is in no section; put it below its [section]",
                     config_shown(key, buffer));
                p->errors++;
                return;
        }
        row = config_find_row(p->section, strlen(p->section), key);
        if (!row) {
                tell_unknown(p, key);
                return;
        }
        if (p->set_at[row - config_rows])
                tell(p, "%s.%s: is set a second time; this one holds, not that of line %u",
                     row->section, row->key, p->set_at[row - config_rows]);
        p->set_at[row - config_rows] = p->line;
        if (config_set_row(&p->config, row, value) < 0) {
                config_explain(row, value, why, sizeof(why));
                tell(p, "%s.%s: %s", row->section, row->key, why);
                p->errors++;
                return;
        }
        p->config.places[row - config_rows] = (struct config_place){.origin = CONFIG_FILE,
                                                                    .line = p->line};
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
        const struct config_row *interval = config_find_row("model", 5, "interval");
        const struct config_row *period = config_find_row("sampling", 8, "period");
        unsigned int a = p->set_at[interval - config_rows], b = p->set_at[period - config_rows];
        char text[32];

        if (p->errors || p->config.interval_ns >= p->config.tick_ns)
                return;
        p->line = a > b ? a : b;
        config_format_time(p->config.tick_ns, text, sizeof(text));
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
