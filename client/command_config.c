/* SPDX-License-Identifier: MIT */
/* energat config: every setting, its value and where it came from; and the daemon's. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "settings.h"
#include "text.h"

static json_t *value_json(const struct setting_row *row, const struct setting_value *value)
{
        if (!value->text[0])
                return json_null();
        return row->is_number ? json_real(value->number) : text_json(value->text);
}

static json_t *setting_json(const struct settings *s, enum setting id)
{
        const struct setting_row *row = settings_row(id);
        const struct setting_value *value = &s->values[id];
        char variable[64];
        json_t *object, *place;

        object = json_pack("{s:s, s:s, s:o, s:s?, s:s, s:s, s:s}", "section", row->section, "key",
                           row->key, "value", value_json(row, value), "unit", row->unit, "origin",
                           settings_origin_name(value->origin), "variable",
                           settings_variable(id, variable), "doc", row->doc);
        place = value->place[0] ? text_json(value->place) : json_null();
        if (json_object_set_new(object, "place", place) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

static int print_json(const struct settings *s, json_t *daemon)
{
        json_auto_t *object = NULL;
        json_t *list = json_array();

        for (unsigned int id = 0; id < SETTINGS; id++)
                json_array_append_new(list, setting_json(s, id));
        object = json_pack("{s:o, s:O?}", "settings", list, "daemon", daemon);
        return command_print_json(object);
}

/* As a file that settings_read_file() reads; `with_origin` for each value with where it came from.
 */
static void print_text(const struct settings *s, bool with_origin)
{
        const char *section = "";

        for (unsigned int id = 0; id < SETTINGS; id++) {
                const struct setting_row *row = settings_row(id);
                const struct setting_value *value = &s->values[id];

                if (strcmp(section, row->section) != 0) {
                        printf("%s[%s]\n", section[0] ? "\n" : "", row->section);
                        section = row->section;
                }
                printf("# %s%s%s%s\n", row->doc, row->unit ? " (" : "", row->unit ? row->unit : "",
                       row->unit ? ")" : "");
                if (with_origin) {
                        fputs("# from: ", stdout);
                        text_print_safe(stdout, value->place[0]
                                                        ? value->place
                                                        : settings_origin_name(value->origin));
                        putchar('\n');
                }
                printf("%s%s =%s", value->text[0] ? "" : "#", row->key, value->text[0] ? " " : "");
                text_print_safe(stdout, value->text);
                putchar('\n');
        }
}

static void print_comment(const char *label, const char *text)
{
        printf("# %s", label);
        text_print_safe(stdout, text);
        putchar('\n');
}

/* Where a value of energatd's comes from, and what its file says now, if that is something else. */
static void print_daemon_origin(const char *path, const json_t *key)
{
        long long line = report_integer(key, "line");

        fputs("   from: ", stdout);
        text_print_safe(stdout, line > 0 ? path : report_string(key, "origin"));
        if (line > 0)
                printf(":%lld", line);
        if (report_string(key, "waiting")[0]) {
                fputs("; after a restart ", stdout);
                text_print_safe(stdout, report_string(key, "waiting"));
        }
        putchar('\n');
}

/* What GetConfig answers, as comments: it is not the client's to set. */
static void print_daemon(const json_t *reply)
{
        const json_t *keys = json_object_get(reply, "settings"), *key;
        const char *path = report_string(reply, "path");
        size_t i;

        puts("");
        print_comment("energatd's own configuration: ", path);
        if (report_string(reply, "problem")[0])
                print_comment("what is there now was refused: ", report_string(reply, "problem"));
        json_array_foreach(keys, i, key)
        {
                fputs("# ", stdout);
                text_print_safe(stdout, report_string(key, "key"));
                fputs(" = ", stdout);
                text_print_safe(stdout, report_string(key, "value"));
                print_daemon_origin(path, key);
        }
}

/* NULL when no daemon answers, or one that does not tell: the client's settings are worth showing
 * all the same. */
static json_t *daemon_config(const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        const char *path = options->socket;
        json_t *reply = NULL;
        int r;

        r = connection_open(&c, path, CONNECTION_TIMEOUT_NS);
        if (r == 0)
                r = connection_call(c, "io.energat.GetConfig", NULL, CONNECTION_TIMEOUT_NS, &reply);
        if (r < 0)
                text_message("energatd's configuration is not known: %s: %s", path,
                             c ? connection_strerror(c, r) : strerror(-r));
        return r < 0 ? NULL : reply;
}

static int config(const struct options *options)
{
        static struct settings defaults;
        const struct settings *s = options->settings;
        json_auto_t *daemon = NULL;

        if (options->show_default) {
                settings_defaults(&defaults);
                s = &defaults;
        } else {
                daemon = daemon_config(options);
        }
        if (options->json)
                return print_json(s, daemon);
        print_text(s, !options->show_default);
        if (daemon)
                print_daemon(daemon);
        return command_finish_output();
}

const struct command command_config = {
        .name = "config",
        .is_verb = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_DEFAULT | OPTION_COST,
        .usage = "config [--default] [--format text|json]",
        .summary = "show the settings in force, and where each came from",
        .details =
                "Settings come from options, ENERGAT_... in the environment, ./.energat.ini,\n"
                "~/.config/energat.ini, /etc/energat/energat.conf and defaults, in this order.\n",
        .example = "  energat config --default >~/.config/energat.ini    a file to edit\n",
        .run = config,
};
