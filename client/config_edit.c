/* SPDX-License-Identifier: MIT */
#include "config_edit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output_file.h"

#define FILE_MAX      (1024 * 1024) /* a configuration has some hundred lines */
#define MODE_NEW_FILE 0644          /* there is no secret in it */
#define MODE_BITS     07777

static const char *skip_blanks(const char *line)
{
        return line + strspn(line, " \t");
}

/* "[section]" of a line that begins a section. */
static bool is_section(const char *line, const char *section)
{
        size_t n = strlen(section);

        line = skip_blanks(line);
        return line[0] == '[' && strncmp(line + 1, section, n) == 0 && line[n + 1] == ']';
}

/* Does the line give the key a value; or, with `comment`, show how to? */
static bool gives(const char *line, const char *key, bool comment)
{
        size_t n = strlen(key);

        line = skip_blanks(line);
        if (comment) {
                if (line[0] != '#' && line[0] != ';')
                        return false;
                line = skip_blanks(line + 1);
        }
        return strncmp(line, key, n) == 0 && *skip_blanks(line + n) == '=';
}

/* The three places where the line can go, in the order of preference; NULL: there is none. */
struct places {
        const char *given, *shown, *head;
};

static struct places find(const char *text, const char *section, const char *key)
{
        struct places p = {0};
        bool within = false;

        for (const char *line = text; *line;) {
                const char *end = line + strcspn(line, "\n");

                if (*skip_blanks(line) == '[') {
                        within = is_section(line, section);
                        if (within && !p.head)
                                p.head = end;
                } else if (within && gives(line, key, false)) {
                        p.given = line; /* the last one counts */
                } else if (within && gives(line, key, true)) {
                        p.shown = end;
                }
                line = end + (*end == '\n');
        }
        return p;
}

char *config_edit_text(const char *text, const char *section, const char *key, const char *value)
{
        struct places p = find(text, section, key);
        const char *at, *rest;
        char *result;
        int n;

        if (p.given) {
                at = p.given;
                rest = at + strcspn(at, "\n");
                n = asprintf(&result, "%.*s%s = %s%s", (int)(at - text), text, key, value, rest);
        } else if (p.shown || p.head) {
                at = p.shown ? p.shown : p.head;
                n = asprintf(&result, "%.*s\n%s = %s%s", (int)(at - text), text, key, value,
                             *at ? at : "\n");
        } else {
                const char *newline = *text && text[strlen(text) - 1] != '\n' ? "\n" : "";

                n = asprintf(&result, "%s%s%s[%s]\n%s = %s\n", text, newline, *text ? "\n" : "",
                             section, key, value);
        }
        return n < 0 ? NULL : result;
}

static int read_text(const char *path, char **ret)
{
        FILE *f = fopen(path, "re");
        char *text = calloc(1, FILE_MAX + 1);
        size_t n;
        int r = 0;

        if (!text) {
                r = -ENOMEM;
        } else if (f) {
                n = fread(text, 1, FILE_MAX + 1, f);
                if (ferror(f))
                        r = -EIO;
                else if (n > FILE_MAX)
                        r = -EFBIG;
        } else if (errno != ENOENT) {
                r = -errno;
        }
        if (f)
                fclose(f);
        if (r < 0) {
                free(text);
                return r;
        }
        *ret = text;
        return 0;
}

/* The daemon, which is another user, must be able to read the new file as it could the old one,
 * whatever the umask of who edits it. */
static int keep_access(int fd, const char *path)
{
        struct stat before, now;

        if (fstat(fd, &now) < 0)
                return -errno;
        if (stat(path, &before) < 0) {
                if (errno != ENOENT)
                        return -errno;
                before = now;
                before.st_mode = MODE_NEW_FILE;
        }
        if ((before.st_uid != now.st_uid || before.st_gid != now.st_gid) &&
            fchown(fd, before.st_uid, before.st_gid) < 0)
                return -errno;
        return fchmod(fd, before.st_mode & MODE_BITS) < 0 ? -errno : 0;
}

int config_edit(const char *path, const char *section, const char *key, const char *value,
                char *why, size_t why_size)
{
        struct output_file file = OUTPUT_FILE_NONE;
        char *text = NULL, *edited = NULL, *target = realpath(path, NULL); /* links stay links */
        int r = read_text(path, &text);

        if (r < 0) {
                snprintf(why, why_size, "cannot read %s: %s", path, strerror(-r));
                free(target);
                return r;
        }
        edited = config_edit_text(text, section, key, value);
        r = edited ? output_file_open(&file, target ? target : path, false) : -ENOMEM;
        if (r == 0)
                r = keep_access(fileno(file.stream), path);
        if (r == 0) {
                fputs(edited, file.stream);
                r = output_file_commit(&file);
        }
        if (r < 0)
                snprintf(why, why_size, "cannot write %s: %s", path, strerror(-r));
        output_file_deinit(&file);
        free(edited);
        free(target);
        free(text);
        return r;
}
