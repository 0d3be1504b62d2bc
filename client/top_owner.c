/* SPDX-License-Identifier: MIT */
#include "top_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process_user.h"

#define CGROUP_FILE_MAX 4096
#define MAX_NAMES       65536 /* users and units; then all others are "(others)" */
#define MAX_USERS       64    /* remembered by number; others are asked for again */
/* One process in so many is looked up again at each call. */
#define AGAIN_ONE_IN 16
/* As `docker ps` shows them. */
#define CONTAINER_DIGITS 12
#define CONTAINER_ID_MIN 32

struct top_owners {
        char proc[PATH_MAX / 2];
        void *names; /* a tree of tsearch(3) */
        size_t nnames;
        struct {
                uid_t uid;
                const char *name;
        } users[MAX_USERS];
        unsigned int nusers;
        unsigned int round;
};

int top_owners_new(struct top_owners **ret, const char *proc)
{
        struct top_owners *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        snprintf(o->proc, sizeof(o->proc), "%s", proc ? proc : "");
        *ret = o;
        return 0;
}

void top_owners_free(struct top_owners *o)
{
        if (!o)
                return;
        tdestroy(o->names, free);
        free(o);
}

static int compare(const void *a, const void *b)
{
        return strcmp(a, b);
}

/* The one copy of a name, NULL without memory. */
static const char *keep(struct top_owners *o, const char *name)
{
        char *const *found = tfind(name, &o->names, compare);
        char *copy;

        if (found)
                return *found;
        if (o->nnames == MAX_NAMES)
                return "(others)";
        copy = strdup(name);
        if (!copy || !tsearch(copy, &o->names, compare)) {
                free(copy);
                return NULL;
        }
        o->nnames++;
        return copy;
}

/* The user database can be a network away: each user is asked for once. */
static const char *user_name(struct top_owners *o, uid_t uid)
{
        const struct passwd *entry;
        const char *name;
        char number[16];

        for (unsigned int i = 0; i < o->nusers; i++)
                if (o->users[i].uid == uid)
                        return o->users[i].name;
        entry = getpwuid(uid);
        snprintf(number, sizeof(number), "%u", uid);
        name = keep(o, entry ? entry->pw_name : number);
        if (name && o->nusers < MAX_USERS) {
                o->users[o->nusers].uid = uid;
                o->users[o->nusers++].name = name;
        }
        return name;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
        size_t n = strlen(end);

        return length > n && strncmp(text + length - n, end, n) == 0;
}

/* The path in a line "0::/system.slice/x.service"; of version 1 the one that systemd names. */
static const char *find_path(const char *text, size_t *length)
{
        const char *best = NULL;

        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
                const char *controllers = strchr(line, ':');
                const char *path = controllers ? strchr(controllers + 1, ':') : NULL;
                bool unified = strncmp(line, "0::", 3) == 0;

                if (!path || memchr(line, '\n', (size_t)(path - line)))
                        continue;
                path++;
                *length = strcspn(path, "\n");
                if (*length <= 1)
                        continue; /* the root, which says nothing */
                if (unified || strncmp(controllers, ":name=systemd:", 14) == 0)
                        return path;
                if (!best)
                        best = path;
        }
        if (best)
                *length = strcspn(best, "\n");
        return best;
}

void top_unit_of(const char *cgroup_file, char *unit, size_t size)
{
        size_t length = 0, best_length = 0;
        const char *path = find_path(cgroup_file, &length), *best = NULL;

        if (!path) {
                snprintf(unit, size, "-");
                return;
        }
        for (size_t i = 0; i < length;) {
                size_t n = strcspn(path + i, "/\n");

                if (n > length - i)
                        n = length - i;
                if (n > 0 && (!best || ends_with(path + i, n, ".service") ||
                              ends_with(path + i, n, ".scope") ||
                              !(ends_with(best, best_length, ".service") ||
                                ends_with(best, best_length, ".scope")))) {
                        best = path + i;
                        best_length = n;
                }
                i += n + 1;
        }
        if (!best) {
                snprintf(unit, size, "-");
                return;
        }
        if (best_length >= CONTAINER_ID_MIN && strspn(best, "0123456789abcdef") >= CONTAINER_ID_MIN)
                best_length = CONTAINER_DIGITS;
        snprintf(unit, size, "%.*s", (int)best_length, best);
}

/* A process that has gone meanwhile is left without. */
static int look_up_user(struct top_owners *o, struct top_process *p)
{
        uid_t uid;

        if (!o->proc[0] || process_user(o->proc, p->pid, &uid) < 0)
                return 0;
        p->user = user_name(o, uid);
        return p->user ? 0 : -ENOMEM;
}

static int look_up_unit(struct top_owners *o, struct top_process *p)
{
        char path[PATH_MAX], text[CGROUP_FILE_MAX], unit[TOP_NAME_MAX];
        ssize_t n;
        int fd;

        if (p->kernel) {
                p->unit = "(kernel)";
                return 0;
        }
        if (!o->proc[0])
                return 0;
        snprintf(path, sizeof(path), "%s/%lld/cgroup", o->proc, p->pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n < 0)
                return 0;
        text[n] = '\0';
        top_unit_of(text, unit, sizeof(unit));
        p->unit = keep(o, unit);
        return p->unit ? 0 : -ENOMEM;
}

int top_owners_look_up(struct top_owners *o, struct top_snapshot *s)
{
        for (size_t i = 0; i < s->ntargets; i++) {
                s->targets[i].user = user_name(o, s->targets[i].uid);
                if (!s->targets[i].user)
                        return -ENOMEM;
        }
        for (size_t i = 0; i < s->nprocesses; i++) {
                struct top_process *p = &s->processes[i];

                if (!p->user && look_up_user(o, p) < 0)
                        return -ENOMEM;
                if (!p->unit && look_up_unit(o, p) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int top_owners_refresh(struct top_owners *o, struct top_snapshot *s)
{
        o->round++;
        for (size_t i = 0; i < s->nprocesses; i++) {
                struct top_process *p = &s->processes[i];

                if ((unsigned int)p->pid % AGAIN_ONE_IN != o->round % AGAIN_ONE_IN)
                        continue;
                if (look_up_user(o, p) < 0 || look_up_unit(o, p) < 0)
                        return -ENOMEM;
        }
        return 0;
}
