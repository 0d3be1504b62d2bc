/* SPDX-License-Identifier: MIT */
#include "configuration.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "server.h"

#define DEFAULT_PATH "/etc/energat/energatd.conf"

/* Text behind what is there, " ..." at the end when there is no room. */
__attribute__((format(printf, 2, 3))) static void append(char text[CONFIGURATION_TEXT_MAX],
                                                         const char *format, ...)
{
        size_t used = strlen(text);
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text + used, CONFIGURATION_TEXT_MAX - used, format, args);
        va_end(args);
        if (n >= 0 && used + (size_t)n >= CONFIGURATION_TEXT_MAX)
                memcpy(text + CONFIGURATION_TEXT_MAX - sizeof(" ..."), " ...", sizeof(" ..."));
}

void configuration_init(struct configuration *c, const char *path)
{
        *c = (struct configuration){.named = path != NULL};
        snprintf(c->path, sizeof(c->path), "%s", path ? path : DEFAULT_PATH);
        config_defaults(&c->config);
        c->wanted = c->config;
}

int configuration_option(struct configuration *c, const char *key, const char *value, char *why,
                         size_t why_size)
{
        struct config scratch = c->config;

        if (config_set(&scratch, key, value, why, why_size) < 0)
                return -EINVAL;
        if (c->noptions == CONFIGURATION_MAX_OPTIONS) {
                snprintf(why, why_size, "there are more than %d options",
                         CONFIGURATION_MAX_OPTIONS);
                return -EINVAL;
        }
        c->options[c->noptions].key = key;
        c->options[c->noptions++].value = value;
        return 0;
}

/* Messages of the parser, one log line each.  all: collects them, may be NULL. */
static void log_messages(char *messages, int level, const struct log_event *event, char *all)
{
        char *rest = messages, *line;

        while ((line = strsep(&rest, "\n"))) {
                if (!*line)
                        continue;
                log_event(level, event, "%s", line);
                if (all)
                        append(all, "%s%s", *all ? "; " : "", line);
        }
}

/* Defaults, then the file, then the options.  problem: as log_messages() has it; on error only. */
static int read_all(struct configuration *c, struct config *config, const struct log_event *event,
                    char *problem)
{
        char *messages = NULL, why[256];
        size_t size;
        FILE *stream = open_memstream(&messages, &size);
        int r;

        config_defaults(config);
        if (!stream)
                return -errno;
        r = config_load(config, c->path, stream);
        c->found = r != -ENOENT;
        if (fclose(stream) != 0 && r >= 0)
                r = -ENOMEM;
        if (r == -ENOENT && !c->named)
                r = 0;
        else
                log_messages(messages, r < 0 ? LOG_ERR : LOG_WARNING, event,
                             r < 0 ? problem : NULL);
        free(messages);
        for (size_t i = 0; r >= 0 && i < c->noptions; i++)
                r = config_set(config, c->options[i].key, c->options[i].value, why, sizeof(why));
        return r;
}

int configuration_load(struct configuration *c)
{
        int r = read_all(c, &c->config, &(const struct log_event){0}, NULL);

        c->wanted = c->config;
        return r;
}

static bool same_value(const struct config *a, const struct config *b, size_t i)
{
        char first[CONFIG_PATH_MAX], second[CONFIG_PATH_MAX];

        config_value(a, i, first);
        config_value(b, i, second);
        return strcmp(first, second) == 0;
}

/* Take over what can be, and say what happens to each key that differs.  The number of those. */
static unsigned int take_over(struct configuration *c)
{
        unsigned int changed = 0;

        c->waiting[0] = '\0';
        for (size_t i = 0; i < config_nkeys(); i++) {
                char name[128], before[CONFIG_PATH_MAX], after[CONFIG_PATH_MAX];
                const struct log_event event = {.id = EVENT_RELOADED, .key = name};

                if (same_value(&c->config, &c->wanted, i)) {
                        c->config.places[i] = c->wanted.places[i];
                        continue;
                }
                changed++;
                snprintf(name, sizeof(name), "%s.%s", config_section(i), config_key(i));
                config_value(&c->config, i, before);
                config_value(&c->wanted, i, after);
                if (config_is_live(i)) {
                        config_copy_value(&c->config, &c->wanted, i);
                        log_event(LOG_NOTICE, &event, "%s is %s now, no longer %s", name, after,
                                  before);
                } else {
                        append(c->waiting, "%s%s", *c->waiting ? ", " : "", name);
                        log_event(LOG_WARNING, &event,
                                  "%s stays %s until energatd is restarted; the file says %s", name,
                                  before, after);
                }
        }
        return changed;
}

