/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nearest.h"

#define SYSTEM_FILE    "/etc/energat/energat.conf"
#define USER_FILE      "energat.ini"
#define DIRECTORY_FILE ".energat.ini"
/* No file of settings is longer; /dev/zero is. */
#define MAX_FILE    (1024L * 1024)
#define VALUE_SHOWN 64
/* A day: longer times are a slip of the pen. */
#define LONGEST_S 86400

/* Sources of what the factors mean: docs/ and energat.1. */
static const struct setting_row rows[SETTINGS] = {
        [SETTING_SOCKET] = {"connection", "socket", .initial = "/run/energat/energat.sock",
                            .doc = "Unix socket of energatd"},
        [SETTING_FORMAT] = {"output", "format", .choices = "text json", .initial = "text",
                            .doc = "form of results"},
        [SETTING_INTERVAL] = {"measurement", "interval", .is_number = true, .above_min = true,
                              .max = LONGEST_S, .initial = "", .unit = "s",
                              .doc = "time between two evaluations; none: the daemon's"},
        [SETTING_MODEL] = {"measurement", "model", .choices = "energat additive", .initial = "",
                           .doc = "value that results show first; none: the daemon's"},
        [SETTING_GAMMA] = {"measurement", "gamma", .is_number = true, .above_min = true, .max = 1,
                           .initial = "", .doc = "exponent of the CPU credit; none: the daemon's"},
        [SETTING_DELTA] = {"measurement", "delta", .is_number = true, .above_min = true, .max = 1,
                           .initial = "",
                           .doc = "exponent of the memory credit; none: the daemon's"},
        [SETTING_PUE] = {"post-processing", "pue", .is_number = true, .min = 1, .max = 10,
                         .initial = "1",
                         .doc = "power usage effectiveness of the data centre, at least 1"},
        [SETTING_EMISSIONS_FACTOR] = {"post-processing", "emissions_factor", .is_number = true,
                                      .max = 10000, .initial = "", .unit = "gCO2e/kWh",
                                      .doc = "emissions of electricity; none: not told"},
        [SETTING_PRICE_FACTOR] = {"post-processing", "price_factor", .is_number = true, .max = 1e6,
                                  .initial = "", .unit = "price_unit/kWh",
                                  .doc = "price of electricity; none: not told"},
        [SETTING_PRICE_UNIT] = {"post-processing", "price_unit", .initial = "EUR",
                                .doc = "currency of price_factor"},
        [SETTING_POWER_OVERHEAD] = {"post-processing", "power_overhead", .is_number = true,
                                    .max = 1e6, .initial = "0", .unit = "W",
                                    .doc = "power of the machine that no energy counter sees"},
        [SETTING_TOP_DELAY] = {"top", "delay", .is_number = true, .above_min = true,
                               .max = LONGEST_S, .initial = "1", .unit = "s",
                               .doc = "time between two views of energat top"},
        [SETTING_TOP_SORT] = {"top", "sort", .choices = "power energy cpu pid user name",
                              .initial = "power", .doc = "column that energat top sorts by"},
        [SETTING_TOP_GROUP] = {"top", "group", .choices = "process user unit target",
                               .initial = "process", .doc = "what a row of energat top stands for"},
};

static const char *const origin_names[] = {
        [SETTING_DEFAULT] = "default",         [SETTING_SYSTEM_FILE] = "system file",
        [SETTING_USER_FILE] = "user file",     [SETTING_DIRECTORY_FILE] = "directory file",
        [SETTING_ENVIRONMENT] = "environment", [SETTING_OPTION] = "option",
};

const struct setting_row *settings_row(enum setting id)
{
        return &rows[id];
}

const char *settings_origin_name(enum setting_origin origin)
{
        return origin_names[origin];
}

