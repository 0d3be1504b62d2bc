/* SPDX-License-Identifier: MIT */
/* A directory tree of a test's own, made file by file and removed at the end. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka.h wants these before it */
#include <setjmp.h>

#include <cmocka.h>

#define TREE_PATH_MAX 512

struct tree {
        char root[64];
};

static inline void tree_make(struct tree *t)
{
        snprintf(t->root, sizeof(t->root), "/tmp/energat-test.XXXXXX");
        assert_non_null(mkdtemp(t->root));
        /* also for a test that gives up root's rights */
        assert_int_equal(chmod(t->root, 0755), 0);
}

/* Path of a file of the tree; static storage, good until the call after the next three. */
static inline const char *tree_path(const struct tree *t, const char *path)
{
        static char paths[4][TREE_PATH_MAX];
        static unsigned int next;
        char *p = paths[next++ % 4];

        snprintf(p, TREE_PATH_MAX, "%s/%s", t->root, path);
        return p;
}

static inline void tree_make_parents(const char *file)
{
        char path[TREE_PATH_MAX];

        snprintf(path, sizeof(path), "%s", file);
        for (char *p = path + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                if (mkdir(path, 0755) < 0)
                        assert_int_equal(errno, EEXIST);
                *p = '/';
        }
}

static inline void tree_write_bytes(const struct tree *t, const char *path, const void *bytes,
                                    size_t length)
{
        const char *file = tree_path(t, path);
        FILE *stream;

        tree_make_parents(file);
        stream = fopen(file, "w");
        assert_non_null(stream);
        assert_int_equal(fwrite(bytes, 1, length, stream), length);
        assert_int_equal(fclose(stream), 0);
}

static inline void tree_write(const struct tree *t, const char *path, const char *text)
{
        tree_write_bytes(t, path, text, strlen(text));
}

/* Rewrite in place, as a simulator does: no new file, no truncation. */
static inline void tree_overwrite(const struct tree *t, const char *path, const char *text)
{
        int fd = open(tree_path(t, path), O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, text, strlen(text), 0), strlen(text));
        assert_int_equal(close(fd), 0);
}

static inline void tree_mkdir(const struct tree *t, const char *path)
{
        const char *directory = tree_path(t, path);

        tree_make_parents(directory);
        assert_int_equal(mkdir(directory, 0755), 0);
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

/* Remove a file, or a directory with all that is in it; "" is the tree. */
static inline void tree_remove(const struct tree *t, const char *path)
{
        assert_int_equal(nftw(tree_path(t, path), tree_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
