/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_int max_level = LOG_INFO;

static const struct {
        const char *name;
        int level;
} levels[] = {
        {"debug", LOG_DEBUG},     {"info", LOG_INFO}, {"notice", LOG_NOTICE},
        {"warning", LOG_WARNING}, {"err", LOG_ERR},
};

void log_set_level(int level)
{
        max_level = level;
}

int log_level_from_name(const char *name)
{
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (strcmp(name, levels[i].name) == 0)
                        return levels[i].level;
        return -1;
}

void log_write(int level, const char *format, ...)
{
        char line[2048];
        va_list args;

        if (level > max_level)
                return;
        va_start(args, format);
        vsnprintf(line, sizeof(line), format, args);
        va_end(args);
        /* set by systemd when stderr goes to the journal, systemd.exec(5) */
        if (getenv("JOURNAL_STREAM"))
                fprintf(stderr, "<%d>%s\n", level, line);
        else
                fprintf(stderr, "energatd: %s\n", line);
}
