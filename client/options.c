/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

/* A day: longer windows are a slip of the pen. */
#define LONGEST_S 86400
/* Of a target, in bytes */
#define LONGEST_NAME 255
/* Of an option: longer ones are not known anyway */
#define OPTION_NAME_MAX 64

enum option_kind { KIND_FLAG, KIND_STRING, KIND_NUMBER, KIND_COUNT, KIND_FORMAT };

static const struct option_row {
        const char *name;
        enum option_bit bit;
        enum option_kind kind;
        size_t offset; /* in struct options */
        double max;    /* of numbers, which are all above 0; length of strings */
        const char *value, *help;
} option_rows[] = {
#define FIELD(name) offsetof(struct options, name)
        {"socket", OPTION_SOCKET, KIND_STRING, FIELD(socket), PATH_MAX, "PATH",
         "socket of energatd (ENERGAT_SOCKET, /run/energat/energat.sock)"},
        {"name", OPTION_NAME, KIND_STRING, FIELD(name), LONGEST_NAME, "NAME",
         "name of the target in results and file names"},
        {"format", OPTION_FORMAT, KIND_FORMAT, FIELD(json), 0, "text|json",
         "form of the result (text)"},
        {"output", OPTION_OUTPUT, KIND_STRING, FIELD(output), PATH_MAX, "PATH",
         "run: file for the result; --pid: folder for the trace (.)"},
        {"interval", OPTION_INTERVAL, KIND_NUMBER, FIELD(interval_s), LONGEST_S, "S",
         "seconds between two evaluations (the daemon's, 1)"},
        {"gamma", OPTION_GAMMA, KIND_NUMBER, FIELD(gamma), 1, "G",
         "exponent of the CPU credit, 0 < G <= 1 (the daemon's, 0.3)"},
        {"delta", OPTION_DELTA, KIND_NUMBER, FIELD(delta), 1, "D",
         "exponent of the memory credit, 0 < D <= 1 (the daemon's, 0.2)"},
        {"no-wait", OPTION_NO_WAIT, KIND_FLAG, FIELD(no_wait), 0, NULL,
         "end with CMD, do not wait for descendants that outlive it"},
        {"base-period", OPTION_BASE_PERIOD, KIND_NUMBER, FIELD(base_period_s), LONGEST_S, "S",
         "seconds of one calibration window (the daemon's)"},
        {"windows", OPTION_WINDOWS, KIND_COUNT, FIELD(windows), 10000, "N",
         "number of calibration windows (the daemon's)"},
        {"force", OPTION_FORCE, KIND_FLAG, FIELD(force), 0, NULL,
         "calibrate even though the machine is busy"},
        {"online", OPTION_ONLINE, KIND_FLAG, FIELD(online), 0, NULL,
         "tell base power from the machine in use, in --base-period seconds at most (120)"},
        {"rapl-period", OPTION_RAPL_PERIOD, KIND_NUMBER, FIELD(rapl_period_s), LONGEST_S, "S",
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

        if (argument[1] != '-' && strcmp(name, "o") == 0)
                strcpy(name, "output");
        else if (argument[1] != '-' && strcmp(name, "h") == 0)
                strcpy(name, "help");
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

static int set_option(struct parser *p, const struct option_row *row, const char *value)
{
        void *field = (char *)p->options + row->offset;

        p->options->given |= row->bit;
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
        case KIND_FORMAT:
                *(bool *)field = strcmp(value, "json") == 0;
                if (!*(bool *)field && strcmp(value, "text") != 0)
                        return refuse(p, "'%s' is no format: text or json", value);
                return 0;
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

static int parse_option(struct parser *p, const char *argument)
{
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
                if (!command->takes_pid)
                        return 0;
                if (take_value(p, name, &value) < 0)
                        return -EINVAL;
                if (!parse_count(value, INT_MAX, &p->options->pid))
                        return refuse(p, "'%s' is no process id", value);
                return 0;
        }
        for (size_t i = 0; i < OPTION_ROWS; i++)
                if (strcmp(option_rows[i].name, name) == 0)
                        return set_option(p, &option_rows[i], value);
        return refuse(p, "unknown option '%s'", argument);
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
        command = find_command(p, word, true);
        if (!command)
                return refuse(p, p->command ? "unexpected argument '%s'" : "unknown command '%s'",
                              word);
        return choose(p, command);
}

static int check_complete(struct parser *p)
{
        if (!p->command)
                return refuse(p, "no command given");
        for (size_t i = 0; i < OPTION_ROWS; i++)
                if (p->options->given & option_rows[i].bit & ~p->command->options)
                        return refuse(p, "option '--%s' has no meaning with '%s'",
                                      option_rows[i].name, p->command->name);
        if (p->command->takes_arguments && p->options->argument_count == 0)
                return refuse(p, "'%s' needs a command to start", p->command->name);
        if (!p->command->takes_arguments && p->options->argument_count > 0)
                return refuse(p, "unexpected argument '%s'", p->options->arguments[0]);
        return 0;
}

int options_parse(struct options *o, int argc, char **argv, const struct command *const *commands,
                  const struct command **ret, char *why, size_t why_size)
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
                .interval_s = NAN,
                .gamma = NAN,
                .delta = NAN,
                .base_period_s = NAN,
                .rapl_period_s = NAN,
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
        *ret = p.command;
        return r;
}

void options_print_help(FILE *out, uint32_t set)
{
        for (size_t i = 0; i < OPTION_ROWS; i++) {
                const struct option_row *row = &option_rows[i];
                char left[OPTION_NAME_MAX];

                if (!(set & row->bit))
                        continue;
                snprintf(left, sizeof(left), "%s--%s%s%s", row->bit == OPTION_OUTPUT ? "-o, " : "",
                         row->name, row->value ? " " : "", row->value ? row->value : "");
                fprintf(out, "  %-22s %s\n", left, row->help);
        }
}
