/* SPDX-License-Identifier: MIT */
#include "busy_time.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define USAGE_FILE       "cpuacct.usage_percpu"
#define POSSIBLE_FILE    "/sys/devices/system/cpu/possible"
#define NS_PER_S         1000000000ULL
#define SCHEDSTAT_FIELDS 9 /* Documentation/scheduler/sched-stats.rst: nine numbers for a CPU */
#define SCHEDSTAT_RUN    6 /* the seventh is the time spent running, in nanoseconds */
#define STAT_IDLE        3 /* proc(5): user nice system idle iowait ... */
#define STAT_IOWAIT      4

static const char *const source_names[] = {
        [BUSY_AUTO] = "auto",
        [BUSY_CPUACCT] = "cpuacct",
        [BUSY_SCHEDSTAT] = "schedstat",
        [BUSY_STAT] = "stat",
};

static uint64_t monotonic_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

unsigned int busy_time_possible_cpus(void)
{
        char text[256] = "";
        const char *last;
        FILE *f = fopen(POSSIBLE_FILE, "re");

        if (!f)
                return 0;
        if (!fgets(text, sizeof(text), f))
                text[0] = '\0';
        fclose(f);
        /* "0-3" or "0,2-5": the number after the last separator is the highest. */
        last = strrchr(text, '-');
        if (!last || (strrchr(text, ',') && strrchr(text, ',') > last))
                last = strrchr(text, ',');
        last = last ? last + 1 : text;
        if (*last < '0' || *last > '9')
                return 0;
        return (unsigned int)strtoul(last, NULL, 10) + 1;
}

int busy_source_by_name(const char *name, enum busy_source *ret)
{
        for (size_t i = 0; i < sizeof(source_names) / sizeof(source_names[0]); i++) {
                if (strcmp(name, source_names[i]) == 0) {
                        *ret = (enum busy_source)i;
                        return 0;
                }
        }
        return -EINVAL;
}

const char *busy_source_name(enum busy_source source)
{
        return source_names[source];
}

