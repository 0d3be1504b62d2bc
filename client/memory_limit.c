/* SPDX-License-Identifier: MIT */
#include "memory_limit.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* of a line of /proc/self/mountinfo that is looked at: those of control groups are short */
#define LINE_BYTES (2 * PATH_MAX)

/* What the two versions of control groups call it. */
struct version {
        const char *limits[2], *usage, *cache; /* the last is a line of memory.stat */
};

static const struct version first = {
        {"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file"};
static const struct version second = {
        {"memory.max", "memory.high"}, "memory.current", "inactive_file"};

/* A file with a number.  NAN: it says "max", or is not there. */
static double read_number(const char *directory, const char *name)
{
        char path[PATH_MAX];
        double value = NAN;
        FILE *f;

        if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
                return NAN;
        f = fopen(path, "re");
        if (!f)
                return NAN;
        if (fscanf(f, "%lf", &value) != 1)
                value = NAN;
        fclose(f);
        return value;
}

/* Page cache that is not in use; 0 where the group does not tell. */
static double read_cache(const char *directory, const char *name)
{
        char path[PATH_MAX], key[64];
        double value, cache = 0;
        FILE *f;

        if (snprintf(path, sizeof(path), "%s/memory.stat", directory) >= (int)sizeof(path))
                return 0;
        f = fopen(path, "re");
        if (!f)
                return 0;
        while (fscanf(f, "%63s %lf", key, &value) == 2)
                if (strcmp(key, name) == 0)
                        cache = value;
        fclose(f);
        return cache;
}

/* The least that a group and those above it leave, up to where they are mounted, the first `top`
 * bytes of the path. */
static double room_in(char *directory, size_t top, const struct version *version)
{
        double room = INFINITY;

        for (;;) {
                double used = read_number(directory, version->usage);
                char *last;

                for (size_t i = 0; i < 2 && version->limits[i]; i++) {
                        double limit = read_number(directory, version->limits[i]);

                        if (!isnan(limit) && !isnan(used))
                                room = fmin(room,
                                            limit - used + read_cache(directory, version->cache));
                }
                last = strrchr(directory, '/');
                if (!last || (size_t)(last - directory) < top)
                        return room;
                *last = '\0';
        }
}

/* `word` is one of those that commas divide. */
static bool has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = words; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
                if (strncmp(p, word, n) == 0 && (p[n] == ',' || !p[n]))
                        return true;
        return false;
}

/* This process's group: a line "0::/path", or "4:memory:/path" for the first version. */
static bool find_group(const char *root, bool is_second, char path[PATH_MAX])
{
        char file[PATH_MAX], line[PATH_MAX + 128];
        bool found = false;
        FILE *f;

        snprintf(file, sizeof(file), "%s/proc/self/cgroup", root);
        f = fopen(file, "re");
        while (f && !found && fgets(line, sizeof(line), f)) {
                char *controllers = strchr(line, ':');
                char *group = controllers ? strchr(controllers + 1, ':') : NULL;

                if (!group)
                        continue;
                *controllers++ = *group++ = '\0';
                group[strcspn(group, "\n")] = '\0';
                if (is_second ? *controllers : !has_word(controllers, "memory"))
                        continue;
                found = snprintf(path, PATH_MAX, "%s", group) < PATH_MAX;
        }
        if (f)
                fclose(f);
        return found;
}

/* What is limited below a mount point.  A part of the tree may be mounted there, as in containers:
 * `part` is its path, and the group's begins with it. */
static double room_below(const char *root, const char *part, const char *point,
                         const struct version *version)
{
        char group[PATH_MAX], directory[PATH_MAX];
        size_t n = strcmp(part, "/") == 0 ? 0 : strlen(part), top = strlen(root) + strlen(point);
        const char *rest = group + n;

        if (!find_group(root, version == &second, group) || strncmp(group, part, n) != 0 ||
            (*rest && *rest != '/') || strncmp(rest, "/..", 3) == 0)
                return INFINITY; /* it is elsewhere */
        if (strcmp(rest, "/") == 0)
                rest = "";
        if (snprintf(directory, sizeof(directory), "%s%s%s", root, point, rest) >=
            (int)sizeof(directory))
                return INFINITY; /* longer than a path can be */
        return room_in(directory, top, version);
}

double memory_limit_room(const char *root)
{
        char file[PATH_MAX], line[LINE_BYTES], part[PATH_MAX], point[PATH_MAX], type[16];
        double room = INFINITY;
        FILE *f;

        snprintf(file, sizeof(file), "%s/proc/self/mountinfo", root);
        f = fopen(file, "re");
        while (f && fgets(line, sizeof(line), f)) {
                /* 35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory */
                const char *rest = strstr(line, " - ");
                char options[256];

                line[strcspn(line, "\n")] = '\0';
                if (!rest || sscanf(rest, " - %15s %*s %255s", type, options) != 2 ||
                    sscanf(line, "%*s %*s %*s %4095s %4095s", part, point) != 2)
                        continue;
                if (strcmp(type, "cgroup2") == 0)
                        room = fmin(room, room_below(root, part, point, &second));
                else if (strcmp(type, "cgroup") == 0 && has_word(options, "memory"))
                        room = fmin(room, room_below(root, part, point, &first));
        }
        if (f)
                fclose(f);
        return room;
}
