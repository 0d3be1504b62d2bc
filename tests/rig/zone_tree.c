/* SPDX-License-Identifier: MIT */
#include "zone_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTROL      "control"
#define DEVICES      ".devices" /* where the zones are when ROOT has links to them */
#define AWAY         ".away"    /* where files wait that a fault has taken away */
#define ENERGY_FILE  "energy_uj"
#define GARBAGE_TEXT "not-a-number--------\n" /* as wide as a value */
#define PATH_SIZE    512

static inline void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}
#define _cleanup_close_ __attribute__((cleanup(close_fd)))

static inline void close_dir(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}
#define _cleanup_dir_ __attribute__((cleanup(close_dir)))

static int directory_is_empty(int fd)
{
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_dir_ DIR *dir = NULL;
        struct dirent *entry;

        if (copy < 0)
                return -errno;
        dir = fdopendir(copy); /* from here on closedir() closes it */
        if (!dir) {
                int error = -errno;

                close(copy);
                return error;
        }
        while ((entry = readdir(dir))) {
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        return 0;
        }
        return 1;
}

/* Make a directory or file only where there is none. */
static int make_directory(const struct zone_tree *t, const char *path)
{
        return mkdirat(t->root_fd, path, 0755) < 0 ? -errno : 0;
}

static int make_file(const struct zone_tree *t, const char *path, mode_t mode, const char *text)
{
        _cleanup_close_ int fd = openat(t->root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                        mode);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, strlen(text));
        if (n < 0)
                return -errno;
        return (size_t)n == strlen(text) ? 0 : -EIO;
}

