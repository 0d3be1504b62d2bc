/* SPDX-License-Identifier: MIT */
/*
 * CPU accounting from /proc, for machines where BPF cannot be used.
 *
 * Four times a second every process is looked at.  What its threads used since the last look is
 * counted where each ran last.  Not seen: processes that begin and end between two looks, the last
 * part of every other one, and descendants whose parent has gone before they are met.  The kernel's
 * own sum of busy time
 * (/proc/stat, in clock ticks) tells how much that is, so that those who stay are not charged for
 * it.
 */
#include "cputime.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "procfs.h"
#include "thread_times.h"

#define LOOK_PERIOD_NS 250000000ull
#define TABLE_SIZE     65536u /* power of two; more processes share chains */
/* /proc/stat counts in clock ticks, per CPU: less than this is rounding. */
#define SLACK_TICKS 2
/* Generations that one look meets from the child upwards; the oldest of more has no parent. */
#define LINE_MAX_LENGTH 64

struct known {
        struct known *next;
        struct process *process;
        uint64_t start_ticks, cpu_ticks, cpu_ns;
        struct thread_times threads; /* when it was charged last */
        uint64_t look;               /* the last one it was met in, or could not be read in */
};

/* A CPU's line of /proc/stat, as it was last there: those that are offline have none. */
struct cpu_sums {
        bool known;
        uint64_t busy_ticks, idle_ticks;
};

struct proc_accounting {
        char *root;
        struct processes *ps;
        const struct topology *topology;
        struct known *table[TABLE_SIZE];
        uint64_t look, looked_ns;
        uint64_t begun_ticks; /* the last look that met everybody: its beginning, since boot */
        bool unread;          /* the present look could not read a process that is known */
        uint64_t counted_ns[TOPOLOGY_MAX_SLOTS + 1]; /* charged to processes or to nobody */
        struct thread_reader reader;
        struct cpu_sums *cpus; /* by number */
        unsigned int ncpus;
        uint64_t kernel_ns[TOPOLOGY_MAX_SLOTS + 1]; /* busy time by the kernel's own count */
        uint64_t idle_ns;
};

static uint64_t ticks_to_ns(const struct proc_accounting *p, uint64_t ticks)
{
        return ticks * p->reader.tick_ns;
}

static struct known **known_find(struct proc_accounting *p, pid_t pid)
{
        struct known **at = &p->table[(uint32_t)pid & (TABLE_SIZE - 1)];

        while (*at && (*at)->process->pid != pid)
                at = &(*at)->next;
        return at;
}

static void known_free(struct known *k)
{
        if (!k)
                return;
        thread_times_deinit(&k->threads);
        free(k);
}

static void known_remove(struct proc_accounting *p, struct known **at)
{
        struct known *k = *at;

        *at = k->next;
        processes_death(p->ps, k->process);
        known_free(k);
}

static int charge_slot(struct proc_accounting *p, struct known *k, unsigned int slot, uint64_t ns,
                       struct cputime_totals *totals)
{
        int r = ns ? processes_ran(p->ps, k->process, slot, (int64_t)ns) : 0;

        if (r < 0)
                return r;
        k->cpu_ns += ns;
        totals->busy_ns[slot] += ns;
        p->counted_ns[slot] += ns;
        return 0;
}

/*
 * Charge what a process has used since it was charged last, where its threads used it.  That the
 * parts are not exactly the whole (clock ticks; threads that have ended) is spread over all slots;
 * what no living thread used goes where the leader is.
 */
static int charge(struct proc_accounting *p, struct known *k, const struct procfs_stat *stat,
                  struct cputime_totals *totals)
{
        uint64_t now_ns, new_ns, left_ns, ran_ns = 0;
        unsigned int last = slot_of_cpu(p->topology, stat->cpu);
        int r;

