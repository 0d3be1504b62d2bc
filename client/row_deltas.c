/* SPDX-License-Identifier: MIT */
#include "row_deltas.h"

#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "process_user.h"
#include "report.h"

#define USER_MAX 33 /* useradd(8): 32 characters */
/* A chain of parents is no longer than that; more is a loop of a broken answer. */
#define DEPTH_MAX 10000
#define PROC_MAX  256

struct row {
        pid_t pid, ppid;
        double start_s, cpu_s, package_j, dram_j; /* NAN: not known */
        const char *comm;                         /* the answer's */
        char user[USER_MAX];
        bool member; /* of the tree that is asked for */
};

struct table {
        struct row *rows; /* by pid */
        size_t count;
};

struct row_deltas {
        pid_t root;
        char proc[PROC_MAX]; /* "": users are not looked up */
        bool begun;
        double uptime_s; /* of the daemon, in the answer before */
        struct table before;
        uid_t last_uid; /* the last name that was looked up */
        char last_name[USER_MAX];
};

struct row_deltas *row_deltas_new(pid_t root, const char *proc)
{
        struct row_deltas *d = calloc(1, sizeof(*d));

        if (d) {
                d->root = root;
                snprintf(d->proc, sizeof(d->proc), "%s", proc ? proc : "");
                d->last_uid = (uid_t)-1;
        }
        return d;
}

void row_deltas_free(struct row_deltas *d)
{
        if (!d)
                return;
        free(d->before.rows);
        free(d);
}

void row_deltas_freep(struct row_deltas **d)
{
        row_deltas_free(*d);
}

static int by_pid(const void *a, const void *b)
{
        const struct row *x = a, *y = b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct row *find(const struct table *t, pid_t pid)
{
        const struct row key = {.pid = pid};

        return t->count ? bsearch(&key, t->rows, t->count, sizeof(key), by_pid) : NULL;
}

/* Start times come over the wire as they are kept, so the same is the same. */
static struct row *find_same(const struct table *t, const struct row *row)
{
        struct row *other = find(t, row->pid);

        return other && other->start_s == row->start_s ? other : NULL;
}

static int read_table(struct table *t, const json_t *reply)
{
        const json_t *rows = json_object_get(reply, "rows"), *row;
        size_t i;

        if (!json_is_array(rows))
                return -EPROTO;
        t->rows = calloc(json_array_size(rows) + 1, sizeof(*t->rows));
        if (!t->rows)
                return -ENOMEM;
        json_array_foreach(rows, i, row)
        {
                t->rows[t->count++] = (struct row){
                        .pid = (pid_t)report_integer(row, "pid"),
                        .ppid = (pid_t)report_integer(row, "ppid"),
                        .start_s = report_number(row, NULL, "start_s"),
                        .cpu_s = report_number(row, NULL, "cpu_s"),
                        .package_j = report_number(row, "share", "package_j"),
                        .dram_j = report_number(row, "share", "dram_j"),
                        .comm = report_string(row, "comm"),
                };
        }
        qsort(t->rows, t->count, sizeof(*t->rows), by_pid);
        return 0;
}

/* Below the root, by its parents, or known as such from before: a parent may have gone. */
static bool is_member(const struct row_deltas *d, const struct table *now, const struct row *row)
{
        const struct row *same;

        for (unsigned int depth = 0; row && depth < DEPTH_MAX; depth++) {
                if (d->root == 0 || row->pid == d->root)
                        return true;
                same = find_same(&d->before, row);
                if (same && same->member)
                        return true;
                row = row->ppid > 0 ? find(now, row->ppid) : NULL;
        }
        return false;
}

/* Looked up at each look in which it used something: a process can become another user.  One that
 * has gone meanwhile keeps the one that it had. */
static void find_user(struct row_deltas *d, struct row *row)
{
        const struct passwd *user;
        uid_t uid;

        if (!d->proc[0] || process_user(d->proc, row->pid, &uid) < 0)
                return;
        if (uid != d->last_uid) {
                user = getpwuid(uid);
                if (user)
                        snprintf(d->last_name, sizeof(d->last_name), "%s", user->pw_name);
                else
                        snprintf(d->last_name, sizeof(d->last_name), "%u", (unsigned)uid);
                d->last_uid = uid;
        }
        strcpy(row->user, d->last_name);
}

/* `before` is NAN for what is new, and of a daemon that began anew: it is all since then. */
static double since(double now, double before)
{
        return isnan(before) ? now : fmax(0, now - before);
}

static void forget_sums(struct table *t)
{
        for (size_t i = 0; i < t->count; i++)
                t->rows[i].cpu_s = t->rows[i].package_j = t->rows[i].dram_j = NAN;
}

/* A process that is new has used all of it since; at the first answer nobody is new. */
static int append_delta(struct row_deltas *d, json_t *list, struct row *row)
{
        static const struct row nothing = {.cpu_s = NAN, .package_j = NAN, .dram_j = NAN};
        const struct row *before = find_same(&d->before, row);
        double cpu_s, package_j, dram_j;

        if (before)
                strcpy(row->user, before->user);
        if (!d->begun && d->root == 0)
                return 0;
        if (!before)
                before = &nothing;
        cpu_s = since(row->cpu_s, before->cpu_s);
        package_j = since(row->package_j, before->package_j);
        dram_j = since(row->dram_j, before->dram_j);
        if (!(cpu_s > 0) && !(package_j > 0) && !(dram_j > 0))
                return 0;
        find_user(d, row);
        return json_array_append_new(
                       list, json_pack("{s:i, s:f, s:s, s:s, s:o, s:o, s:o}", "pid", (int)row->pid,
                                       "start_s", row->start_s, "comm", row->comm, "user",
                                       row->user, "cpu_s", number_json(cpu_s), "package_j",
                                       number_json(package_j), "dram_j", number_json(dram_j))) < 0
                       ? -ENOMEM
                       : 0;
}

int row_deltas_take(struct row_deltas *d, const json_t *reply, struct row_window *window,
                    json_t **ret)
{
        double uptime_s = report_number(reply, NULL, "uptime_s");
        json_auto_t *list = json_array();
        struct table now = {0};
        int r = isnan(uptime_s) ? -EPROTO : read_table(&now, reply);

        *window = (struct row_window){.anew = d->begun && uptime_s < d->uptime_s};
        window->duration_s = window->anew ? uptime_s : uptime_s - d->uptime_s;
        if (window->anew)
                forget_sums(&d->before);
        for (size_t i = 0; r == 0 && i < now.count; i++) {
                struct row *row = &now.rows[i];

                row->member = is_member(d, &now, row);
                if (!row->member)
                        continue;
                r = append_delta(d, list, row);
        }
        if (r < 0) {
                free(now.rows);
                return r;
        }
        for (size_t i = 0; i < now.count; i++)
                now.rows[i].comm = NULL; /* of an answer that goes */
        free(d->before.rows);
        d->before = now;
        d->begun = true;
        d->uptime_s = uptime_s;
        *ret = json_incref(list);
        return 0;
}
