/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "record.h"

/* A line of 100,000 processes has some 10 MB. */
#define LINE_MAX_BYTES (64 * 1024 * 1024)

/* 1: a whole line is in r->line; 0: the end, or what is behind the cut. */
static int read_line(struct record_reader *r)
{
        ssize_t n = getline(&r->line, &r->room, r->stream);

        if (n <= 0) {
                if (ferror(r->stream))
                        snprintf(r->cut, sizeof(r->cut), "it cannot be read behind line %lu: %s",
                                 r->number, strerror(errno));
                return 0;
        }
        r->number++;
        if (n > LINE_MAX_BYTES || r->line[n - 1] != '\n') {
                snprintf(r->cut, sizeof(r->cut), "line %lu is cut off", r->number);
                return 0;
        }
        return 1;
}

/* {"what": body}, and nothing else */
static json_t *parse_line(const char *text, const char **what, json_t **body)
{
        json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        void *first = json_object_iter(line);

        if (!first || json_object_size(line) != 1) {
                json_decref(line);
                return NULL;
        }
        *what = json_object_iter_key(first);
        *body = json_object_iter_value(first);
        return line;
}

int record_next(struct record_reader *r, json_t **line, const char **what, json_t **body)
{
        if (r->cut[0] || read_line(r) == 0)
                return 0;
        *line = parse_line(r->line, what, body);
        if (*line)
                return 1;
        snprintf(r->cut, sizeof(r->cut), "line %lu is no line of a recording", r->number);
        return 0;
}

static int check_header(struct record_reader *r, char *why, size_t why_size)
{
        json_auto_t *line = NULL;
        const char *what = "";
        json_t *body = NULL, *version;

        if (record_next(r, &line, &what, &body) == 0 || strcmp(what, "energat_record") != 0 ||
            !json_is_object(body)) {
                snprintf(why, why_size, "it is no recording of energat");
                return -EBADMSG;
        }
        version = json_object_get(body, "version");
        if (!json_is_integer(version) || json_integer_value(version) > RECORD_VERSION ||
            !json_is_string(json_object_get(body, "kind"))) {
                snprintf(why, why_size,
                         "it is a recording of version %lld, and this energat knows up to %d",
                         (long long)json_integer_value(version), RECORD_VERSION);
                return -EBADMSG;
        }
        json_decref(r->header);
        r->header = json_incref(body);
        return 0;
}

int record_read(struct record_reader *r, const char *path, char *why, size_t why_size)
{
        struct stat s;
        int result;

        *r = (struct record_reader){0};
        why[0] = '\0';
        r->stream = fopen(path, "re");
        if (!r->stream)
                return -errno;
        /* it is read twice, and a directory not at all */
        if (fstat(fileno(r->stream), &s) < 0 || !S_ISREG(s.st_mode)) {
                record_reader_close(r);
                snprintf(why, why_size, "it is no regular file");
                return -EBADMSG;
        }
        result = check_header(r, why, why_size);
        if (result < 0)
                record_reader_close(r);
        return result;
}

int record_rewind(struct record_reader *r)
{
        char why[128];

        rewind(r->stream);
        r->number = 0;
        r->cut[0] = '\0';
        return check_header(r, why, sizeof(why));
}

void record_reader_close(struct record_reader *r)
{
        if (r->stream)
                fclose(r->stream);
        free(r->line);
        json_decref(r->header);
        r->stream = NULL;
        r->line = NULL;
        r->header = NULL;
}
