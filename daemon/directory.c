/* SPDX-License-Identifier: MIT */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0755

void directory_parent(const char *path, char parent[CONFIG_PATH_MAX])
{
        char *slash;

        snprintf(parent, CONFIG_PATH_MAX, "%s", path);
        slash = strrchr(parent, '/');
        if (!slash)
                memcpy(parent, ".", 2);
        else if (slash == parent)
                parent[1] = '\0';
        else
                *slash = '\0';
}

static int make_one(const char *path, uid_t uid, gid_t gid)
{
        if (mkdir(path, DIRECTORY_MODE) < 0)
                return errno == EEXIST ? 0 : -errno;
        if (uid != geteuid() && lchown(path, uid, gid) < 0)
                return -errno;
        return 0;
}

int directory_make(const char *path, uid_t uid, gid_t gid)
{
        char copy[CONFIG_PATH_MAX];

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                int r;

                *slash = '\0';
                r = make_one(copy, geteuid(), getegid());
                if (r < 0)
                        return r;
                *slash = '/';
        }
        return make_one(copy, uid, gid);
}

int directory_check(const char *path, uid_t uid, gid_t gid, char *why, size_t why_size)
{
        struct stat st;
        int r = stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
        bool sticky;

        if (r < 0) {
                snprintf(why, why_size, "%s: %s", path, strerror(-r));
                return r;
        }
        sticky = st.st_mode & S_ISVTX; /* each may replace what is theirs, and the owner all */
        if (st.st_mode & S_IWOTH && !sticky) {
                snprintf(why, why_size,
                         "%s: anybody may replace what is in there (mode %04o): run 'chmod o-w' on "
                         "it, or choose another directory",
                         path, st.st_mode & 07777u);
                return -EPERM;
        }
        r = 1;
        if (st.st_uid != 0 && st.st_uid != uid)
                snprintf(why, why_size,
                         "%s: user %u, whose it is, may replace what is in there: run 'chown %u' "
                         "on it, or choose another directory",
                         path, st.st_uid, uid);
        else if (st.st_mode & S_IWGRP && !sticky && st.st_gid != 0 && st.st_gid != gid)
                snprintf(why, why_size,
                         "%s: members of group %u may replace what is in there (mode %04o): run "
                         "'chmod g-w' on it, or choose another directory",
                         path, st.st_gid, st.st_mode & 07777u);
        else
                r = 0;
        return r;
}

/* change: give a regular file of root's away; otherwise only look. */
static int entry_hand_over(int fd, const char *name, bool change, uid_t uid, gid_t gid)
{
        struct stat st;

        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -ENOTEMPTY;
        if (!change || !S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_nlink != 1)
                return 0;
        return fchownat(fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int each_entry(int fd, bool change, uid_t uid, gid_t gid)
{
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        const struct dirent *entry;

        if (!dir) {
                r = -errno;
                if (copy >= 0)
                        close(copy);
                return r;
        }
        while (r == 0 && (entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                        r = entry_hand_over(fd, entry->d_name, change, uid, gid);
        closedir(dir);
        return r;
}

static int hand_over(int fd, uid_t uid, gid_t gid)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid != 0 || uid == 0)
                return 0;
        r = each_entry(fd, false, uid, gid);
        if (r == 0)
                r = each_entry(fd, true, uid, gid);
        if (r == 0 && fchown(fd, uid, gid) < 0)
                r = -errno;
        return r;
}

int directory_hand_over(const char *path, uid_t uid, gid_t gid)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = hand_over(fd, uid, gid);
        close(fd);
        return r;
}
