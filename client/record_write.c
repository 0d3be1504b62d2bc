/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "clock.h"
#include "record.h"
#include "text.h"

/* A time since 1970 to 10 us, and what meters count, microjoules, up to 10^9 J. */
#define RECORD_DIGITS 15

json_t *record_header(const char *kind, const char *name, char **command, double interval_s)
{
        json_auto_t *words = json_array();
        struct utsname host;

        if (uname(&host) < 0)
                strcpy(host.nodename, "?");
        for (size_t i = 0; command && command[i]; i++)
                if (json_array_append_new(words, text_json(command[i])) < 0)
                        return NULL;
        return json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:f, s:o, s:i}", "version", RECORD_VERSION,
                         "energat", ENERGAT_VERSION, "kind", kind, "name", text_json(name),
                         "command", command ? json_incref(words) : json_null(), "host",
                         text_json(host.nodename), "begin", clock_realtime_s(), "interval_s",
                         interval_s > 0 ? json_real(interval_s) : json_null(), "cpus",
                         (int)sysconf(_SC_NPROCESSORS_ONLN));
}

json_t *record_end(const struct measured *m)
{
        return json_pack("{s:f, s:i, s:b, s:o, s:o}", "time", clock_realtime_s(), "exit_status",
                         m->status, "partial", m->partial, "interrupted",
                         m->interrupted ? json_integer(m->interrupted) : json_null(), "report",
                         m->report ? json_incref(m->report) : json_null());
}

static int write_line(FILE *stream, const char *what, json_t *body)
{
        json_auto_t *line = json_pack("{s:O}", what, body);

        if (!line)
                return -ENOMEM;
        if (json_dumpf(line, stream, JSON_COMPACT | JSON_REAL_PRECISION(RECORD_DIGITS)) < 0 ||
            fputc('\n', stream) == EOF || fflush(stream) != 0)
                return errno ? -errno : -EIO;
        return 0;
}

int record_open(struct record_writer *w, const char *path, json_t *header)
{
        int fd, r;

        *w = (struct record_writer){.path = strdup(path), .header = header};
        if (!w->path || !w->header)
                return -ENOMEM;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        if (fd < 0)
                return -errno;
        w->stream = fdopen(fd, "w");
        if (!w->stream) {
                r = -errno;
                close(fd);
                return r;
        }
        errno = 0;
        return write_line(w->stream, "energat_record", w->header);
}

static int open_fallback(struct record_writer *w)
{
        const char *directory = getenv("TMPDIR");
        char *path = NULL;
        int fd;

        if (asprintf(&path, "%s/energat-record.XXXXXX",
                     directory && directory[0] ? directory : "/tmp") < 0)
                return -ENOMEM;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0 || !(w->stream = fdopen(fd, "w"))) {
                int r = -errno;

                if (fd >= 0) {
                        close(fd);
                        unlink(path);
                }
                free(path);
                return r;
        }
        free(w->path);
        w->path = path;
        w->fell_back = true;
        return write_line(w->stream, "energat_record", w->header);
}

static void drop(struct record_writer *w)
{
        if (w->stream)
                fclose(w->stream);
        w->stream = NULL;
}

/* Once only: a second disk that is full is not followed by a third. */
static void fall_back(struct record_writer *w, json_t *line, const char *what, int error)
{
        char *before = strdup(w->path);
        bool again = w->fell_back;
        int r = -EIO;

        drop(w);
        if (!again)
                r = open_fallback(w);
        if (r == 0)
                r = write_line(w->stream, what, line);
        if (r == 0)
                text_message("%s cannot be written any more (%s): the recording goes on in %s",
                             before ? before : "the file", strerror(-error), w->path);
        else {
                text_message("%s cannot be written any more (%s), nor can another file (%s): the "
                             "rest is not recorded",
                             before ? before : "the file", strerror(-error), strerror(-r));
                w->fell_back = true;
                drop(w);
        }
        free(before);
}

void record_write(struct record_writer *w, const char *what, json_t *body)
{
        json_auto_t *line = body;
        int r;

        if (!w->stream || !line)
                return;
        errno = 0;
        r = write_line(w->stream, what, line);
        if (r < 0)
                fall_back(w, line, what, r);
}

int record_close(struct record_writer *w)
{
        int r = w->fell_back || (w->header && !w->stream) ? -EIO : 0;

        if (w->stream && fclose(w->stream) != 0)
                r = -EIO;
        w->stream = NULL;
        free(w->path);
        json_decref(w->header);
        *w = (struct record_writer){0};
        return r;
}
