/* SPDX-License-Identifier: MIT */
#include "thread_times.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

static int reserve(struct thread_times *t, size_t n)
{
        struct thread_time *grown;

        if (n <= t->max)
                return 0;
        grown = reallocarray(t->all, 2 * n, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        t->all = grown;
        t->max = 2 * n;
        return 0;
}

static int append(struct thread_times *t, pid_t tid, uint64_t ns)
{
        int r = reserve(t, t->n + 1);

        if (r == 0)
                t->all[t->n++] = (struct thread_time){.tid = tid, .ns = ns};
        return r;
}

/*
 * Time of a thread before, 0 for one that was not there.  The kernel lists threads in one order, so
 * the search goes on `from` where it found the last one.
 */
static uint64_t ns_before(const struct thread_times *before, pid_t tid, size_t *from)
{
        for (size_t i = 0; i < before->n; i++) {
                const struct thread_time *t = &before->all[(*from + i) % before->n];

                if (t->tid == tid) {
                        *from += i + 1;
                        return t->ns;
                }
        }
        return 0;
}

static int read_one(struct thread_reader *r, const struct thread_times *before,
                    const struct topology *topology, pid_t pid, pid_t tid, size_t *from)
{
        uint64_t ns = 0, before_ns = ns_before(before, tid, from);
        struct procfs_stat stat;
        int error = 0;

        if (r->schedstat)
                error = procfs_thread_ns(&ns, r->root, pid, tid);
        if (error == 0 && (!r->schedstat || ns > before_ns)) {
                error = procfs_thread_stat(&stat, r->root, pid, tid);
                if (error == 0 && !r->schedstat)
                        ns = stat.cpu_ticks * r->tick_ns;
                if (error == 0 && ns > before_ns)
                        r->ran_ns[slot_of_cpu(topology, stat.cpu)] += ns - before_ns;
        }
        if (error < 0)
                return error == -ESRCH ? 0 : error; /* ended meanwhile: passed over */
        return append(&r->now, tid, ns);
}

static int read_all(struct thread_reader *r, const struct thread_times *before,
                    const struct topology *topology, pid_t pid)
{
        char path[PATH_MAX];
        struct dirent *entry;
        size_t from = 0;
        int error = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/%d/task", r->root, pid);
        dir = opendir(path);
        if (!dir)
                return errno == ENOENT ? -ESRCH : -errno;
        while (error >= 0) {
                errno = 0;
                entry = readdir(dir);
                if (!entry) {
                        error = -errno;
                        break;
                }
                if (isdigit((unsigned char)entry->d_name[0]))
                        error = read_one(r, before, topology, pid,
                                         (pid_t)strtol(entry->d_name, NULL, 10), &from);
        }
        closedir(dir);
        return error == -ENOENT ? -ESRCH : error;
}

int thread_reader_read(struct thread_reader *r, const struct thread_times *before,
                       const struct topology *topology, pid_t pid, const struct procfs_stat *stat,
                       uint64_t *ns)
{
        uint64_t threads_ns = 0;
        size_t from = 0;
        int error;

        *ns = stat->cpu_ticks * r->tick_ns;
        r->now.n = 0;
        memset(r->ran_ns, 0, sizeof(r->ran_ns));
        if (stat->threads > 1)
                error = read_all(r, before, topology, pid);
        else if (r->schedstat)
                error = read_one(r, before, topology, pid, pid, &from);
        else /* all is in `stat` */
                error = append(&r->now, pid, *ns);
        for (size_t i = 0; i < r->now.n; i++)
                threads_ns += r->now.all[i].ns;
        if (threads_ns > *ns)
                *ns = threads_ns;
        return error;
}

/* A kernel may have the file and count nothing there: we have run, so ours is not 0. */
static bool has_schedstat(const char *root)
{
        char path[PATH_MAX];
        unsigned long long ns;
        FILE *f;
        bool has;

        snprintf(path, sizeof(path), "%s/self/schedstat", root);
        f = fopen(path, "re");
        if (!f)
                return false;
        has = fscanf(f, "%llu", &ns) == 1 && ns > 0;
        fclose(f);
        return has;
}

void thread_reader_init(struct thread_reader *r, const char *root)
{
        *r = (struct thread_reader){.root = root,
                                    .tick_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK),
                                    .schedstat = has_schedstat(root)};
}

void thread_reader_deinit(struct thread_reader *r)
{
        thread_times_deinit(&r->now);
}

int thread_times_copy(struct thread_times *to, const struct thread_times *from)
{
        int r = reserve(to, from->n);

        if (r < 0)
                return r;
        if (from->n)
                memcpy(to->all, from->all, from->n * sizeof(from->all[0]));
        to->n = from->n;
        return 0;
}

void thread_times_deinit(struct thread_times *t)
{
        free(t->all);
        *t = (struct thread_times){0};
}
