/* SPDX-License-Identifier: MIT */
/*
 * perf: RAPL's counters through the kernel's `power` PMU and perf_event_open(2).
 *
 * For each package (or die, where the PMU counts those: see its cpumask) its events are one group
 * on one CPU, so that one read() takes all of them at one instant.  The kernel follows the
 * 32-bit registers over their wraps, and moves the events to another CPU of the package when
 * theirs goes offline.  An event counts from 0 when it is opened, and so does what is handed out.
 *
 * An event whose time does not run any more (the last CPU of its package went offline, the PMU was
 * unloaded) says nothing of the energy used meanwhile: that is an error, the group is opened anew
 * at a slow pace, and its domains start again at 0, which the meter tells as what it is, a counter
 * that went back, and not as energy.
 */
#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "perf_pmu.h"
#include "rapl_domain.h"

#define MAX_GROUPS       TOPOLOGY_MAX_SLOTS
#define REOPEN_PERIOD_NS NS_PER_S

/* Between readings this far apart an event's time moves, if it runs at all. */
#define RUNNING_NS UINT64_C(1000000)

#define READ_FORMAT                                                            \
        (PERF_FORMAT_GROUP | PERF_FORMAT_ID | PERF_FORMAT_TOTAL_TIME_ENABLED | \
         PERF_FORMAT_TOTAL_TIME_RUNNING)

/* One event of one package. */
struct counter {
        const struct perf_energy_event *event;
        size_t group;
        int fd;       /* -1: not open */
        uint64_t id;  /* the kernel's, by which its value is found */
        int error;    /* why fd is -1 */
        bool present; /* its value was in the last reading of the group */
        struct tally tally;
};

/* The events of one package or die. */
struct group {
        int socket, die; /* die -1: the PMU counts the whole socket */
        unsigned int cpu;
        int leader; /* fd of the event that the others are grouped with; -1: none is open */
        bool complete;
        uint64_t retry_ns;               /* CLOCK_MONOTONIC: not opened again before */
        uint64_t read_ns;                /* when it was last read; 0: not yet */
        uint64_t enabled_ns, running_ns; /* its own times then */
};

struct source {
        const struct topology *topology; /* refreshed by its owner; outlives the source */
        char *sysfs_root;
        bool *wanted; /* by CPU; room for the cpumask */
        struct perf_pmu pmu;
        struct group groups[MAX_GROUPS];
        size_t ngroups;
        /* by domain, in one order */
        struct counter counters[SOURCE_MAX_DOMAINS];
        struct domain domains[SOURCE_MAX_DOMAINS];
        size_t n;
};

/* What read() of a group gives: perf_event_open(2), PERF_FORMAT_GROUP. */
struct group_values {
        uint64_t nr, enabled_ns, running_ns;
        struct {
                uint64_t value, id;
        } values[PERF_PMU_MAX_EVENTS];
};

