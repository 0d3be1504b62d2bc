/* SPDX-License-Identifier: MIT */
#include "powercap_zones.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

#define MAX_ZONES 512 /* far above any machine; bounds what a wrong root can make us do */
#define MAX_DEPTH 8   /* zones in zones; RAPL has two levels */

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static void close_dir(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

#define cleanup_fd  __attribute__((cleanup(close_fd)))
#define cleanup_dir __attribute__((cleanup(close_dir)))

static int read_name(const char *zone, char *name, size_t size)
{
        cleanup_free char *path = NULL;
        cleanup_fd int fd = -1;
        char text[DOMAIN_NAME_MAX];
        size_t first = 0, last;
        ssize_t n;

        if (asprintf(&path, "%s/name", zone) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        /* O_NONBLOCK: a pipe in place of the file must not stop the daemon */
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text));
        if (n < 0)
                return -errno;
        last = (size_t)n;
        while (last > 0 && isspace((unsigned char)text[last - 1]))
                last--;
        while (first < last && isspace((unsigned char)text[first]))
                first++;
        if (first == last || last - first >= size)
                return -EBADMSG;
        for (size_t i = first; i < last; i++)
                name[i - first] = isprint((unsigned char)text[i]) ? text[i] : '?';
        name[last - first] = '\0';
        return 0;
}

/* "package-1" and "package-1-die-0", and nothing before or behind. */
static bool parse_package(const char *name, int *package, int *die)
{
        int end = 0;

        *die = -1;
        if (strncmp(name, "package-", 8) != 0 || !isdigit((unsigned char)name[8]))
                return false;
        if (sscanf(name, "package-%6d%n", package, &end) == 1 && name[end] == '\0')
                return true;
        if (strncmp(name + end, "-die-", 5) != 0 || !isdigit((unsigned char)name[end + 5]))
                return false;
        return sscanf(name, "package-%6d-die-%6d%n", package, die, &end) == 2 && name[end] == '\0';
}

static enum domain_kind kind_of(const char *name)
{
        if (strcmp(name, "dram") == 0)
                return DOMAIN_DRAM;
        if (strcmp(name, "core") == 0)
                return DOMAIN_CORE;
        if (strcmp(name, "uncore") == 0)
                return DOMAIN_UNCORE;
        /* "psys-1" on machines that have one for each package */
        if (strcmp(name, "psys") == 0 || strncmp(name, "psys-", 5) == 0)
                return DOMAIN_PSYS;
        return DOMAIN_OTHER;
}

/* TYPE:N, TYPE:N:N, ... */
static bool is_zone_id(const char *name)
{
        const char *numbers = strchr(name, ':');

        return numbers && numbers != name && isdigit((unsigned char)numbers[1]) &&
               numbers[strspn(numbers, ":0123456789")] == '\0' && strlen(name) < DOMAIN_NAME_MAX;
}

static const struct zone *find_zone(const struct zones *zones, const char *id)
{
        for (size_t i = 0; i < zones->n; i++)
                if (strcmp(zones->all[i].id, id) == 0)
                        return &zones->all[i];
        return NULL;
}

/* Take in the zone at `path`, unless it is known. */
static int add_zone(struct zones *zones, const char *path, const char *id, const char *parent)
{
        struct zone *grown, *z;

        if (find_zone(zones, id))
                return 0;
        if (zones->n == MAX_ZONES)
                return -E2BIG;
        grown = reallocarray(zones->all, zones->n + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        zones->all = grown;
        z = &grown[zones->n];
        *z = (struct zone){.package = -1, .die = -1};
        /* without a name nobody can tell what it measures */
        if (read_name(path, z->name, sizeof(z->name)) < 0)
                return 0;
        z->path = strdup(path);
        if (!z->path)
                return -ENOMEM;
        snprintf(z->id, sizeof(z->id), "%.*s", DOMAIN_NAME_MAX - 1, id);
        /* side by side, a zone's id is its parent's with one number more */
        snprintf(z->parent, sizeof(z->parent), "%.*s", DOMAIN_NAME_MAX - 1, parent ? parent : id);
        if (!parent)
                *strrchr(z->parent, ':') = '\0';
        if (parse_package(z->name, &z->package, &z->die))
                z->kind = DOMAIN_PACKAGE;
        else
                z->kind = kind_of(z->name);
        zones->n++;
        return 0;
}

static int join(char **ret, const char *directory, const char *entry)
{
        if (asprintf(ret, "%s/%s", directory, entry) >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

/* Take in the zones that stand in a directory, parts of `parent` or of none. */
static int add_zones_in(struct zones *zones, DIR *dir, const char *path, const char *parent)
{
        struct dirent *entry;

        while ((entry = readdir(dir))) {
                cleanup_free char *zone = NULL;
                int r;

                if (!is_zone_id(entry->d_name))
                        continue;
                r = join(&zone, path, entry->d_name);
                if (r == 0)
                        r = add_zone(zones, zone, entry->d_name, parent);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A file, or a directory that is closed to us: nothing is known of what is in it. */
static int forgive(int r)
{
        return r == -ENOMEM || r == -E2BIG ? r : 0;
}

static int scan(struct zones *zones, const char *path, const char *parent, unsigned int depth)
{
        cleanup_dir DIR *dir = opendir(path);
        size_t first = zones->n, end;
        struct dirent *entry;
        int r;

        if (!dir)
                return -errno;
        r = add_zones_in(zones, dir, path, parent);
        end = zones->n;
        /* after that, so that a zone that is seen in two places is read in the shallower one */
        for (size_t i = first; r == 0 && i < end && depth < MAX_DEPTH; i++) {
                char id[DOMAIN_NAME_MAX];

                snprintf(id, sizeof(id), "%s", zones->all[i].id);
                r = forgive(scan(zones, zones->all[i].path, id, depth + 1));
        }
        /* apart from zones, only the control types of the root have zones in them; in particular
         * the links `device` and `subsystem` of a zone lead back up */
        rewinddir(dir);
        while (r == 0 && depth == 0 && (entry = readdir(dir))) {
                cleanup_free char *type = NULL;

                if (entry->d_name[0] == '.' || is_zone_id(entry->d_name))
                        continue;
                r = join(&type, path, entry->d_name);
                if (r == 0)
                        r = forgive(scan(zones, type, NULL, depth + 1));
        }
        return r;
}

const struct zone *zones_package_of(const struct zones *zones, const struct zone *z)
{
        for (unsigned int depth = 0; z && depth <= MAX_DEPTH; depth++) {
                if (z->kind == DOMAIN_PACKAGE)
                        return z;
                z = find_zone(zones, z->parent);
        }
        return NULL;
}

int zones_find(struct zones *zones, const char *root)
{
        *zones = (struct zones){0};
        return scan(zones, root, NULL, 0);
}

void zones_deinit(struct zones *zones)
{
        for (size_t i = 0; i < zones->n; i++)
                free(zones->all[i].path);
        free(zones->all);
        *zones = (struct zones){0};
}