int zone_tree_open(struct zone_tree *t, const char *root, bool symlinks)
{
        int r;

        *t = (struct zone_tree){.root_fd = -1, .control_fd = -1, .symlinks = symlinks};
        if (mkdir(root, 0755) < 0 && errno != EEXIST)
                return -errno;
        t->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (t->root_fd < 0)
                return -errno;
        r = directory_is_empty(t->root_fd);
        if (r <= 0)
                return r < 0 ? r : -ENOTEMPTY;
        r = make_directory(t, AWAY);
        if (r == 0 && symlinks)
                r = make_directory(t, DEVICES);
        if (r < 0)
                return r;
        if (mkfifoat(t->root_fd, CONTROL, 0600) < 0)
                return -errno;
        /* Open for writing too: there is then no end of file when a writer goes. */
        t->control_fd = openat(t->root_fd, CONTROL, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        return t->control_fd < 0 ? -errno : 0;
}

void zone_tree_close(struct zone_tree *t)
{
        for (size_t i = 0; i < t->nzones; i++)
                close_fd(&t->zones[i].fd);
        t->nzones = 0;
        close_fd(&t->control_fd);
        close_fd(&t->root_fd);
        t->control_fd = t->root_fd = -1;
}

/*
 * The directory of a zone or type below ROOT.  "intel-rapl:0:1" is nested in "intel-rapl:0", that
 * in "intel-rapl", as the kernel's devices are; without links all are in ROOT.
 */
static int directory_of(const struct zone_tree *t, const char *id, char *path, size_t size)
{
        size_t used = 0;

        if (!t->symlinks) {
                used = (size_t)snprintf(path, size, "%s", id);
                return used < size ? 0 : -ENAMETOOLONG;
        }
        used = (size_t)snprintf(path, size, DEVICES);
        for (const char *end = id; end;) {
                end = strchr(end, ':');
                used += (size_t)snprintf(path + used, size - used, "/%.*s",
                                         end ? (int)(end - id) : (int)strlen(id), id);
                if (used >= size)
                        return -ENAMETOOLONG;
                if (end)
                        end++;
        }
        return 0;
}

static int make_node(const struct zone_tree *t, const char *id, char *dir, size_t size)
{
        char file[PATH_SIZE];
        int r;

        r = directory_of(t, id, dir, size);
        if (r == 0)
                r = make_directory(t, dir);
        if (r < 0)
                return r;
        if (t->symlinks && symlinkat(dir, t->root_fd, id) < 0)
                return -errno;
        if (snprintf(file, sizeof(file), "%s/enabled", dir) >= (int)sizeof(file))
                return -ENAMETOOLONG;
        return make_file(t, file, 0644, "1\n");
}

int zone_tree_add_type(struct zone_tree *t, const char *type)
{
        char dir[PATH_SIZE / 2];

        return make_node(t, type, dir, sizeof(dir));
}

int zone_tree_add(struct zone_tree *t, const char *id, const char *name, uint64_t range_uj,
                  uint64_t total_uj)
{
        struct zone *zone = &t->zones[t->nzones];
        char dir[PATH_SIZE / 2], file[PATH_SIZE], text[64];
        int r;

        if (t->nzones >= ZONE_TREE_MAX)
                return -E2BIG;
        *zone = (struct zone){.fd = -1, .range_uj = range_uj};
        if (snprintf(zone->id, sizeof(zone->id), "%s", id) >= (int)sizeof(zone->id))
                return -ENAMETOOLONG;
        r = make_node(t, id, dir, sizeof(dir));
        if (r < 0)
                return r;
        snprintf(file, sizeof(file), "%s/name", dir);
        snprintf(text, sizeof(text), "%s\n", name);
        r = make_file(t, file, 0444, text);
        if (r < 0)
                return r;
        snprintf(file, sizeof(file), "%s/max_energy_range_uj", dir);
        snprintf(text, sizeof(text), "%llu\n", (unsigned long long)range_uj);
        r = make_file(t, file, 0444, text);
        if (r < 0)
                return r;
        /* For root alone, as the kernel has it since CVE-2020-8694. */
        snprintf(file, sizeof(file), "%s/" ENERGY_FILE, dir);
        zone->fd = openat(t->root_fd, file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
        if (zone->fd < 0)
                return -errno;
        t->nzones++;
        r = zone_tree_write(t, t->nzones - 1, total_uj);
        return r < 0 ? r : (int)t->nzones - 1;
}

/* One pwrite() of the whole text; anything less would be seen as a wrong value. */
static int write_text(const struct zone *zone, const char *text, size_t length)
{
        ssize_t n = pwrite(zone->fd, text, length, 0);

        if (n < 0)
                return -errno;
        return (size_t)n == length ? 0 : -EIO;
}

static int write_value(const struct zone *zone)
{
        uint64_t value = zone->total_uj - zone->offset_uj;
        char text[ENERGY_WIDTH + 1];

        /* The highest value is range_uj itself; the next one is 0. */
        if (zone->range_uj < UINT64_MAX)
                value %= zone->range_uj + 1;
        for (size_t i = ENERGY_WIDTH; i-- > 0; value /= 10)
                text[i] = (char)('0' + value % 10);
        text[ENERGY_WIDTH] = '\n';
        return write_text(zone, text, sizeof(text));
}

int zone_tree_write(struct zone_tree *t, size_t index, uint64_t total_uj)
{
        struct zone *zone = &t->zones[index];

        zone->total_uj = total_uj;
        return zone->state == ZONE_WELL ? write_value(zone) : 0;
}

static void energy_path(const struct zone *zone, char *path, char *away)
{
        snprintf(path, PATH_SIZE, "%s/" ENERGY_FILE, zone->id);
        snprintf(away, PATH_SIZE, AWAY "/%s." ENERGY_FILE, zone->id);
}

/* Undo what a fault did to the files.  The open descriptor has been valid throughout. */
static int heal(struct zone_tree *t, struct zone *zone)
{
        char path[PATH_SIZE], away[PATH_SIZE];
        int r;

        if (zone->state == ZONE_EIO) {
                energy_path(zone, path, away);
                if (unlinkat(t->root_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
                        return -errno;
                if (renameat(t->root_fd, away, t->root_fd, path) < 0)
                        return -errno;
        } else if (zone->state == ZONE_VANISHED) {
                snprintf(away, sizeof(away), AWAY "/%s", zone->id);
                if (renameat(t->root_fd, away, t->root_fd, zone->id) < 0)
                        return -errno;
        }
        r = write_value(zone);
        if (r == 0)
                zone->state = ZONE_WELL;
        return r;
}

static int make_eio(struct zone_tree *t, struct zone *zone)
{
        char path[PATH_SIZE], away[PATH_SIZE];

        energy_path(zone, path, away);
        if (renameat(t->root_fd, path, t->root_fd, away) < 0)
                return -errno;
        zone->state = ZONE_EIO;
        if (mkdirat(t->root_fd, path, 0755) < 0 || ftruncate(zone->fd, 0) < 0)
                return -errno;
        return 0;
}

static int make_garbage(struct zone_tree *t, struct zone *zone)
{
        (void)t;
        _Static_assert(sizeof(GARBAGE_TEXT) - 1 == ENERGY_WIDTH + 1, "must replace a whole value");
        zone->state = ZONE_GARBAGE;
        return write_text(zone, GARBAGE_TEXT, strlen(GARBAGE_TEXT));
}

static int make_vanish(struct zone_tree *t, struct zone *zone)
{
        char away[PATH_SIZE];

        snprintf(away, sizeof(away), AWAY "/%s", zone->id);
        if (renameat(t->root_fd, zone->id, t->root_fd, away) < 0)
                return -errno;
        zone->state = ZONE_VANISHED;
        return ftruncate(zone->fd, 0) < 0 ? -errno : 0;
}

static int make_stuck(struct zone_tree *t, struct zone *zone)
{
        (void)t;
        zone->state = ZONE_STUCK;
        return 0;
}

static int reset_counter(struct zone_tree *t, struct zone *zone)
{
        (void)t;
        zone->offset_uj = zone->total_uj;
        return write_value(zone);
}

static const struct {
        const char *verb;
        int (*apply)(struct zone_tree *t, struct zone *zone);
} commands[] = {
        {"stuck", make_stuck},   {"eio", make_eio},        {"garbage", make_garbage},
        {"vanish", make_vanish}, {"reset", reset_counter}, {"heal", heal},
};

static int run_command(struct zone_tree *t, const char *verb, const char *id)
{
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
                if (strcmp(verb, commands[i].verb) != 0)
                        continue;
                for (size_t z = 0; z < t->nzones; z++) {
                        struct zone *zone = &t->zones[z];
                        int r = 0;

                        if (strcmp(id, zone->id) != 0)
                                continue;
                        /* One fault at a time: from one to the next by way of health. */
                        if (zone->state != ZONE_WELL && commands[i].apply != heal)
                                r = heal(t, zone);
                        return r < 0 ? r : commands[i].apply(t, zone);
                }
                return -ENODEV;
        }
        return -EINVAL;
}

static void run_line(struct zone_tree *t, char *line)
{
        char verb[16] = "", id[ZONE_ID_MAX] = "", rest[2] = "";
        int r = -EINVAL;

        if (sscanf(line, "%15s %47s %1s", verb, id, rest) == 2)
                r = run_command(t, verb, id);
        if (r < 0) {
                t->rejected++;
                fprintf(stderr, "energysim: cannot do '%s': %s\n", line, strerror(-r));
        } else {
                t->commands++;
                fprintf(stderr, "energysim: done '%s'\n", line);
        }
}

void zone_tree_poll(struct zone_tree *t)
{
        for (;;) {
                char *newline;
                ssize_t n = read(t->control_fd, t->line + t->line_used,
                                 sizeof(t->line) - 1 - t->line_used);

                if (n <= 0)
                        return;
                t->line_used += (size_t)n;
                t->line[t->line_used] = '\0';
                while ((newline = strchr(t->line, '\n'))) {
                        size_t length = (size_t)(newline - t->line) + 1;

                        *newline = '\0';
                        run_line(t, t->line);
                        t->line_used -= length;
                        memmove(t->line, t->line + length, t->line_used + 1);
                }
                if (t->line_used == sizeof(t->line) - 1) {
                        /* No command is that long: drop it and say so. */
                        t->line_used = 0;
                        t->rejected++;
                        fprintf(stderr, "energysim: line too long on " CONTROL "\n");
                }
        }
}
