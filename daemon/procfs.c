/* SPDX-License-Identifier: MIT */
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATUS_MAX     65536 /* a process may be in 65536 groups, but hardly any is in thousands */
#define NAMESPACES_MAX 32    /* MAX_PID_NS_LEVEL, include/linux/pid_namespace.h */

/* Read a small file whole, with a NUL behind.  Bytes read, or a negative errno and "". */
static ssize_t read_small(const char *path, char *buffer, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;
        int r;

        buffer[0] = '\0';
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, buffer, size - 1);
        r = -errno;
        close(fd);
        if (n < 0)
                return r;
        buffer[n] = '\0';
        return n;
}

int procfs_parse_stat(struct procfs_stat *stat, const char *text)
{
        const char *open = strchr(text, '('), *close = strrchr(text, ')');
        unsigned long long utime, stime, start;
        size_t n;

        if (!open || !close || close < open)
                return -EBADMSG;
        *stat = (struct procfs_stat){0};
        n = (size_t)(close - open - 1);
        if (n >= sizeof(stat->comm))
                n = sizeof(stat->comm) - 1;
        memcpy(stat->comm, open + 1, n);
        /* fields 3 to 39 */
        if (sscanf(close + 1,
                   " %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %ld %*d "
                   "%llu"
                   " %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
                   &stat->state, &stat->ppid, &stat->flags, &utime, &stime, &stat->threads, &start,
                   &stat->cpu) != 8)
                return -EBADMSG;
        stat->cpu_ticks = utime + stime;
        stat->start_ticks = start;
        return 0;
}

static int read_stat(struct procfs_stat *stat, const char *path)
{
        char text[1024];
        ssize_t n = read_small(path, text, sizeof(text));

        return n < 0 ? (int)n : procfs_parse_stat(stat, text);
}

int procfs_stat(struct procfs_stat *stat, const char *root, pid_t pid)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%d/stat", root, pid);
        return read_stat(stat, path);
}

int procfs_thread_stat(struct procfs_stat *stat, const char *root, pid_t pid, pid_t tid)
{
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%d/task/%d/stat", root, pid, tid);
        return read_stat(stat, path);
}

int procfs_thread_ns(uint64_t *ns, const char *root, pid_t pid, pid_t tid)
{
        char path[PATH_MAX], text[128];
        unsigned long long value;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/%d/task/%d/schedstat", root, pid, tid);
        n = read_small(path, text, sizeof(text));
        if (n < 0)
                return (int)n;
        if (sscanf(text, "%llu", &value) != 1)
                return -EBADMSG;
        *ns = value;
        return 0;
}

pid_t procfs_ppid(const char *root, pid_t pid)
{
        struct procfs_stat stat;
        int r = procfs_stat(&stat, root, pid);

        return r < 0 ? r : stat.ppid;
}

int procfs_status(struct procfs_status *status, const char *root, pid_t pid)
{
        char path[PATH_MAX], text[STATUS_MAX], *line;
        int found = 0;
        ssize_t n;

        snprintf(path, sizeof(path), "%s/%d/status", root, pid);
        n = read_small(path, text, sizeof(text));
        if (n < 0)
                return (int)n;
        *status = (struct procfs_status){0};
        for (line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (sscanf(line, "Tgid: %d", &status->tgid) == 1)
                        found |= 1;
                else if (sscanf(line, "Uid: %u %u %u", &status->uid, &status->euid,
                                &status->suid) == 3)
                        found |= 2;
                else if (sscanf(line, "State: %c", &status->state) == 1)
                        found |= 4;
        }
        if (found != 7)
                return -EBADMSG;
        /* a process that was waited for while its file was open (fs/proc/array.c) */
        return status->tgid ? 0 : -ESRCH;
}

int procfs_pid_namespace(struct procfs_namespace *namespace, const char *root, pid_t pid)
{
        char path[PATH_MAX];
        struct stat st;

        if (pid)
                snprintf(path, sizeof(path), "%s/%d/ns/pid", root, pid);
        else
                snprintf(path, sizeof(path), "%s/self/ns/pid", root);
        if (stat(path, &st) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        *namespace = (struct procfs_namespace){.dev = st.st_dev, .ino = st.st_ino};
        return 0;
}

/* The last number of "NSpid:". */
pid_t procfs_innermost_pid(const char *root, pid_t process)
{
        char path[PATH_MAX], text[STATUS_MAX], *line, *end;
        long pid = -ESRCH;

        snprintf(path, sizeof(path), "%s/%d/status", root, process);
        if (read_small(path, text, sizeof(text)) < 0)
                return -ESRCH;
        line = strstr(text, "\nNSpid:");
        if (!line)
                return -ESRCH;
        line += strlen("\nNSpid:");
        for (int i = 0; i < NAMESPACES_MAX; i++) {
                long n = strtol(line, &end, 10);

                if (end == line || memchr(line, '\n', (size_t)(end - line)))
                        break;
                pid = n;
                line = end;
        }
        return (pid_t)pid;
}