static int open_event(const struct source *s, struct counter *c, struct group *g)
{
        struct perf_event_attr attr = {
                .type = s->pmu.type,
                .size = sizeof(attr),
                .config = c->event->config,
                .read_format = READ_FORMAT,
        };
        int fd = (int)syscall(SYS_perf_event_open, &attr, -1, (int)g->cpu, g->leader,
                              PERF_FLAG_FD_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (ioctl(fd, PERF_EVENT_IOC_ID, &c->id) < 0) {
                int r = -errno;

                close(fd);
                return r;
        }
        c->fd = fd;
        c->tally = (struct tally){0};
        if (g->leader < 0)
                g->leader = fd;
        return 0;
}

static void close_group(struct source *s, size_t group, int error, uint64_t now_ns)
{
        struct group *g = &s->groups[group];

        for (size_t i = 0; i < s->n; i++) {
                struct counter *c = &s->counters[i];

                if (c->group != group || c->event->error < 0)
                        continue;
                if (c->fd >= 0)
                        close(c->fd);
                c->fd = -1;
                c->error = error;
        }
        g->leader = -1;
        g->complete = false;
        g->read_ns = 0;
        g->retry_ns = now_ns + REOPEN_PERIOD_NS;
}

static bool belongs(const struct source *s, unsigned int cpu, const struct group *g)
{
        const struct topology_cpu *c = &s->topology->cpus[cpu];

        return c->socket == g->socket && (g->die < 0 || c->die == g->die);
}

/* The CPU that the PMU names for this package now; CPUs come and go. */
static int choose_cpu(struct source *s, struct group *g)
{
        int r = perf_pmu_read_cpumask(s->wanted, s->topology->ncpus, s->sysfs_root);

        for (unsigned int cpu = 0; r == 0 && cpu < s->topology->ncpus; cpu++) {
                if (s->wanted[cpu] && belongs(s, cpu, g)) {
                        g->cpu = cpu;
                        return 0;
                }
        }
        return r < 0 ? r : -ENODEV;
}

/*
 * Open what is not open of a group.  One event that cannot be opened does not stop the others; it
 * is tried again at a slow pace.
 */
static void open_group(struct source *s, size_t group, uint64_t now_ns)
{
        struct group *g = &s->groups[group];

        g->complete = true;
        for (size_t i = 0; i < s->n; i++) {
                struct counter *c = &s->counters[i];

                if (c->group != group || c->fd >= 0 || c->event->error < 0)
                        continue;
                c->error = open_event(s, c, g);
                g->complete &= c->error == 0;
        }
        g->retry_ns = now_ns + REOPEN_PERIOD_NS;
}

static void reopen_group(struct source *s, size_t group, uint64_t now_ns)
{
        struct group *g = &s->groups[group];

        if (g->complete || now_ns < g->retry_ns)
                return;
        if (g->leader < 0) {
                int r = choose_cpu(s, g);

                if (r < 0) {
                        close_group(s, group, r, now_ns);
                        return;
                }
        }
        open_group(s, group, now_ns);
}

/*
 * Has the group counted all the time since the last reading?  What it has not, nobody knows.  The
 * kernel's two times may differ by less than RUNNING_NS; it takes turns in steps of milliseconds.
 */
static int check_time(struct group *g, const struct group_values *v, uint64_t now_ns)
{
        bool first = g->read_ns == 0;
        uint64_t ran_ns = v->running_ns - g->running_ns, due_ns = v->enabled_ns - g->enabled_ns;

        if (!first && now_ns - g->read_ns < RUNNING_NS)
                return 0;
        g->read_ns = now_ns;
        g->enabled_ns = v->enabled_ns;
        g->running_ns = v->running_ns;
        return first || (ran_ns > 0 && ran_ns + RUNNING_NS > due_ns) ? 0 : -ENODEV;
}

/* Read a group's counters.  0, or a negative errno: the group is of no use any more. */
static int read_group(struct source *s, size_t group, uint64_t now_ns)
{
        struct group *g = &s->groups[group];
        struct group_values v;
        ssize_t n;
        int r;

        do
                n = read(g->leader, &v, sizeof(v));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        /* 0: the kernel has put the event out of use */
        if (n < (ssize_t)offsetof(struct group_values, values) || v.nr > PERF_PMU_MAX_EVENTS ||
            (size_t)n < offsetof(struct group_values, values) + v.nr * sizeof(v.values[0]))
                return -ENODEV;
        r = check_time(g, &v, now_ns);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n; i++) {
                struct counter *c = &s->counters[i];

                if (c->group != group || c->fd < 0)
                        continue;
                c->present = false;
                for (size_t j = 0; j < v.nr; j++) {
                        if (v.values[j].id != c->id)
                                continue;
                        tally_follow(&c->tally, v.values[j].value);
                        c->present = true;
                }
                /* the kernel takes groups apart when their CPU goes */
                if (!c->present)
                        return -ENODEV;
        }
        return 0;
}

static void perf_read(struct source *s, const struct source_input *input, struct reading *readings)
{
        uint64_t now_ns = input ? input->now_ns : monotonic_ns();

        for (size_t group = 0; group < s->ngroups; group++) {
                int r;

                reopen_group(s, group, now_ns);
                if (s->groups[group].leader < 0)
                        continue;
                r = read_group(s, group, now_ns);
                if (r < 0)
                        close_group(s, group, r, now_ns);
        }
        for (size_t i = 0; i < s->n; i++) {
                const struct counter *c = &s->counters[i];

                readings[i].error = c->fd < 0 ? c->error : 0;
                if (readings[i].error == 0 &&
                    !scale_to_uj(&c->event->scale, c->tally.total, &readings[i].counter_uj))
                        readings[i].error = -ERANGE;
        }
}

/* One group for each package or die that the cpumask names. */
static int find_groups(struct source *s)
{
        const struct topology *t = s->topology;
        int r = perf_pmu_read_cpumask(s->wanted, t->ncpus, s->sysfs_root);

        for (unsigned int cpu = 0; r == 0 && cpu < t->ncpus; cpu++) {
                struct group g = {.socket = t->cpus[cpu].socket, .die = -1, .leader = -1};

                if (!s->wanted[cpu] || g.socket < 0)
                        continue;
                /* one CPU named for each die of several, or one for them all? */
                for (unsigned int other = 0; other < t->ncpus; other++)
                        if (s->wanted[other] && t->cpus[other].socket == g.socket &&
                            t->cpus[other].die != t->cpus[cpu].die)
                                g.die = t->cpus[cpu].die;
                for (size_t i = 0; i < s->ngroups; i++)
                        if (s->groups[i].socket == g.socket && s->groups[i].die == g.die)
                                g.socket = -1; /* a second CPU of the same package */
                if (g.socket < 0)
                        continue;
                if (s->ngroups == MAX_GROUPS)
                        return -E2BIG;
                g.cpu = cpu;
                s->groups[s->ngroups++] = g;
        }
        if (r == 0 && s->ngroups == 0)
                return -ENODEV;
        return r;
}

