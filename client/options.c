/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "nearest.h"

/* A day: longer windows are a slip of the pen. */
#define LONGEST_S 86400
/* Of a target, in bytes */
#define LONGEST_NAME 255
/* Of an option: longer ones are not known anyway */
#define OPTION_NAME_MAX 64
#define MOST_ITERATIONS 1000000000
#define MOST_RUNS       100000
/* Four weeks: a recording may be that long */
#define LONGEST_RECORD_S (28.0 * 86400)
/* MAX_ARG_STRLEN of Linux (include/uapi/linux/binfmts.h), less the NUL */
#define LONGEST_WORD 131071
/* What a command takes for --format unless it says otherwise */
#define USUAL_FORMATS "text json"

enum option_kind { KIND_FLAG, KIND_STRING, KIND_NUMBER, KIND_COUNT, KIND_FORMAT, KIND_SETTING };

static const struct option_row {
        const char *name;
        char letter; /* -o, or 0 */
        uint64_t bit;
        enum option_kind kind;
        size_t offset; /* in struct options; of a setting its number */
        double max;    /* of numbers, which are all above 0; length of strings */
        const char *value, *help;
} option_rows[] = {
#define FIELD(name) offsetof(struct options, name)
        {"socket", 0, OPTION_SOCKET, KIND_SETTING, SETTING_SOCKET, 0, "PATH",
         "socket of energatd (/run/energat/energat.sock)"},
        {"name", 0, OPTION_NAME, KIND_STRING, FIELD(name), LONGEST_NAME, "NAME",
         "name of the target in results and file names"},
        {"format", 0, OPTION_FORMAT, KIND_FORMAT, FIELD(format), 0, "FORMAT", "form of the result"},
        {"output", 'o', OPTION_OUTPUT, KIND_STRING, FIELD(output), PATH_MAX, "PATH",
         "file for the result; of --pid: folder for the trace (.)"},
        {"interval", 0, OPTION_INTERVAL, KIND_SETTING, SETTING_INTERVAL, 0, "S",
         "seconds between two evaluations (the daemon's, 1)"},
        {"model", 0, OPTION_MODEL, KIND_SETTING, SETTING_MODEL, 0, "MODEL",
         "what is shown first: energat or additive (the daemon's, energat)"},
        {"gamma", 0, OPTION_GAMMA, KIND_SETTING, SETTING_GAMMA, 0, "G",
         "exponent of the CPU credit, 0 < G <= 1 (the daemon's, 0.3)"},
        {"delta", 0, OPTION_DELTA, KIND_SETTING, SETTING_DELTA, 0, "D",
         "exponent of the memory credit, 0 < D <= 1 (the daemon's, 0.2)"},
        {"no-wait", 0, OPTION_NO_WAIT, KIND_FLAG, FIELD(no_wait), 0, NULL,
         "end with CMD, do not wait for descendants that outlive it"},
        {"base-period", 0, OPTION_BASE_PERIOD, KIND_NUMBER, FIELD(base_period_s), LONGEST_S, "S",
         "seconds of one calibration window"},
        {"windows", 0, OPTION_WINDOWS, KIND_COUNT, FIELD(windows), 10000, "N",
         "number of calibration windows; of 'calibrate': at each load, at most"},
        {"force", 0, OPTION_FORCE, KIND_FLAG, FIELD(force), 0, NULL,
         "calibrate even though the machine is busy"},
        {"online", 0, OPTION_ONLINE, KIND_FLAG, FIELD(online), 0, NULL,
         "tell base power from the machine in use, in --base-period s at most (120)"},
        {"batch", 'b', OPTION_BATCH, KIND_FLAG, FIELD(batch), 0, NULL,
         "print text instead of a full screen, for pipes and logs"},
        {"iterations", 'n', OPTION_ITERATIONS, KIND_COUNT, FIELD(iterations), MOST_ITERATIONS, "N",
         "end after N views (endless)"},
        {"delay", 'd', OPTION_DELAY, KIND_SETTING, SETTING_TOP_DELAY, 0, "S",
         "seconds between two views (1)"},
        {"sort", 0, OPTION_SORT, KIND_SETTING, SETTING_TOP_SORT, 0, "COLUMN",
         "power, energy, cpu, pid, user or name (power)"},
        {"group", 0, OPTION_GROUP, KIND_SETTING, SETTING_TOP_GROUP, 0, "WHAT",
         "what a row is: process, user, unit or target (process)"},
        {"filter", 0, OPTION_FILTER, KIND_STRING, FIELD(filter), LONGEST_NAME, "TEXT",
         "only rows whose name, user or unit contains TEXT"},
        {"user", 'u', OPTION_USER, KIND_STRING, FIELD(user), LONGEST_NAME, "NAME",
         "only processes of that user"},
        {"tree", 0, OPTION_TREE, KIND_FLAG, FIELD(tree), 0, NULL, "children below their parents"},
        {"default", 0, OPTION_DEFAULT, KIND_FLAG, FIELD(show_default), 0, NULL,
         "the defaults, not what is in force"},
        {"pue", 0, OPTION_COST, KIND_SETTING, SETTING_PUE, 0, "X",
         "power usage effectiveness of the data centre, at least 1"},
        {"emissions-factor", 0, OPTION_COST, KIND_SETTING, SETTING_EMISSIONS_FACTOR, 0, "G",
         "emissions of electricity, gCO2e/kWh"},
        {"price-factor", 0, OPTION_COST, KIND_SETTING, SETTING_PRICE_FACTOR, 0, "X",
         "price of electricity per kWh"},
        {"price-unit", 0, OPTION_COST, KIND_SETTING, SETTING_PRICE_UNIT, 0, "NAME",
         "its currency (EUR)"},
        {"power-overhead", 0, OPTION_COST, KIND_SETTING, SETTING_POWER_OVERHEAD, 0, "W",
         "power of the machine that no counter sees"},
        {"raw", 0, OPTION_RAW, KIND_STRING, FIELD(raw), PATH_MAX, "FILE",
         "also record every tick, or every second where no more is allowed"},
        {"repeat", 0, OPTION_REPEAT, KIND_COUNT, FIELD(repeat), MOST_RUNS, "N",
         "measure N runs: mean, spread, confidence interval"},
        {"warmup", 0, OPTION_WARMUP, KIND_COUNT, FIELD(warmup), MOST_RUNS, "N",
         "N runs before these, which do not count"},
        {"compare", 0, OPTION_COMPARE, KIND_STRING, FIELD(compare), LONGEST_WORD, "'CMD2'",
         "run CMD and CMD2 in turn, and say whether they differ"},
        {"all", 'a', OPTION_ALL, KIND_FLAG, FIELD(all), 0, NULL, "every process of the machine"},
        {"duration", 0, OPTION_DURATION, KIND_NUMBER, FIELD(duration_s), LONGEST_RECORD_S, "S",
         "with --all: end after S seconds (at Ctrl-C)"},
        {"gamma", 0, OPTION_FIT_GAMMA, KIND_FLAG, FIELD(fit_gamma), 0, NULL,
         "fit gamma: make core after core busy"},
        {"delta", 0, OPTION_FIT_DELTA, KIND_FLAG, FIELD(fit_delta), 0, NULL,
         "fit delta: take half of the available memory, step by step"},
        {"write", 0, OPTION_WRITE, KIND_FLAG, FIELD(write_config), 0, NULL,
         "put the result into the daemon's configuration"},
        {"rapl-period", 0, OPTION_RAPL_PERIOD, KIND_NUMBER, FIELD(rapl_period_s), LONGEST_S, "S",
         "accepted for EnergAt's sake; the daemon sets the sampling period"},
#undef FIELD
};