        if (stat->cpu_ticks == k->cpu_ticks && k->cpu_ns)
                return 0; /* what is below a tick is taken with the next one */
        r = thread_reader_read(&p->reader, &k->threads, p->topology, k->process->pid, stat,
                               &now_ns);
        if (r < 0 || now_ns <= k->cpu_ns)
                return r;
        new_ns = left_ns = now_ns - k->cpu_ns;
        r = thread_times_copy(&k->threads, &p->reader.now);
        for (unsigned int slot = 0; slot <= p->topology->nslots; slot++) {
                ran_ns += p->reader.ran_ns[slot];
                if (p->reader.ran_ns[slot])
                        last = slot;
        }
        for (unsigned int slot = 0; r >= 0 && slot < last; slot++) {
                uint64_t part_ns = p->reader.ran_ns[slot]
                                           ? (uint64_t)((double)new_ns *
                                                        (double)p->reader.ran_ns[slot] /
                                                        (double)ran_ns)
                                           : 0;

                r = charge_slot(p, k, slot, part_ns, totals);
                left_ns -= part_ns;
        }
        if (r >= 0)
                r = charge_slot(p, k, last, left_ns, totals);
        if (r >= 0)
                k->cpu_ticks = stat->cpu_ticks;
        return r;
}

/* Its leader may end before the others: then the process is a zombie that runs. */
static bool has_ended(const struct procfs_stat *stat)
{
        return (stat->state == 'Z' || stat->state == 'X') && stat->threads <= 1;
}

static unsigned int living_threads(const struct procfs_stat *stat)
{
        return (unsigned int)stat->threads - (stat->state == 'Z' || stat->state == 'X');
}

static int known_new(struct proc_accounting *p, struct known **at, pid_t pid,
                     const struct procfs_stat *stat)
{
        struct known *k = calloc(1, sizeof(*k));
        int r = k ? 0 : -ENOMEM;

        /* Older than the last look, which did not meet it: what it used before is not ours.  It has
         * been called nobody's, or was before us. */
        if (r >= 0 && stat->start_ticks < p->begun_ticks) {
                r = thread_reader_read(&p->reader, &k->threads, p->topology, pid, stat, &k->cpu_ns);
                if (r >= 0)
                        r = thread_times_copy(&k->threads, &p->reader.now);
                k->cpu_ticks = stat->cpu_ticks;
        }
        if (r >= 0)
                r = processes_birth(p->ps, &k->process, pid, ticks_to_ns(p, stat->start_ticks),
                                    stat->comm, stat->flags & PROCFS_PF_KTHREAD,
                                    processes_find(p->ps, stat->ppid));
        if (r < 0) {
                known_free(k);
                return r;
        }
        k->start_ticks = stat->start_ticks;
        *at = k;
        return 0;
}

/*
 * What comes of an error in reading a process.  It has not gone, for all we know: were it taken for
 * new when it can be read again, its whole life would be charged at once.
 */
static int not_read(struct proc_accounting *p, struct known *k, int r)
{
        if (r == -ENOMEM)
                return r;
        if (k) {
                k->look = p->look;
                p->unread |= r != -ESRCH;
        }
        return 0;
}

/* Look at one process.  0: met, gone or not to be read; or -ENOMEM. */
static int meet(struct proc_accounting *p, pid_t pid, struct cputime_totals *totals)
{
        struct known **at = known_find(p, pid);
        struct procfs_stat stat;
        int r = procfs_stat(&stat, p->root, pid);

        if (r == -ESRCH || (r == 0 && has_ended(&stat)))
                return 0; /* gone: not met in this look */
        if (r < 0)
                return not_read(p, *at, r);
        if (*at && (*at)->start_ticks != stat.start_ticks) {
                known_remove(p, at); /* another process with the same number */
                at = known_find(p, pid);
        }
        r = *at ? 0 : known_new(p, at, pid, &stat);
        if (r >= 0) {
                (*at)->look = p->look;
                process_set_threads((*at)->process, living_threads(&stat));
                process_rename((*at)->process, stat.comm);
                r = charge(p, *at, &stat, totals);
        }
        return r < 0 ? not_read(p, *at, r) : 0;
}

/*
 * Look at one process, and before it at those of its ancestors that are not known: descent and
 * targets are inherited at birth.  A parent may have a higher number, hence come later in /proc,
 * when numbers have begun anew.
 */
