/* SPDX-License-Identifier: MIT */
#include "memory_read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX 4096 /* smaps_rollup has some 25 lines */

int memory_parse_statm(const char *text, uint64_t *pages)
{
        unsigned long long resident, shared;

        if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
                return -EBADMSG;
        /* The two are not read at one instant. */
        *pages = resident > shared ? resident - shared : 0;
        return 0;
}

int memory_parse_private(const char *text, uint64_t *bytes)
{
        bool found = false;

        *bytes = 0;
        for (const char *line = text; line; line = strchr(line, '\n')) {
                unsigned long long kib;

                line += *line == '\n';
                if (sscanf(line, "Private_%*[A-Za-z]: %llu kB", &kib) == 1) {
                        *bytes += kib * 1024;
                        found = true;
                }
        }
        return found ? 0 : -EBADMSG;
}

void memory_parse_numa_line(const char *line, uint64_t *pages, unsigned int nnodes)
{
        if (!strstr(line, " anon="))
                return;
        for (const char *at = strstr(line, " N"); at; at = strstr(at + 1, " N")) {
                unsigned long long n;
                unsigned int node;

                if (sscanf(at, " N%u=%llu", &node, &n) == 2 && node < nnodes)
                        pages[node] += n;
        }
}

static int read_file(const char *proc_root, pid_t pid, const char *name, char *text, size_t size)
{
        char path[PATH_MAX];
        ssize_t n;
        int fd, r;

        snprintf(path, sizeof(path), "%s/%d/%s", proc_root, pid, name);
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

int memory_read_anonymous(const char *proc_root, pid_t pid, uint64_t page_bytes, uint64_t *bytes)
{
        char text[128] = "";
        uint64_t pages = 0;
        int r = read_file(proc_root, pid, "statm", text, sizeof(text));

        if (r == 0)
                r = memory_parse_statm(text, &pages);
        *bytes = pages * page_bytes;
        return r;
}

int memory_read_private(const char *proc_root, pid_t pid, uint64_t *bytes)
{
        char text[FILE_MAX] = "";
        int r = read_file(proc_root, pid, "smaps_rollup", text, sizeof(text));

        return r < 0 ? r : memory_parse_private(text, bytes);
}

int memory_read_nodes(const char *proc_root, pid_t pid, uint64_t *pages, unsigned int nnodes)
{
        char path[PATH_MAX], *line = NULL;
        size_t size = 0;
        int r = 0;
        FILE *f;

        snprintf(path, sizeof(path), "%s/%d/numa_maps", proc_root, pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (getline(&line, &size, f) > 0)
                memory_parse_numa_line(line, pages, nnodes);
        if (ferror(f))
                r = -EIO;
        free(line);
        fclose(f);
        return r;
}