#define OPTION_ROWS (sizeof(option_rows) / sizeof(option_rows[0]))

struct parser {
        struct options *options;
        int argc, next;
        char **argv;
        const struct command *const *commands;
        const struct command *command;
        bool given[OPTION_ROWS];
        char *why;
        size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct parser *p, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(p->why, p->why_size, format, arguments);
        va_end(arguments);
        return -EINVAL;
}

/* "--base_period=2" -> "base-period", and a pointer to "2" or NULL.  False: too long to be known.
 */
static bool option_name(const char *argument, char name[OPTION_NAME_MAX], const char **value)
{
        const char *start = argument + strspn(argument, "-");
        size_t length = strcspn(start, "=");

        if (length >= OPTION_NAME_MAX)
                return false;
        for (size_t i = 0; i < length; i++)
                name[i] = (char)(start[i] == '_' ? '-' : start[i]);
        name[length] = '\0';
        *value = start[length] == '=' ? start + length + 1 : NULL;

        if (argument[1] == '-' || length != 1)
                return true;
        if (name[0] == 'h')
                strcpy(name, "help");
        else if (name[0] == 'V')
                strcpy(name, "version");
        for (size_t i = 0; i < OPTION_ROWS; i++)
                if (option_rows[i].letter == name[0] && !name[1])
                        snprintf(name, OPTION_NAME_MAX, "%s", option_rows[i].name);
        return true;
}