/* The keys of [top] could mean anything without their section. */
const char *settings_variable(enum setting id, char name[64])
{
        bool of_top = strcmp(rows[id].section, "top") == 0;

        snprintf(name, 64, "ENERGAT_%s%s", of_top ? "TOP_" : "", rows[id].key);
        for (char *c = name; *c; c++)
                *c = (char)toupper((unsigned char)*c);
        return name;
}

/* For a message: cut, and nothing in it that a terminal would act on. */
static const char *shown(const char *text, char buffer[VALUE_SHOWN + 4])
{
        size_t n = 0;

        for (; n < VALUE_SHOWN && text[n]; n++)
                buffer[n] = isprint((unsigned char)text[n]) ? text[n] : '?';
        memcpy(buffer + n, text[n] ? "..." : "", text[n] ? 4 : 1);
        return buffer;
}

bool settings_is_choice(const char *choices, const char *text)
{
        size_t length = strlen(text);

        for (const char *p = choices; *p; p += strspn(p, " ")) {
                size_t n = strcspn(p, " ");

                if (n == length && strncmp(p, text, n) == 0)
                        return true;
                p += n;
        }
        return false;
}

static bool parse_number(const struct setting_row *row, const char *text, double *ret)
{
        char *end;

        *ret = strtod(text, &end);
        return end != text && !*end && isfinite(*ret) && *ret <= row->max &&
               (row->above_min ? *ret > row->min : *ret >= row->min);
}

static void expected(const struct setting_row *row, char *text, size_t size)
{
        if (row->choices)
                snprintf(text, size, "one of: %s", row->choices);
        else if (row->is_number)
                snprintf(text, size, "a number %s %g and at most %g%s%s",
                         row->above_min ? "above" : "of at least", row->min, row->max,
                         row->unit ? ", in " : "", row->unit ? row->unit : "");
        else
                snprintf(text, size, "a text of 1 to %d bytes", SETTINGS_TEXT_MAX - 1);
}

int settings_set(struct settings *s, enum setting id, const char *text, enum setting_origin origin,
                 const char *place, char *why, size_t why_size)
{
        const struct setting_row *row = &rows[id];
        struct setting_value *value = &s->values[id];
        char buffer[VALUE_SHOWN + 4], right[160];
        double number = NAN;
        bool good;

        if (row->is_number)
                good = parse_number(row, text, &number) && strlen(text) < SETTINGS_TEXT_MAX;
        else
                good = text[0] && strlen(text) < SETTINGS_TEXT_MAX &&
                       (!row->choices || settings_is_choice(row->choices, text));
        if (!good) {
                expected(row, right, sizeof(right));
                snprintf(why, why_size, "'%s' is not valid; must be %s", shown(text, buffer),
                         right);
                return -EINVAL;
        }
        value->origin = origin;
        value->number = number;
        snprintf(value->text, sizeof(value->text), "%s", text);
        snprintf(value->place, sizeof(value->place), "%s", place);
        return 0;
}

void settings_defaults(struct settings *s)
{
        char why[256];

        for (unsigned int id = 0; id < SETTINGS; id++) {
                s->values[id] = (struct setting_value){.number = NAN};
                if (rows[id].initial[0])
                        settings_set(s, id, rows[id].initial, SETTING_DEFAULT, "", why,
                                     sizeof(why));
        }
}

double settings_number(const struct settings *s, enum setting id)
{
        return s->values[id].number;
}

const char *settings_text(const struct settings *s, enum setting id)
{
        return s->values[id].text[0] ? s->values[id].text : NULL;
}

bool settings_is_default(const struct settings *s, enum setting id)
{
        return s->values[id].origin == SETTING_DEFAULT;
}

/* ---- files ---- */

/* A file while inih reads it, through a reader of ours that knows the number of the line. */
struct reading {
        struct settings *settings;
        enum setting_origin origin;
        const char *path;
        FILE *stream, *messages;
        unsigned int line, errors;
        bool too_long;
        unsigned int set_at[SETTINGS]; /* the line on which each was set; 0: none */
};

