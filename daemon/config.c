/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "config_value.h"

#define MAX_SOCKET 108 /* sun_path, with its NUL: unix(7) */

#define FIELD(name) .offset = offsetof(struct config, name)
#define TEXT(name)  FIELD(name), .size = sizeof(((struct config *)0)->name)

const struct config_row config_rows[] = {
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
        {"model", "model", TYPE_CHOICE, TEXT(model), .live = true, .initial = "energat",
         .choices = "energat additive"},
        {"model", "interval", TYPE_TIME, FIELD(interval_ns), .live = true, .min = 10e6,
         .max = 3600e9, .initial = "1s"},
        {"model", "gamma", TYPE_NUMBER, FIELD(gamma), .live = true, .above_min = true, .max = 1,
         .initial = "0.3"},
        {"model", "delta", TYPE_NUMBER, FIELD(delta), .live = true, .above_min = true, .max = 1,
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
        {"server", "log_level", TYPE_CHOICE, TEXT(log_level), .live = true, .initial = "info",
         .choices = "debug info notice warning err"},
        {"server", "idle_timeout", TYPE_TIME, FIELD(idle_timeout_ns), .live = true, .min = 1e9,
         .max = 86400e9, .initial = "120s"},
        {"access", "group", TYPE_NAME, TEXT(access_group), .live = true, .initial = "energat"},
        {"access", "interval", TYPE_TIME, FIELD(access_interval_ns), .min = 10e6, .max = 3600e9,
         .initial = "1s"},
        {"access", "own_processes", TYPE_BOOL, FIELD(access_own_processes), .live = true,
         .initial = "yes"},
        {"daemon", "user", TYPE_NAME, TEXT(user), .initial = "energat"},
};

#define NROWS (sizeof(config_rows) / sizeof(config_rows[0]))

_Static_assert(NROWS <= CONFIG_MAX_KEYS, "each key has a place");

void config_defaults(struct config *c)
{
        *c = (struct config){0};
        for (size_t i = 0; i < NROWS; i++)
                config_set_row(c, &config_rows[i], config_rows[i].initial);
}

const struct config_row *config_find_row(const char *section, size_t section_length,
                                         const char *key)
{
        for (size_t i = 0; i < NROWS; i++)
                if (strlen(config_rows[i].section) == section_length &&
                    strncmp(config_rows[i].section, section, section_length) == 0 &&
                    strcmp(config_rows[i].key, key) == 0)
                        return &config_rows[i];
        return NULL;
}

static const struct config_row *row_of(const char *key)
{
        const char *point = strchr(key, '.');

        return point ? config_find_row(key, (size_t)(point - key), point + 1) : NULL;
}

bool config_has_choice(const char *key, const char *value)
{
        const struct config_row *row = row_of(key);

        return row && row->type == TYPE_CHOICE && config_is_choice(row, value);
}

int config_set(struct config *c, const char *key, const char *value, char *why, size_t why_size)
{
        const struct config_row *row = row_of(key);
        char buffer[CONFIG_MAX_SHOWN + 4];
        int r;

        if (!row) {
                snprintf(why, why_size, "there is no key '%s'", config_shown(key, buffer));
                return -ENOENT;
        }
        r = config_set_row(c, row, value);
        if (r < 0)
                config_explain(row, value, why, why_size);
        else
                c->places[row - config_rows] = (struct config_place){.origin = CONFIG_OPTION};
        return r;
}

/* ---- key by key ---- */

size_t config_nkeys(void)
{
        return NROWS;
}

const char *config_section(size_t i)
{
        return config_rows[i].section;
}

const char *config_key(size_t i)
{
        return config_rows[i].key;
}

bool config_is_live(size_t i)
{
        return config_rows[i].live;
}

void config_value(const struct config *c, size_t i, char text[CONFIG_PATH_MAX])
{
        config_format_row(c, &config_rows[i], text);
}

void config_copy_value(struct config *to, const struct config *from, size_t i)
{
        char text[CONFIG_PATH_MAX];

        config_value(from, i, text);
        config_set_row(to, &config_rows[i], text);
        to->places[i] = from->places[i];
}