static int take_value(struct parser *p, const char *name, const char **value)
{
        if (!*value && p->next < p->argc)
                *value = p->argv[p->next++];
        if (!*value) {
                refuse(p, "option '--%s' needs a value", name);
                return -EINVAL;
        }
        return 0;
}

static bool parse_number(const char *text, double max, double *ret)
{
        char *end;

        *ret = strtod(text, &end);
        return end != text && !*end && isfinite(*ret) && *ret > 0 && *ret <= max;
}

static bool parse_count(const char *text, long long max, long long *ret)
{
        char *end;

        errno = 0;
        *ret = strtoll(text, &end, 10);
        return end != text && !*end && !errno && *ret >= 1 && *ret <= max;
}

static int set_setting(struct parser *p, const struct option_row *row, const char *value)
{
        char why[512], place[OPTION_NAME_MAX + 2];

        snprintf(place, sizeof(place), "--%s", row->name);
        if (settings_set(p->options->settings, (enum setting)row->offset, value, SETTING_OPTION,
                         place, why, sizeof(why)) < 0)
                return refuse(p, "option '--%s': %s", row->name, why);
        return 0;
}

static int set_option(struct parser *p, const struct option_row *row, const char *value)
{
        void *field = (char *)p->options + row->offset;

        p->options->given |= row->bit;
        p->given[row - option_rows] = true;
        if (row->kind == KIND_FLAG) {
                if (value)
                        return refuse(p, "option '--%s' takes no value", row->name);
                *(bool *)field = true;
                return 0;
        }
        if (take_value(p, row->name, &value) < 0)
                return -EINVAL;

        switch (row->kind) {
        case KIND_STRING:
                if (!*value)
                        return refuse(p, "option '--%s' is empty", row->name);
                if (strlen(value) > (size_t)row->max)
                        return refuse(p, "the value of '--%s' is longer than %.0f bytes", row->name,
                                      row->max);
                *(const char **)field = value;
                return 0;
        case KIND_FORMAT: /* which ones there are depends on the command: check_format() */
                *(const char **)field = value;
                return 0;
        case KIND_SETTING:
                return set_setting(p, row, value);
        case KIND_COUNT:
                if (!parse_count(value, (long long)row->max, field))
                        return refuse(p, "'--%s %s': a whole number from 1 to %.0f is needed",
                                      row->name, value, row->max);
                return 0;
        default:
                if (!parse_number(value, row->max, field))
                        return refuse(p, "'--%s %s': a number above 0, at most %g, is needed",
                                      row->name, value, row->max);
                return 0;
        }
}

static int choose(struct parser *p, const struct command *command)
{
        if (p->command && p->command != command)
                return refuse(p, "'%s' and '%s' cannot go together", p->command->name,
                              command->name);
        p->command = command;
        return 0;
}