__attribute__((format(printf, 2, 3))) static void tell(const struct reading *r, const char *format,
                                                       ...)
{
        va_list arguments;

        fprintf(r->messages, "%s:%u: ", r->path, r->line);
        va_start(arguments, format);
        vfprintf(r->messages, format, arguments);
        va_end(arguments);
        fputc('\n', r->messages);
}

/* inih takes an indented line for more of the value above; people indent keys. */
static char *read_line(char *text, int size, void *arg)
{
        struct reading *r = arg;
        char *got = fgets(text, size, r->stream), *start;
        size_t length;

        if (!got)
                return NULL;
        length = strlen(text);
        if (!r->too_long)
                r->line++;
        r->too_long = length > 0 && text[length - 1] != '\n' && !feof(r->stream);
        if (r->too_long) {
                tell(r, "the line is too long: at most %d bytes", size - 2);
                r->errors++;
        }
        if (ftell(r->stream) > MAX_FILE) {
                tell(r, "the file is too long: at most %ld bytes", MAX_FILE);
                r->errors++;
                return NULL;
        }
        start = text + strspn(text, " \t\v\f");
        memmove(text, start, strlen(start) + 1);
        return text;
}

static void tell_unknown(const struct reading *r, const char *section, const char *key)
{
        char name[VALUE_SHOWN + 4], in[VALUE_SHOWN + 4];
        struct nearest near = nearest_to(key);

        for (unsigned int id = 0; id < SETTINGS; id++)
                nearest_offer(&near, rows[id].key);
        shown(key, name);
        shown(section, in);
        if (near.best)
                tell(r, "%s.%s: unknown key, ignored; did you mean '%s'?", in, name, near.best);
        else
                tell(r, "%s.%s: unknown key, ignored; 'energat config' lists the known ones", in,
                     name);
}

/* inih's handler: 0 would mean an error, and those are counted here. */
static int on_key(void *arg, const char *section, const char *key, const char *value)
{
        struct reading *r = arg;
        char why[512], place[SETTINGS_PLACE_MAX];

        for (unsigned int id = 0; id < SETTINGS; id++) {
                if (strcmp(rows[id].section, section) != 0 || strcmp(rows[id].key, key) != 0)
                        continue;
                snprintf(place, sizeof(place), "%s:%u", r->path, r->line);
                if (r->set_at[id])
                        tell(r, "%s: set before, on line %u; the last one counts", key,
                             r->set_at[id]);
                r->set_at[id] = r->line;
                if (settings_set(r->settings, id, value, r->origin, place, why, sizeof(why)) < 0) {
                        tell(r, "%s: %s", key, why);
                        r->errors++;
                }
                return 1;
        }
        tell_unknown(r, section, key);
        return 1;
}

/*
 * Everybody can put a file into a folder such as /tmp.  Who works there shall neither be told by it
 * which daemon to believe, nor be kept from working by one that hangs or cannot be read: such a
 * file is ignored.  NULL: it is good.
 */
static const char *why_not(const struct stat *st, enum setting_origin origin)
{
        if (!S_ISREG(st->st_mode))
                return "it is no regular file";
        if (origin == SETTING_DIRECTORY_FILE && st->st_uid != getuid() && st->st_uid != 0)
                return "it belongs to another user";
        return NULL;
}

/* 0, or a negative errno: `why` (NULL: strerror() says it) tells more.  Never waits, as opening a
 * FIFO would. */
static int open_file(const char *path, enum setting_origin origin, FILE **ret, const char **why)
{
        int no_link = origin == SETTING_DIRECTORY_FILE ? O_NOFOLLOW : 0, r;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | no_link);
        struct stat st;

        *why = NULL;
        if (fd < 0) {
                r = -errno;
                if (r == -ELOOP && no_link)
                        *why = "it is a link";
                return r;
        }
        r = fstat(fd, &st) < 0 ? -errno : 0;
        if (r == 0 && (*why = why_not(&st, origin)))
                r = -EINVAL;
        if (r == 0 && !(*ret = fdopen(fd, "r")))
                r = -errno;
        if (r < 0)
                close(fd);
        return r;
}