static bool has_psys_of(const struct source *s, int socket)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->counters[i].event->kind == DOMAIN_PSYS &&
                    s->groups[s->counters[i].group].socket == socket)
                        return true;
        return false;
}

static int add_counters(struct source *s, size_t group)
{
        const struct group *g = &s->groups[group];

        for (size_t e = 0; e < s->pmu.nevents; e++) {
                const struct perf_energy_event *event = &s->pmu.events[e];
                size_t at = s->n;
                struct domain d;

                /* the platform's counter is one for the socket, whichever die is asked */
                if (event->kind == DOMAIN_PSYS && has_psys_of(s, g->socket))
                        continue;
                if (s->n == SOURCE_MAX_DOMAINS)
                        return -E2BIG;
                rapl_domain_init(&d, event->kind, g->socket, g->die);
                /* never: the tally goes on where the event's 64 bits end */
                d.range_uj = UINT64_MAX;
                for (; at > 0 && rapl_domain_compare(&s->domains[at - 1], &d) > 0; at--) {
                        s->domains[at] = s->domains[at - 1];
                        s->counters[at] = s->counters[at - 1];
                }
                s->domains[at] = d;
                s->counters[at] = (struct counter){
                        .event = event, .group = group, .fd = -1, .error = event->error};
                s->n++;
        }
        return 0;
}

/* Usable is what has a package that can be read. */
static int check_packages(const struct source *s, char *why)
{
        const struct counter *bad = NULL;

        for (size_t i = 0; i < s->n; i++) {
                if (s->domains[i].kind != DOMAIN_PACKAGE)
                        continue;
                if (s->counters[i].fd >= 0)
                        return 0;
                bad = &s->counters[i];
        }
        if (!bad) {
                snprintf(why, SOURCE_WHY_MAX, "the power PMU counts no package");
                return -ENODEV;
        }
        snprintf(why, SOURCE_WHY_MAX, "cannot open the event energy-pkg on CPU %u: %s%s",
                 s->groups[bad->group].cpu, strerror(-bad->error),
                 bad->error == -EACCES || bad->error == -EPERM ? "; run energatd as root" : "");
        return bad->error;
}

static void perf_close(struct source *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n; i++)
                if (s->counters[i].fd >= 0)
                        close(s->counters[i].fd);
        free(s->wanted);
        free(s->sysfs_root);
        free(s);
}

static void release_source(struct source **s)
{
        perf_close(*s);
}

static int perf_open(struct source **ret, const struct source_config *config,
                     const struct topology *topology, char *why)
{
        __attribute__((cleanup(release_source))) struct source *s = calloc(1, sizeof(*s));
        int r;

        if (s) {
                s->topology = topology;
                s->sysfs_root = strdup(config->sysfs_root);
                s->wanted = calloc(topology->ncpus + 1, sizeof(*s->wanted));
        }
        if (!s || !s->sysfs_root || !s->wanted) {
                snprintf(why, SOURCE_WHY_MAX, "out of memory");
                return -ENOMEM;
        }
        r = perf_pmu_read(&s->pmu, s->sysfs_root, why);
        if (r < 0)
                return r;
        r = find_groups(s);
        for (size_t group = 0; r == 0 && group < s->ngroups; group++)
                r = add_counters(s, group);
        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "cannot use the cpumask of the power PMU: %s",
                         r == -ENODEV    ? "it names no CPU of this machine"
                         : r == -EBADMSG ? "not a list of this machine's CPUs"
                         : r == -E2BIG   ? "it names too many packages"
                                         : strerror(-r));
                return r;
        }
        for (size_t group = 0; group < s->ngroups; group++)
                open_group(s, group, 0);
        r = check_packages(s, why);
        if (r < 0)
                return r;
        *ret = s;
        s = NULL;
        return 0;
}

static int perf_probe(const struct source_config *config, const struct topology *topology,
                      char *why)
{
        struct source *s = NULL;
        int r = perf_open(&s, config, topology, why);

        perf_close(s);
        return r;
}

static size_t perf_domains(const struct source *s, const struct domain **ret)
{
        *ret = s->domains;
        return s->n;
}

extern const struct source_driver source_perf;

const struct source_driver source_perf = {
        .name = "perf",
        .prompt = true,
        .probe = perf_probe,
        .open = perf_open,
        .domains = perf_domains,
        .read = perf_read,
        .close = perf_close,
};