static const struct command *find_command(const struct parser *p, const char *name, bool as_verb)
{
        for (size_t i = 0; p->commands[i]; i++)
                if ((as_verb ? p->commands[i]->is_verb : p->commands[i]->is_option) &&
                    strcmp(p->commands[i]->name, name) == 0)
                        return p->commands[i];
        return NULL;
}

static int refuse_option(struct parser *p, const char *argument, const char *name)
{
        struct nearest near = nearest_to(name);

        nearest_offer(&near, "help");
        for (size_t i = 0; i < OPTION_ROWS; i++)
                if (!p->command || p->command->options & option_rows[i].bit)
                        nearest_offer(&near, option_rows[i].name);
        for (size_t i = 0; !p->command && p->commands[i]; i++)
                if (p->commands[i]->is_option)
                        nearest_offer(&near, p->commands[i]->name);
        if (near.best)
                return refuse(p, "unknown option '%s'; did you mean '--%s'?", argument, near.best);
        return refuse(p, "unknown option '%s'", argument);
}

static int refuse_word(struct parser *p, const char *word)
{
        struct nearest near = nearest_to(word);

        if (p->command)
                return refuse(p, "unexpected argument '%s'", word);
        nearest_offer(&near, "help");
        for (size_t i = 0; p->commands[i]; i++)
                if (p->commands[i]->is_verb)
                        nearest_offer(&near, p->commands[i]->name);
        if (near.best)
                return refuse(p, "unknown command '%s'; did you mean '%s'?", word, near.best);
        return refuse(p, "unknown command '%s'", word);
}

static int take_pid(struct parser *p, const char *value)
{
        if (take_value(p, p->command->name, &value) < 0)
                return -EINVAL;
        if (!parse_count(value, INT_MAX, &p->options->pid))
                return refuse(p, "'%s' is no process id", value);
        return 0;
}

/* Two options can have a name in common: the command's own comes first. */
static const struct option_row *find_row(const struct parser *p, const char *name)
{
        const struct option_row *found = NULL;

        for (size_t i = 0; i < OPTION_ROWS; i++) {
                const struct option_row *row = &option_rows[i];

                if (strcmp(row->name, name) != 0)
                        continue;
                if (p->command && p->command->options & row->bit)
                        return row;
                if (!found)
                        found = row;
        }
        return found;
}

static int parse_option(struct parser *p, const char *argument)
{
        const struct option_row *row;
        const struct command *command;
        char name[OPTION_NAME_MAX];
        const char *value;

        if (!option_name(argument, name, &value))
                return refuse(p, "unknown option '%s'", argument);
        if (strcmp(name, "help") == 0 && !value) {
                p->options->help = true;
                return 0;
        }
        command = find_command(p, name, false);
        if (command) {
                if (!command->takes_pid && value)
                        return refuse(p, "option '--%s' takes no value", name);
                if (choose(p, command) < 0)
                        return -EINVAL;
                return command->takes_pid ? take_pid(p, value) : 0;
        }
        row = find_row(p, name);
        return row ? set_option(p, row, value) : refuse_option(p, argument, name);
}

/* Everything from here on is CMD's. */
static void take_arguments(struct parser *p)
{
        p->options->arguments = p->argv + p->next;
        p->options->argument_count = p->argc - p->next;
        p->next = p->argc;
}

static int parse_word(struct parser *p, const char *word)
{
        const struct command *command;

        if (p->command && p->command->takes_arguments) {
                p->next--;
                take_arguments(p);
                return 0;
        }
        if (p->command && p->options->file_count < p->command->takes_files) {
                p->options->files[p->options->file_count++] = word;
                return 0;
        }
        if (!p->command && strcmp(word, "help") == 0) {
                p->options->help = true;
                return 0;
        }
        command = find_command(p, word, true);
        if (!command || p->command)
                return refuse_word(p, word);
        p->command = command;
        if (command->takes_pid && !p->options->help && p->next < p->argc &&
            p->argv[p->next][0] != '-')
                return take_pid(p, NULL);
        return 0;
}