static int cannot_read(const char *path, enum setting_origin origin, int error, const char *why,
                       FILE *messages)
{
        if (!why)
                why = strerror(-error);
        if (origin == SETTING_DIRECTORY_FILE) {
                fprintf(messages, "%s: ignored: %s\n", path, why);
                return 0;
        }
        fprintf(messages, "%s: cannot be read: %s\n", path, why);
        return error;
}

/*
 * Who gave root's rights away but kept HOME, or works where they may not look, has no settings
 * there that were meant for them.  A file that is seen and may not be read is another matter:
 * whoever made it believes it to be in force; and so is the system's, which is meant for everybody.
 */
static bool is_out_of_reach(const char *path, enum setting_origin origin, int error)
{
        struct stat st;

        return error == -EACCES && origin != SETTING_SYSTEM_FILE && stat(path, &st) < 0;
}

int settings_read_file(struct settings *s, const char *path, enum setting_origin origin,
                       FILE *messages)
{
        struct reading r = {.settings = s, .origin = origin, .path = path, .messages = messages};
        const char *why;
        int bad_line, error = open_file(path, origin, &r.stream, &why);

        if (error == -ENOENT || error == -ENOTDIR || is_out_of_reach(path, origin, error))
                return 0;
        if (error < 0)
                return cannot_read(path, origin, error, why, messages);
        bad_line = ini_parse_stream(read_line, &r, on_key, &r);
        if (bad_line > 0) {
                r.line = (unsigned int)bad_line;
                tell(&r, "this is neither [section] nor key = value");
                r.errors++;
        }
        if (ferror(r.stream)) {
                fprintf(messages, "%s: cannot be read: %s\n", path, strerror(errno));
                r.errors++;
        }
        fclose(r.stream);
        return r.errors ? -EINVAL : 0;
}

int settings_read_environment(struct settings *s, FILE *messages)
{
        char name[64], why[512];
        int r = 0;

        for (unsigned int id = 0; id < SETTINGS; id++) {
                const char *value = getenv(settings_variable(id, name));

                if (!value || !value[0])
                        continue;
                if (settings_set(s, id, value, SETTING_ENVIRONMENT, name, why, sizeof(why)) < 0) {
                        fprintf(messages, "%s in the environment: %s\n", name, why);
                        r = -EINVAL;
                }
        }
        return r;
}

void settings_default_files(struct settings_file files[SETTINGS_FILES])
{
        const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        const size_t size = sizeof(files[0].path);
        int n = 0;

        files[0] = (struct settings_file){.origin = SETTING_SYSTEM_FILE, .path = SYSTEM_FILE};
        files[1] = (struct settings_file){.origin = SETTING_USER_FILE};
        files[2] = (struct settings_file){.origin = SETTING_DIRECTORY_FILE, .path = DIRECTORY_FILE};
        /* relative paths there are invalid: XDG Base Directory Specification */
        if (xdg && xdg[0] == '/')
                n = snprintf(files[1].path, size, "%s/" USER_FILE, xdg);
        else if (home && home[0])
                n = snprintf(files[1].path, size, "%s/.config/" USER_FILE, home);
        if (n < 0 || (size_t)n >= size)
                files[1].path[0] = '\0'; /* no file can have that path */
}

int settings_load(struct settings *s, FILE *messages)
{
        struct settings_file files[SETTINGS_FILES];
        int r, worst = 0;

        settings_defaults(s);
        settings_default_files(files);
        for (size_t i = 0; i < SETTINGS_FILES; i++) {
                if (!files[i].path[0])
                        continue;
                r = settings_read_file(s, files[i].path, files[i].origin, messages);
                if (r < 0)
                        worst = r;
        }
        r = settings_read_environment(s, messages);
        return r < 0 ? r : worst;
}
