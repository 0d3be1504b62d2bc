/* SPDX-License-Identifier: MIT */
#include "procfs.h"

#include <dirent.h>
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

int procfs_stat(struct procfs_stat *stat, const char *root, pid_t pid)
{
        char path[PATH_MAX], text[1024];
        ssize_t n;

        snprintf(path, sizeof(path), "%s/%d/stat", root, pid);
        n = read_small(path, text, sizeof(text));
        return n < 0 ? (int)n : procfs_parse_stat(stat, text);
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
        return found == 7 ? 0 : -EBADMSG;
}

/* Identity of a process's pid namespace. */
static int pid_namespace(const char *root, const char *process, dev_t *dev, ino_t *ino)
{
        char path[PATH_MAX];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%s/ns/pid", root, process);
        if (stat(path, &st) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        *dev = st.st_dev;
        *ino = st.st_ino;
        return 0;
}

/* The last number of "NSpid:": the process's pid in its own, innermost namespace. */
static pid_t innermost_pid(const char *root, const char *process)
{
        char path[PATH_MAX], text[STATUS_MAX], *line, *end;
        long pid = -ESRCH;

        snprintf(path, sizeof(path), "%s/%s/status", root, process);
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

pid_t procfs_pid_in_namespace_of(const char *root, pid_t peer, pid_t pid)
{
        char name[16];
        dev_t our_dev = 0, their_dev = 0, dev = 0;
        ino_t our_ino = 0, their_ino = 0, ino = 0;
        struct dirent *entry;
        pid_t found = -ESRCH;
        DIR *dir;
        int r;

        snprintf(name, sizeof(name), "%d", peer);
        r = pid_namespace(root, "self", &our_dev, &our_ino);
        if (r < 0)
                return r;
        r = pid_namespace(root, name, &their_dev, &their_ino);
        if (r < 0)
                return r;
        if (our_dev == their_dev && our_ino == their_ino)
                return pid;
        dir = opendir(root);
        if (!dir)
                return -errno;
        while (found < 0 && (entry = readdir(dir))) {
                if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                        continue;
                if (pid_namespace(root, entry->d_name, &dev, &ino) == 0 && dev == their_dev &&
                    ino == their_ino && innermost_pid(root, entry->d_name) == pid)
                        found = atoi(entry->d_name);
        }
        closedir(dir);
        return found;
}