/* The format of the settings counts where the command has it: export's are its own. */
static int check_format(struct parser *p)
{
        const char *formats = p->command->formats ? p->command->formats : USUAL_FORMATS;
        const char *setting = settings_text(p->options->settings, SETTING_FORMAT);
        struct options *o = p->options;

        if (!(p->command->options & OPTION_FORMAT))
                return 0;
        if (o->format && !settings_is_choice(formats, o->format))
                return refuse(p, "'%s' is no format of '%s'; there are: %s", o->format,
                              p->command->name, formats);
        if (!o->format && setting && settings_is_choice(formats, setting))
                o->format = setting;
        o->json = o->format && strcmp(o->format, "json") == 0;
        return 0;
}

static void take_settings(struct options *o)
{
        o->socket = settings_text(o->settings, SETTING_SOCKET);
        o->interval_s = settings_number(o->settings, SETTING_INTERVAL);
        o->model = settings_text(o->settings, SETTING_MODEL);
        o->gamma = settings_number(o->settings, SETTING_GAMMA);
        o->delta = settings_number(o->settings, SETTING_DELTA);
}

static int check_complete(struct parser *p)
{
        if (!p->command)
                return refuse(p, "no command given");
        for (size_t i = 0; i < OPTION_ROWS; i++)
                if (p->given[i] && !(p->command->options & option_rows[i].bit))
                        return refuse(p, "option '--%s' has no meaning with '%s'",
                                      option_rows[i].name, p->command->name);
        if (p->command->takes_pid && !p->options->pid)
                return refuse(p, "'%s' needs a process id", p->command->name);
        if (p->options->file_count < p->command->takes_files)
                return refuse(p, "'%s' needs the name of %s", p->command->name,
                              p->command->takes_files == 1 ? "a file" : "two files");
        if (p->command->takes_arguments && !p->command->arguments_optional &&
            p->options->argument_count == 0)
                return refuse(p, "'%s' needs a command to start", p->command->name);
        if (!p->command->takes_arguments && p->options->argument_count > 0)
                return refuse(p, "unexpected argument '%s'", p->options->arguments[0]);
        return check_format(p);
}

int options_parse(struct options *o, struct settings *settings, int argc, char **argv,
                  const struct command *const *commands, const struct command **ret, char *why,
                  size_t why_size)
{
        struct parser p = {
                .options = o,
                .argc = argc,
                .next = 1,
                .argv = argv,
                .commands = commands,
                .why = why,
                .why_size = why_size,
        };
        int r = 0;

        *o = (struct options){
                .settings = settings,
                .base_period_s = NAN,
                .rapl_period_s = NAN,
                .duration_s = NAN,
        };
        why[0] = '\0';
        while (r == 0 && p.next < argc) {
                const char *argument = argv[p.next++];

                if (strcmp(argument, "--") == 0)
                        take_arguments(&p);
                else if (argument[0] == '-' && argument[1])
                        r = parse_option(&p, argument);
                else
                        r = parse_word(&p, argument);
        }
        if (r == 0 && !o->help)
                r = check_complete(&p);
        take_settings(o);
        *ret = p.command;
        return r;
}

/* "text|json" of "text json" */
static void format_choices(const struct command *command, char *text, size_t size)
{
        snprintf(text, size, "%s", command->formats ? command->formats : USUAL_FORMATS);
        for (char *c = text; *c; c++)
                if (*c == ' ')
                        *c = '|';
}

void options_print_help(FILE *out, const struct command *command)
{
        for (size_t i = 0; i < OPTION_ROWS; i++) {
                const struct option_row *row = &option_rows[i];
                char left[2 * OPTION_NAME_MAX], formats[OPTION_NAME_MAX];
                const char *value = row->value;
                int n = 0;

                if (!(command->options & row->bit))
                        continue;
                if (row->kind == KIND_FORMAT) {
                        format_choices(command, formats, sizeof(formats));
                        value = formats;
                }
                if (row->letter)
                        n = snprintf(left, sizeof(left), "-%c, ", row->letter);
                snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", row->name,
                         value ? " " : "", value ? value : "");
                fprintf(out, "  %-22s %s\n", left, row->help);
        }
}
