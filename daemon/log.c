/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION    /* the words say where; lines of source mean nothing to \
                                           admins */
#include <systemd/sd-journal.h>

#define MAX_LINE   2048
#define MAX_FIELD  512
#define MAX_FIELDS 8

static atomic_int max_level = LOG_INFO;
static pthread_once_t looked = PTHREAD_ONCE_INIT;
static bool stderr_is_journal;

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

/* The variable alone is inherited by everything that a service starts: stderr has to be the one. */
static void look(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        stderr_is_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
                            fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
                            st.st_ino == inode;
}

struct fields {
        struct iovec vec[MAX_FIELDS];
        char text[MAX_FIELDS][MAX_FIELD];
        int n;
};

static void add(struct fields *f, const char *name, const char *value)
{
        if (!value || f->n == MAX_FIELDS)
                return;
        snprintf(f->text[f->n], MAX_FIELD, "%s=%s", name, value);
        f->vec[f->n] = (struct iovec){f->text[f->n], strlen(f->text[f->n])};
        f->n++;
}

static int send_to_journal(int level, const struct log_event *event, char *message)
{
        struct fields f = {0};
        char priority[4];

        snprintf(priority, sizeof(priority), "%d", level);
        f.vec[f.n++] = (struct iovec){message, strlen(message)};
        add(&f, "PRIORITY", priority);
        add(&f, "SYSLOG_IDENTIFIER", "energatd");
        add(&f, "MESSAGE_ID", event->id);
        add(&f, "ENERGAT_DOMAIN", event->domain);
        add(&f, "ENERGAT_SOURCE", event->source);
        add(&f, "ENERGAT_FAULT", event->fault);
        add(&f, "ENERGAT_KEY", event->key);
        return sd_journal_sendv(f.vec, f.n);
}

void log_event(int level, const struct log_event *event, const char *format, ...)
{
        static const char name[] = "MESSAGE=";
        char field[sizeof(name) + MAX_LINE], *line = field + strlen(name);
        va_list args;

        if (level > max_level)
                return;
        memcpy(field, name, sizeof(name));
        va_start(args, format);
        vsnprintf(line, MAX_LINE, format, args);
        va_end(args);
        pthread_once(&looked, look);
        if (!stderr_is_journal)
                fprintf(stderr, "energatd: %s\n", line);
        else if (send_to_journal(level, event, field) < 0)
                fprintf(stderr, "<%d>%s\n", level, line); /* sd-daemon(3) */
}