static int meet_line(struct proc_accounting *p, pid_t pid, struct cputime_totals *totals)
{
        pid_t line[LINE_MAX_LENGTH] = {pid};
        struct procfs_stat stat;
        size_t n = 1;
        int r = 0;

        while (n < LINE_MAX_LENGTH && !*known_find(p, line[n - 1]) &&
               procfs_stat(&stat, p->root, line[n - 1]) == 0 && stat.ppid > 0 &&
               !*known_find(p, stat.ppid))
                line[n++] = stat.ppid;
        while (r >= 0 && n)
                r = meet(p, line[--n], totals);
        return r;
}

/* One line of /proc/stat, if it is a CPU's.  "cpu " without a number is the sum of all. */
static bool parse_cpu_sums(const char *line, int *cpu, struct cpu_sums *sums)
{
        unsigned long long user, nice, system, idle, iowait, irq, softirq;

        if (strncmp(line, "cpu", 3) != 0 || !isdigit((unsigned char)line[3]) ||
            sscanf(line + 3, "%d %llu %llu %llu %llu %llu %llu %llu", cpu, &user, &nice, &system,
                   &idle, &iowait, &irq, &softirq) != 8)
                return false;
        *sums = (struct cpu_sums){.known = true,
                                  .busy_ticks = user + nice + system + irq + softirq,
                                  .idle_ticks = idle + iowait};
        return true;
}

/* Bring kernel_ns and idle_ns up to now, by what each CPU's line has grown. */
static int read_kernel_sums(struct proc_accounting *p)
{
        char path[PATH_MAX], text[1024];
        FILE *f;

        snprintf(path, sizeof(path), "%s/stat", p->root);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (fgets(text, sizeof(text), f)) {
                struct cpu_sums now, *last;
                int cpu;

                if (!parse_cpu_sums(text, &cpu, &now) || cpu < 0 || (unsigned int)cpu >= p->ncpus)
                        continue;
                last = &p->cpus[cpu];
                if (last->known && now.busy_ticks > last->busy_ticks)
                        p->kernel_ns[slot_of_cpu(p->topology, cpu)] += ticks_to_ns(
                                p, now.busy_ticks - last->busy_ticks);
                if (last->known && now.idle_ticks > last->idle_ticks)
                        p->idle_ns += ticks_to_ns(p, now.idle_ticks - last->idle_ticks);
                *last = now;
        }
        fclose(f);
        return 0;
}

/*
 * Busy time that no process was met for.  Who changed its CPU between two looks may be counted in
 * another slot than the kernel counts it in: what is missing in one slot and too much in another is
 * not counted twice.
 */
static void count_nobody(struct proc_accounting *p, struct cputime_totals *totals,
                         struct cputime_losses *losses)
{
        uint64_t slack = ticks_to_ns(p, SLACK_TICKS) * p->topology->ncpus, kernel = 0, counted = 0;

        if (read_kernel_sums(p) < 0)
                return;
        totals->idle_ns = p->idle_ns;
        totals->idle_known = true;
        if (p->unread) /* what it used is in the kernel's sums, and will be its own */
                return;
        for (unsigned int slot = 0; slot <= p->topology->nslots; slot++) {
                kernel += p->kernel_ns[slot];
                counted += p->counted_ns[slot];
        }
        for (unsigned int slot = 0; slot <= p->topology->nslots; slot++) {
                uint64_t missing;

                if (p->kernel_ns[slot] <= p->counted_ns[slot] + slack || kernel <= counted + slack)
                        continue;
                missing = p->kernel_ns[slot] - p->counted_ns[slot];
                if (missing > kernel - counted)
                        missing = kernel - counted;
                counted += missing;
                p->counted_ns[slot] += missing;
                totals->busy_ns[slot] += missing;
                totals->nobody_ns[slot] += missing;
                losses->lost_ns += missing;
        }
}

