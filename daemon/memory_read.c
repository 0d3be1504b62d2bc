/* SPDX-License-Identifier: MIT */
#include "memory_read.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX  4096 /* smaps_rollup has some 25 lines */
#define STATM_MAX 256  /* seven numbers */

int memory_parse_statm(const char *text, uint64_t *pages)
{
        unsigned long long resident, shared;

        if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
                return -EBADMSG;
        /* The two are not read at one instant. */
        *pages = resident > shared ? resident - shared : 0;
        return 0;
}

int memory_parse_private(const char *text, struct memory_private *ret)
{
        bool found = false;

        *ret = (struct memory_private){0};
        for (const char *line = text; line; line = strchr(line, '\n')) {
                unsigned long long kib;
                char of[16];

                line += *line == '\n';
                if (sscanf(line, "Private_%15[A-Za-z]: %llu kB", of, &kib) != 2)
                        continue;
                *(strcmp(of, "Hugetlb") == 0 ? &ret->huge_bytes : &ret->small_bytes) += kib * 1024;
                found = true;
        }
        return found ? 0 : -EBADMSG;
}

static int read_path(const char *path, char *text, size_t size)
{
        ssize_t n;
        int fd, r;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, size - 1);
        r = n < 0 ? -errno : n == 0 ? -ESRCH : 0; /* empty: a kernel thread, or just gone */
        close(fd);
        if (r == 0)
                text[n] = '\0';
        return r;
}

/* A thread without memory has ended: its total size, the first field of statm, is 0. */
static bool has_memory(const char *statm)
{
        return strtoull(statm, NULL, 10) > 0;
}

/*
 * Path of a file of a process, as one of its living threads shows it.  The files of the process
 * itself are those of its first thread, and are empty when that has ended before the others.
 */
static int living_path(const char *proc_root, pid_t pid, const char *name, char *path, size_t size)
{
        char text[STATM_MAX];
        struct dirent *entry;
        int r = -ESRCH;
        DIR *dir;

        snprintf(path, size, "%s/%d/task", proc_root, pid);
        dir = opendir(path);
        if (!dir)
                return -errno;
        while (r < 0 && (entry = readdir(dir))) {
                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                snprintf(path, size, "%s/%d/task/%.20s/statm", proc_root, pid, entry->d_name);
                if (read_path(path, text, sizeof(text)) < 0 || !has_memory(text))
                        continue;
                snprintf(path, size, "%s/%d/task/%.20s/%s", proc_root, pid, entry->d_name, name);
                r = 0;
        }
        closedir(dir);
        return r;
}

int memory_read_anonymous(const char *proc_root, pid_t pid, uint64_t page_bytes, uint64_t *bytes)
{
        char path[PATH_MAX], text[STATM_MAX] = "";
        uint64_t pages = 0;
        int r;

        snprintf(path, sizeof(path), "%s/%d/statm", proc_root, pid);
        r = read_path(path, text, sizeof(text));
        if (r == 0)
                r = memory_parse_statm(text, &pages);
        if (r == 0 && !has_memory(text)) {
                r = living_path(proc_root, pid, "statm", path, sizeof(path));
                if (r == 0)
                        r = read_path(path, text, sizeof(text));
                if (r == 0)
                        r = memory_parse_statm(text, &pages);
        }
        *bytes = pages * page_bytes;
        return r;
}

int memory_read_private(const char *proc_root, pid_t pid, struct memory_private *ret)
{
        char path[PATH_MAX], text[FILE_MAX] = "";
        int r;

        snprintf(path, sizeof(path), "%s/%d/smaps_rollup", proc_root, pid);
        r = read_path(path, text, sizeof(text));
        if (r == -ESRCH && living_path(proc_root, pid, "smaps_rollup", path, sizeof(path)) == 0)
                r = read_path(path, text, sizeof(text));
        return r < 0 ? r : memory_parse_private(text, ret);
}

/* Number of lines, or a negative errno. */
static int read_numa_maps(const char *path, struct memory_spread *spread)
{
        FILE *f = fopen(path, "re");
        char *line = NULL;
        size_t size = 0;
        int n = 0;

        if (!f)
                return -errno;
        while (getline(&line, &size, f) > 0) {
                memory_spread_line(spread, line);
                n++;
        }
        if (ferror(f))
                n = -EIO;
        free(line);
        fclose(f);
        return n;
}

int memory_read_spread(const char *proc_root, pid_t pid, struct memory_spread *spread)
{
        char path[PATH_MAX];
        int n;

        snprintf(path, sizeof(path), "%s/%d/numa_maps", proc_root, pid);
        n = read_numa_maps(path, spread);
        if ((n == 0 || n == -ESRCH) &&
            living_path(proc_root, pid, "numa_maps", path, sizeof(path)) == 0)
                n = read_numa_maps(path, spread);
        return n < 0 ? n : 0;
}
