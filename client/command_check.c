/* SPDX-License-Identifier: MIT */
/* energat --check: can this machine be measured, and what to do where not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "text.h"

#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define RED    "\033[31m"
#define PLAIN  "\033[0m"

static const struct {
        const char *result, *colour;
} results[] = {{"pass", GREEN}, {"warn", YELLOW}, {"fail", RED}};

static const char *colour_of(const char *result)
{
        for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
                if (strcmp(result, results[i].result) == 0)
                        return results[i].colour;
        return NULL;
}

static bool lines_valid(const json_t *lines)
{
        const json_t *line;
        size_t i;

        if (!json_is_array(lines))
                return false;
        json_array_foreach(lines, i, line)
        {
                const char *result = report_string(line, "result");

                if (!colour_of(result) || !report_string(line, "name")[0])
                        return false;
        }
        return true;
}

static int name_width(const json_t *lines)
{
        const size_t widest = 40;
        const json_t *line;
        size_t i, width = 0;

        json_array_foreach(lines, i, line)
        {
                size_t length = strlen(report_string(line, "name"));

                if (length > width)
                        width = length;
        }
        return (int)(width < widest ? width : widest);
}

static void print_line(const json_t *line, int width, bool colour)
{
        const char *result = report_string(line, "result");
        const char *name = report_string(line, "name"), *remedy = report_string(line, "remedy");
        int padding = width - (int)strlen(name);

        printf("%s%s%s  ", colour ? colour_of(result) : "", result, colour ? PLAIN : "");
        text_print_safe(stdout, name);
        printf("%*s  ", padding > 0 ? padding : 0, "");
        text_print_safe(stdout, report_string(line, "detail"));
        putchar('\n');
        if (remedy[0]) {
                printf("%*s %s ", (int)strlen("pass  ") + width, "",
                       text_utf8() ? "\xe2\x86\x92" : "->");
                text_print_safe(stdout, remedy);
                putchar('\n');
        }
}

static int print_text(const json_t *lines, bool ok)
{
        bool colour = text_colour(stdout);
        int width = name_width(lines);
        const json_t *line;
        size_t i;

        json_array_foreach(lines, i, line) print_line(line, width, colour);
        puts(ok ? "\nthis machine can be measured"
                : "\nthis machine cannot be measured: see what is marked fail");
        return command_finish_output();
}

static int check(const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *reply = NULL;
        json_t *lines, *ok;
        int r;

        r = command_connect(&c, options);
        if (r != STATUS_OK)
                return r;
        r = connection_call(c, "io.energat.Check", NULL, CONNECTION_TIMEOUT_NS, &reply);
        if (r < 0)
                return command_failed(c, options, r);
        lines = json_object_get(reply, "lines");
        ok = json_object_get(reply, "ok");
        if (!json_is_boolean(ok) || !lines_valid(lines))
                return command_failed(c, options, -EPROTO);

        r = options->json ? command_print_json(reply) : print_text(lines, json_is_true(ok));
        return r == STATUS_OK && !json_is_true(ok) ? STATUS_FAILED : r;
}

const struct command command_check = {
        .name = "check",
        .is_verb = true,
        .is_option = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_RAPL_PERIOD,
        .usage = "check [--format text|json]      (or energat --check)",
        .summary = "can this machine be measured, and what to do if not",
        .details = "Each line is pass, warn or fail, with a remedy.  Exit status 0 only when the\n"
                   "machine can be measured.\n",
        .example = "  energat check || echo 'no meter here'\n",
        .run = check,
};
