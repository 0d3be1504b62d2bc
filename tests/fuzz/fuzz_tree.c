/* SPDX-License-Identifier: MIT */
#include "fuzz_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 96
#define MAX_PATH    160
#define MAX_DEPTH   12

static char root[64];

__attribute__((noreturn)) void fuzz_broken(const char *file, int line, const char *condition)
{
        fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
        abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        return ftw->level == 0 ? 0 : remove(path);
}

static void empty_root(void)
{
        FUZZ_CHECK(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void remove_root(void)
{
        empty_root();
        FUZZ_CHECK(rmdir(root) == 0);
}

/* In memory where that can be had: each input makes and removes dozens of files. */
static void prepare_root(void)
{
        if (root[0]) {
                empty_root();
                return;
        }
        snprintf(root, sizeof(root), "/dev/shm/energat-fuzz.XXXXXX");
        if (!mkdtemp(root)) {
                snprintf(root, sizeof(root), "/tmp/energat-fuzz.XXXXXX");
                FUZZ_CHECK(mkdtemp(root) != NULL);
        }
        atexit(remove_root);
}

/* A path that stays below the tree: no "", ".", ".." in it, and not too deep. */
static bool good_path(const char *path)
{
        unsigned int depth = 0;

        while (*path) {
                size_t length = strcspn(path, "/");

                if (length == 0 || ++depth > MAX_DEPTH || (length == 1 && path[0] == '.') ||
                    (length == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
                path += length + (path[length] == '/');
        }
        return depth > 0;
}

/* Links lead to a name beside them, or up by one. */
static bool good_target(const char *target)
{
        return *target && !strchr(target, '/');
}

static void make_parents(int rootfd, const char *path)
{
        char copy[MAX_PATH];

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void)mkdirat(rootfd, copy, 0755);
                *slash = '/';
        }
}

static void make_file(int rootfd, const char *path, const uint8_t *data, size_t size)
{
        /* through no link: the tree is all that is written */
        int fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

        if (fd < 0)
                return;
        FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
        close(fd);
}

/* The end of the entry that begins at `at`: the next '@' at the start of a line. */
static size_t end_of_entry(const uint8_t *data, size_t size, size_t at)
{
        for (size_t i = at + 1; i < size; i++)
                if (data[i] == '@' && data[i - 1] == '\n')
                        return i;
        return size;
}

static void make_entry(int rootfd, const uint8_t *data, size_t size)
{
        char line[2 * MAX_PATH], path[MAX_PATH], target[MAX_PATH];
        const uint8_t *newline = memchr(data, '\n', size);
        size_t length = newline ? (size_t)(newline - data) : size;

        if (length >= sizeof(line))
                return;
        memcpy(line, data, length);
        line[length] = '\0';
        if (sscanf(line, "@file %159s", path) == 1 && good_path(path)) {
                make_parents(rootfd, path);
                make_file(rootfd, path, data + length + (newline != NULL),
                          size - length - (newline != NULL));
        } else if (sscanf(line, "@dir %159s", path) == 1 && good_path(path)) {
                make_parents(rootfd, path);
                (void)mkdirat(rootfd, path, 0755);
        } else if (sscanf(line, "@link %159s %159s", path, target) == 2 && good_path(path) &&
                   good_target(target)) {
                make_parents(rootfd, path);
                (void)symlinkat(target, rootfd, path);
        }
}

const char *fuzz_tree(const uint8_t *data, size_t size)
{
        size_t at = 0;
        int rootfd;

        prepare_root();
        rootfd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        FUZZ_CHECK(rootfd >= 0);
        for (unsigned int n = 0; at < size && n < MAX_ENTRIES; n++) {
                size_t end = end_of_entry(data, size, at);

                if (data[at] == '@')
                        make_entry(rootfd, data + at, end - at);
                at = end;
        }
        close(rootfd);
        return root;
}
