/* SPDX-License-Identifier: MIT */
#include "process_user.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "Uid:" is the 9th line, and the ones before are short. */
#define STATUS_READ_MAX 1024

int process_user(const char *proc, long long pid, uid_t *ret)
{
        char path[PATH_MAX], text[STATUS_READ_MAX], *line, *end;
        unsigned long user;
        ssize_t n;
        int fd;

        snprintf(path, sizeof(path), "%s/%lld/status", proc, pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        close(fd);
        if (n < 0)
                return errno == ESRCH ? -ENOENT : -EIO;
        text[n] = '\0';
        /* a process can put what it likes into its name, but no line end: that is escaped there */
        line = strstr(text, "\nUid:");
        if (!line)
                return -EBADMSG;
        user = strtoul(line + strlen("\nUid:"), &end, 10);
        if (end == line + strlen("\nUid:"))
                return -EBADMSG;
        *ret = (uid_t)user;
        return 0;
}