static int look(struct proc_accounting *p, struct cputime_totals *totals)
{
        uint64_t begun_ticks = clock_ns(CLOCK_BOOTTIME) / p->reader.tick_ns;
        struct dirent *entry;
        DIR *dir = opendir(p->root);
        int r = 0;

        if (!dir)
                return -errno;
        p->look++;
        p->unread = false;
        while (r >= 0) {
                errno = 0;
                entry = readdir(dir);
                if (!entry) {
                        r = -errno;
                        break;
                }
                if (isdigit((unsigned char)entry->d_name[0]))
                        r = meet_line(p, (pid_t)strtol(entry->d_name, NULL, 10), totals);
        }
        closedir(dir);
        if (r < 0) /* not all were looked at: who was not met need not be gone */
                return r;
        for (uint32_t i = 0; i < TABLE_SIZE; i++) {
                struct known **at = &p->table[i];

                while (*at) {
                        if ((*at)->look != p->look)
                                known_remove(p, at);
                        else
                                at = &(*at)->next;
                }
        }
        p->begun_ticks = begun_ticks;
        return 0;
}

/* Does not move looked_ns: followers set no pace for those who wait for the next look. */
static int proc_meet(void *state, pid_t pid, struct cputime_totals *totals,
                     struct cputime_losses *losses)
{
        (void)losses;
        return meet_line(state, pid, totals);
}

static int proc_collect(void *state, bool force, struct cputime_totals *totals,
                        struct cputime_losses *losses)
{
        struct proc_accounting *p = state;
        uint64_t now = monotonic_ns(), online = 0;
        int r;

        if (!force && now - p->looked_ns < LOOK_PERIOD_NS)
                return 0;
        for (unsigned int cpu = 0; cpu < p->topology->ncpus; cpu++)
                online += p->topology->cpus[cpu].online;
        totals->cpu_wall_ns += online * (now - p->looked_ns);
        p->looked_ns = now; /* also for a look that fails: the next one is not due before */
        r = look(p, totals);
        if (r < 0)
                return r;
        count_nobody(p, totals, losses);
        return 1;
}

static void proc_close(void *state)
{
        struct proc_accounting *p = state;

        for (uint32_t i = 0; i < TABLE_SIZE; i++) {
                for (struct known *k = p->table[i], *next; k; k = next) {
                        next = k->next;
                        known_free(k);
                }
        }
        thread_reader_deinit(&p->reader);
        free(p->cpus);
        free(p->root);
        free(p);
}

static int proc_open(void **ret, const struct cputime_config *config,
                     const struct topology *topology, struct processes *ps, char *why,
                     size_t why_size)
{
        struct proc_accounting *p = calloc(1, sizeof(*p));
        struct cputime_totals before = {0};
        int r;

        if (!p)
                return -ENOMEM;
        p->root = strdup(config->proc_root);
        p->ncpus = topology->ncpus;
        p->cpus = calloc(p->ncpus, sizeof(*p->cpus));
        if (!p->root || !p->cpus) {
                free(p->cpus);
                free(p->root);
                free(p);
                return -ENOMEM;
        }
        p->ps = ps;
        p->topology = topology;
        p->begun_ticks = UINT64_MAX; /* everybody is older than the first look */
        thread_reader_init(&p->reader, p->root);
        r = look(p, &before);
        if (r >= 0)
                r = read_kernel_sums(p);
        if (r < 0) {
                snprintf(why, why_size, "proc: cannot read %s: %s", p->root, strerror(-r));
                proc_close(p);
                return r;
        }
        memset(p->counted_ns, 0, sizeof(p->counted_ns));
        p->looked_ns = monotonic_ns();
        *ret = p;
        return 0;
}

static void proc_set_topology(void *state, const struct topology *topology)
{
        ((struct proc_accounting *)state)->topology = topology;
}

static const char *proc_describe(const void *state)
{
        return ((const struct proc_accounting *)state)->reader.schedstat ? "proc (schedstat)"
                                                                         : "proc (stat)";
}

static const char *proc_precision(const void *state)
{
        return ((const struct proc_accounting *)state)->reader.schedstat
                       ? "every process four times a second; what lives shorter is not seen, and "
                         "every process's "
                         "last quarter of a second may be missing"
                       : "every process four times a second, in clock ticks; what lives shorter is "
                         "not seen, and "
                         "every process's last quarter of a second may be missing";
}

const struct cputime_driver cputime_proc = {
        .name = "proc",
        .open = proc_open,
        .collect = proc_collect,
        .meet = proc_meet,
        .set_topology = proc_set_topology,
        .describe = proc_describe,
        .precision = proc_precision,
        .exact = false,
        .close = proc_close,
};