/* A key that takes effect now, beside one that cannot, must not make nonsense together. */
static int check_together(const struct configuration *c, const struct config *config, char *problem)
{
        if (config->interval_ns >= c->config.tick_ns)
                return 0;
        append(problem,
               "model.interval: is shorter than the sampling.period in force, %g s, which only a "
               "restart can change",
               (double)c->config.tick_ns / NS_PER_S);
        return -EINVAL;
}

int configuration_reload(struct configuration *c)
{
        const struct log_event refused = {.id = EVENT_RELOAD_REFUSED};
        struct config config;
        unsigned int changed;
        int r;

        c->problem[0] = '\0';
        r = read_all(c, &config, &refused, c->problem);
        if (r >= 0 && (r = check_together(c, &config, c->problem)) < 0)
                log_event(LOG_ERR, &refused, "%s: %s", c->path, c->problem);
        if (r < 0) {
                if (!c->problem[0])
                        append(c->problem, "%s: %s", c->path, strerror(-r));
                log_event(LOG_ERR, &refused,
                          "the configuration is not reloaded, the one before stays in force");
                return r;
        }
        c->wanted = config;
        changed = take_over(c);
        log_event(LOG_NOTICE, &(const struct log_event){.id = EVENT_RELOADED},
                  "configuration reloaded from %s: %u key%s differ%s", c->path, changed,
                  changed == 1 ? "" : "s", changed == 1 ? "s" : "");
        log_set_level(log_level_from_name(c->config.log_level));
        return 0;
}

/* ---- for clients ---- */

/* JSON is UTF-8, a path is any bytes: where it is no text, what is none is shown as '?'. */
static json_t *text_json(const char *text)
{
        json_t *json = json_string(text);
        char copy[CONFIG_PATH_MAX];

        if (json)
                return json;
        snprintf(copy, sizeof(copy), "%s", text);
        for (char *p = copy; *p; p++)
                if (!isascii((unsigned char)*p))
                        *p = '?';
        return json_string(copy);
}

static void warn(json_t *warnings, const char *what, const char *detail)
{
        char text[CONFIGURATION_TEXT_MAX + 128];

        snprintf(text, sizeof(text), "%s: %s", what, detail);
        json_array_append_new(warnings, text_json(text));
}

void configuration_warnings(const struct configuration *c, json_t *warnings)
{
        if (c->problem[0])
                warn(warnings, "the configuration was not reloaded, the one before stays in force",
                     c->problem);
        if (c->waiting[0])
                warn(warnings, "configuration that waits for a restart of energatd", c->waiting);
}

static json_t *setting_json(const struct configuration *c, size_t i)
{
        static const char *const origins[] = {
                [CONFIG_DEFAULT] = "default", [CONFIG_FILE] = "file", [CONFIG_OPTION] = "option"};
        const struct config_place *place = &c->config.places[i];
        char value[CONFIG_PATH_MAX], wanted[CONFIG_PATH_MAX];

        config_value(&c->config, i, value);
        config_value(&c->wanted, i, wanted);
        return json_pack("{s:o, s:o, s:s, s:o, s:s, s:o}", "key",
                         json_sprintf("%s.%s", config_section(i), config_key(i)), "value",
                         text_json(value), "origin", origins[place->origin], "line",
                         place->origin == CONFIG_FILE ? json_integer(place->line) : json_null(),
                         "takes_effect", config_is_live(i) ? "reload" : "restart", "waiting",
                         strcmp(value, wanted) == 0 ? json_null() : text_json(wanted));
}

void method_config(struct call *call)
{
        const struct configuration *c = call->server->configuration;
        json_t *settings = json_array();

        for (size_t i = 0; i < config_nkeys(); i++)
                json_array_append_new(settings, setting_json(c, i));
        call_reply(call,
                   json_pack("{s:o, s:b, s:o, s:o}", "path", text_json(c->path), "found", c->found,
                             "settings", settings, "problem",
                             c->problem[0] ? text_json(c->problem) : json_null()),
                   false);
}
