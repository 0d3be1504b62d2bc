/* SPDX-License-Identifier: MIT */
#include "pid_search.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "procfs.h"

#define PROC      "/proc"
#define SLICE_NS  2000000ull /* of a walk, before others have their turn */
#define REST      4          /* times what a walk took, before the next one */
#define NS_PER_US 1000ull

struct search {
        struct search *next;
        struct call *call; /* NULL: its peer has gone */
        struct procfs_namespace namespace;
        pid_t pid, found;
        void (*tell)(struct call *call, pid_t pid);
};

struct pid_walk {
        struct server *server;
        sd_event_source *timer;
        DIR *dir;              /* NULL: no walk just now */
        struct search *served; /* by the walk that is under way */
        struct search *later;  /* by the next one: who asks for what is new must not miss it */
        uint64_t began_ns;
        bool timed; /* the next slice, or walk, will come */
};

static void searches_free(struct search *list)
{
        while (list) {
                struct search *next = list->next;

                free(list);
                list = next;
        }
}

static int walk_go_on(struct pid_walk *w, uint64_t after_us)
{
        int r = sd_event_source_set_time_relative(w->timer, after_us);

        if (r >= 0)
                r = sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
        w->timed = r >= 0;
        return r;
}

static void tell_all(struct search *list)
{
        struct search *s;

        while ((s = list)) {
                list = s->next;
                if (s->call) {
                        s->call->gone = NULL;
                        s->tell(s->call, s->found);
                }
                free(s);
        }
}

static void look_at(struct pid_walk *w, pid_t pid)
{
        struct procfs_namespace namespace;
        pid_t inner = 0;

        if (procfs_pid_namespace(&namespace, PROC, pid) < 0)
                return;
        for (struct search *s = w->served; s; s = s->next) {
                if (!procfs_namespace_equal(&namespace, &s->namespace))
                        continue;
                if (!inner)
                        inner = procfs_innermost_pid(PROC, pid);
                if (inner == s->pid)
                        s->found = pid;
        }
}

static void walk_end(struct pid_walk *w)
{
        struct search *served = w->served;

        if (w->dir)
                closedir(w->dir);
        w->dir = NULL;
        w->served = NULL;
        (void)walk_go_on(w, REST * (monotonic_ns() - w->began_ns) / NS_PER_US);
        tell_all(served);
}

static void walk_begin(struct pid_walk *w)
{
        w->served = w->later;
        w->later = NULL;
        w->began_ns = monotonic_ns();
        w->dir = opendir(PROC);
        for (struct search *s = w->served; s && !w->dir; s = s->next)
                s->found = -errno;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct pid_walk *w = userdata;
        uint64_t end_ns = monotonic_ns() + SLICE_NS;
        const struct dirent *entry = NULL;

        (void)timer;
        (void)usec;
        w->timed = false;
        if (!w->dir && !w->later)
                return 0;
        if (!w->dir)
                walk_begin(w);
        while (w->dir && monotonic_ns() < end_ns && (entry = readdir(w->dir)))
                if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
                        look_at(w, (pid_t)strtol(entry->d_name, NULL, 10));
        if (entry)
                return walk_go_on(w, 0);
        walk_end(w);
        return 0;
}

static void on_gone(struct call *call)
{
        struct search *s = call->state;

        s->call = NULL;
        call_free(call);
}

static int walk_new(struct server *server)
{
        struct pid_walk *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->server = server;
        r = sd_event_add_time_relative(server->event, &w->timer, CLOCK_MONOTONIC, 0, 1, on_timer,
                                       w);
        if (r < 0) {
                free(w);
                return r;
        }
        w->timed = true;
        server->pid_walk = w;
        return 0;
}

/* Have the next walk look for it. */
static int search_add(struct call *call, pid_t pid, const struct procfs_namespace *namespace,
                      void (*tell)(struct call *call, pid_t pid))
{
        struct server *server = call->server;
        struct search *s;
        int r = server->pid_walk ? 0 : walk_new(server);

        if (r == 0 && !server->pid_walk->timed)
                r = walk_go_on(server->pid_walk, 0);
        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct search){.next = server->pid_walk->later,
                             .call = call,
                             .namespace = *namespace,
                             .pid = pid,
                             .found = -ESRCH,
                             .tell = tell};
        server->pid_walk->later = s;
        call->state = s;
        call->gone = on_gone;
        return 0;
}

void pid_search(struct call *call, pid_t pid, void (*found)(struct call *call, pid_t pid))
{
        struct procfs_namespace ours, theirs;
        int r = procfs_pid_namespace(&ours, PROC, 0);

        if (r == 0)
                r = procfs_pid_namespace(&theirs, PROC, call_peer(call)->pid);
        if (r == 0 && procfs_namespace_equal(&ours, &theirs)) {
                found(call, pid);
                return;
        }
        if (r == 0)
                r = search_add(call, pid, &theirs, found);
        if (r < 0)
                found(call, r);
}

void pid_search_free(struct pid_walk *w)
{
        if (!w)
                return;
        if (w->dir)
                closedir(w->dir);
        searches_free(w->served);
        searches_free(w->later);
        sd_event_source_disable_unref(w->timer);
        free(w);
}