static int open_usage_below(const char *dir)
{
        char path[4096];
        int fd;

        if (snprintf(path, sizeof(path), "%s/" USAGE_FILE, dir) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int open_mounted_cpuacct(void)
{
        FILE *mounts = setmntent("/proc/self/mounts", "re");
        struct mntent *entry;
        int fd = -ENOENT;

        if (!mounts)
                return -errno;
        while (fd < 0 && (entry = getmntent(mounts))) {
                if (strcmp(entry->mnt_type, "cgroup") == 0 && hasmntopt(entry, "cpuacct"))
                        fd = open_usage_below(entry->mnt_dir);
        }
        endmntent(mounts);
        return fd;
}

static int open_own_cpuacct(void)
{
        char dir[] = "/tmp/energysim-cpuacct-XXXXXX";
        int fd;

        if (!mkdtemp(dir))
                return -errno;
        if (mount("energysim", dir, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, "cpuacct") < 0) {
                fd = -errno;
        } else {
                fd = open_usage_below(dir);
                if (umount2(dir, MNT_DETACH) < 0)
                        fprintf(stderr, "energysim: cannot unmount %s: %m\n", dir);
        }
        if (rmdir(dir) < 0)
                fprintf(stderr, "energysim: cannot remove %s: %m\n", dir);
        return fd;
}

static int open_source(enum busy_source source)
{
        int fd;

        switch (source) {
        case BUSY_CPUACCT:
                fd = open_mounted_cpuacct();
                return fd >= 0 ? fd : open_own_cpuacct();
        case BUSY_SCHEDSTAT:
                fd = open("/proc/schedstat", O_RDONLY | O_CLOEXEC);
                return fd < 0 ? -errno : fd;
        default:
                fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
                return fd < 0 ? -errno : fd;
        }
}

int busy_time_open(struct busy_time *b, enum busy_source wanted, unsigned int ncpus)
{
        enum busy_source first = wanted == BUSY_AUTO ? BUSY_CPUACCT : wanted;
        enum busy_source last = wanted == BUSY_AUTO ? BUSY_STAT : wanted;
        int r = -ENOENT;

        *b = (struct busy_time){.fd = -1, .ncpus = ncpus, .opened_ns = monotonic_ns()};
        if (sched_getaffinity(0, sizeof(b->allowed), &b->allowed) < 0)
                return -errno;
        b->highest_ns = calloc(ncpus, sizeof(*b->highest_ns));
        /* schedstat also has the lines of the scheduler's domains: some 400 bytes each */
        b->text_size = 65536 + (size_t)ncpus * 4096;
        b->text = malloc(b->text_size);
        if (!b->highest_ns || !b->text) {
                busy_time_close(b);
                return -ENOMEM;
        }
        for (enum busy_source source = first; source <= last && b->fd < 0; source++) {
                r = open_source(source);
                if (r >= 0) {
                        b->fd = r;
                        b->source = source;
                } else {
                        fprintf(stderr, "energysim: no busy time from %s: %s\n",
                                busy_source_name(source), strerror(-r));
                }
        }
        if (b->fd < 0) {
                busy_time_close(b);
                return r;
        }
        return 0;
}

void busy_time_close(struct busy_time *b)
{
        if (b->fd >= 0)
                close(b->fd);
        free(b->text);
        free(b->highest_ns);
        *b = (struct busy_time){.fd = -1};
}

/* Take a value of one CPU, unless the kernel went back in its own count (iowait does). */
static void take(struct busy_time *b, unsigned int cpu, uint64_t value_ns)
{
        if (value_ns > b->highest_ns[cpu])
                b->highest_ns[cpu] = value_ns;
}

/* "123 456 \n": a number for each possible CPU. */
static int parse_usage(struct busy_time *b)
{
        char *at = b->text;

        for (unsigned int cpu = 0; cpu < b->ncpus; cpu++) {
                char *end = NULL;
                uint64_t value = strtoull(at, &end, 10);

                if (end == at)
                        return -EPROTO;
                take(b, cpu, value);
                at = end;
        }
        return 0;
}

/* Lines "cpuN v0 v1 v2 ...", other lines between them. */
static int parse_cpu_lines(struct busy_time *b, unsigned int fields)
{
        uint64_t ns_per_clock_tick = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK);
        uint64_t elapsed_ns = monotonic_ns() - b->opened_ns;
        unsigned int seen = 0;
        char *save = NULL;

        for (char *line = strtok_r(b->text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save)) {
                uint64_t value[SCHEDSTAT_FIELDS] = {0}, idle_ns;
                unsigned long cpu;
                char *end = NULL;

                if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
                        continue;
                cpu = strtoul(line + 3, &end, 10);
                if (cpu >= b->ncpus)
                        return -EPROTO;
                for (unsigned int i = 0; i < fields; i++)
                        value[i] = strtoull(end, &end, 10);
                seen++;
                if (b->source == BUSY_SCHEDSTAT) {
                        take(b, (unsigned int)cpu, value[SCHEDSTAT_RUN]);
                        continue;
                }
                /*
                 * Idle time counts from boot, elapsed from the opening: the difference has an
                 * offset that does not matter, but must not be negative.
                 */
                idle_ns = (value[STAT_IDLE] + value[STAT_IOWAIT]) * ns_per_clock_tick;
                take(b, (unsigned int)cpu, elapsed_ns + UINT64_MAX / 2 - idle_ns);
        }
        return seen > 0 ? 0 : -EPROTO;
}

int busy_time_settle(struct busy_time *b)
{
        int here = sched_getcpu(); /* charged when this process came here */

        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                cpu_set_t one;

                if (!CPU_ISSET(cpu, &b->allowed) || cpu == here)
                        continue;
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                if (sched_setaffinity(0, sizeof(one), &one) < 0 && errno != EINVAL) /* offline */
                        return -errno;
        }
        return 0;
}

int busy_time_read(struct busy_time *b, uint64_t *busy_ns)
{
        size_t used = 0;
        ssize_t n;
        int r;

        /* One call is enough for cpuacct; the files below /proc come in pages. */
        do {
                n = pread(b->fd, b->text + used, b->text_size - 1 - used, (off_t)used);
                if (n < 0)
                        return -errno;
                used += (size_t)n;
        } while (n > 0 && used < b->text_size - 1 && b->source != BUSY_CPUACCT);
        b->text[used] = '\0';

        r = b->source == BUSY_CPUACCT ? parse_usage(b)
            : b->source == BUSY_STAT  ? parse_cpu_lines(b, STAT_IOWAIT + 1)
                                      : parse_cpu_lines(b, SCHEDSTAT_FIELDS);
        if (r < 0)
                return r;
        memcpy(busy_ns, b->highest_ns, b->ncpus * sizeof(*busy_ns));
        return 0;
}
