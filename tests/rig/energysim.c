/* SPDX-License-Identifier: MIT */
/*
 * A simulated energy meter: a tree of files shaped like /sys/class/powercap whose counters follow
 * a model of power, so that the true energy of every load is known.
 *
 *   package  base W x time + per-core W x busy core seconds
 *            (with --exponent G: base + per-core W x (busy cores)^G, evaluated at every step)
 *   dram     dram-base W x time + dram-per-gib W x (GiB in use)^dram-exponent x time
 *
 * Busy time is that of this machine's CPUs (busy_time.h), the simulator's own included: a package
 * does not ask who is running.  A process that used T core seconds has then spent exactly
 * per-core W x T joules, whatever else ran.
 *
 * The kernel charges a task that stays on its CPU at scheduler ticks, so busy time comes in
 * portions of up to 4 ms (250 Hz).  The linear model adds each portion when it comes: sums are
 * exact as soon as the task has left the CPU.  With --exact they are at every step. With an
 * exponent the number of busy cores matters, so a portion is spread over the time that it took, at
 * most one core second per second and CPU; power is then late by up to one scheduler tick.  With a
 * schedule, up to one scheduler tick of busy time is priced by the phase after its own.
 *
 * A step that cuts a task's stay on the CPU finds none of it charged, and the next step all.  Steps
 * begin an eighth before whole multiples of their period: tasks that run for a part of every
 * millisecond, from its beginning on (calibrate's load), then sleep.  A step is as long as it
 * should be, however late the simulator wakes up: a window of 50 ms that begins some microseconds
 * late would have energy off by as many.
 *
 * Cost at 1 ms with two zones, measured over 10 s on a nested virtual machine of 2 CPUs: 2.0 % of a
 * core while the machine is busy, 3.7 to 3.9 % while it is idle, of which 3.1 % is the bare wake-up
 * from idle a thousand times a second.  The truth has the present figure in sim_cpu_s.
 */
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "busy_time.h"
#include "sim_options.h"
#include "used_memory.h"
#include "zone_tree.h"

#define NS_PER_S          1000000000ULL
#define UJ_PER_W_NS       1e-3            /* a watt for a nanosecond is a nanojoule */
#define TRUTH_PERIOD_NS   100000000ULL    /* how often --truth is rewritten */
#define MEMORY_PERIOD_NS  20000000ULL     /* meminfo is too dear to read at every step */
#define COMMAND_PERIOD_NS 10000000ULL     /* how often ROOT/control is read */
#define PACKAGE_RANGE_UJ  262143328850ULL /* 2^32 units of 61 uJ, as most Intel packages have */
#define DRAM_RANGE_UJ     65712999613ULL  /* 2^32 units of 15.3 uJ, as Intel server dram has */
#define STALL_NS          5000000ULL      /* half of energatd's tick */
#define NO_ZONE           (-1)

struct package {
        double static_uj, dynamic_uj;
        double dram_static_uj, dram_dynamic_uj;
        uint64_t busy_ns;
        double used_gib;
        uint64_t step_busy_ns; /* of the present step */
        int zone, mmio_zone, core_zone, dram_zone;
};

struct sim {
        struct sim_options options;
        struct busy_time busy;
        struct used_memory memory;
        struct zone_tree tree;
        struct package packages[SIM_MAX_PACKAGES];
        uint64_t busy_before_ns[SIM_MAX_CPUS];
        uint64_t pending_ns[SIM_MAX_CPUS]; /* busy time that waits to be spread */
        uint64_t start_ns, now_ns, memory_read_ns, truth_written_ns, polled_ns;
        uint64_t steps, late_steps;
        uint64_t stalled_ns; /* in steps so long that a reader sees energy come in a lump */
};

static volatile sig_atomic_t stop_requested;

static void on_stop_signal(int sig)
{
        (void)sig;
        stop_requested = 1;
}

static uint64_t clock_ns(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int complain(const char *what, const char *which, int error)
{
        fprintf(stderr, "energysim: %s %s: %s\n", what, which, strerror(-error));
        return error;
}

static int add_zone(struct sim *s, const char *id, const char *name, uint64_t default_range_uj,
                    int *zone)
{
        const struct sim_options *o = &s->options;

        *zone = zone_tree_add(&s->tree, id, name, o->range_uj ? o->range_uj : default_range_uj,
                              o->start_uj);
        return *zone < 0 ? complain("cannot make zone", id, *zone) : 0;
}

/* The zones of one package: itself, "core" and "dram" below it, itself again under mmio. */
static int add_package(struct sim *s, unsigned int number, unsigned int index)
{
        struct package *p = &s->packages[index];
        unsigned int child = 0;
        char id[ZONE_ID_MAX], name[32];
        int r;

        *p = (struct package){
                .zone = NO_ZONE, .mmio_zone = NO_ZONE, .core_zone = NO_ZONE, .dram_zone = NO_ZONE};
        snprintf(id, sizeof(id), "intel-rapl:%u", number);
        snprintf(name, sizeof(name), "package-%d", s->options.package_id[index]);
        r = add_zone(s, id, name, PACKAGE_RANGE_UJ, &p->zone);
        if (r == 0 && s->options.core) {
                snprintf(id, sizeof(id), "intel-rapl:%u:%u", number, child++);
                r = add_zone(s, id, "core", PACKAGE_RANGE_UJ, &p->core_zone);
        }
        if (r == 0 && s->options.dram) {
                snprintf(id, sizeof(id), "intel-rapl:%u:%u", number, child++);
                r = add_zone(s, id, "dram", DRAM_RANGE_UJ, &p->dram_zone);
        }
        if (r == 0 && s->options.mmio) {
                snprintf(id, sizeof(id), "intel-rapl-mmio:%u", number);
                r = add_zone(s, id, name, PACKAGE_RANGE_UJ, &p->mmio_zone);
        }
        return r;
}

static int make_tree(struct sim *s)
{
        const struct sim_options *o = &s->options;
        int r;

        r = zone_tree_open(&s->tree, o->root, o->symlinks);
        if (r < 0)
                return complain("cannot make a new tree in", o->root, r);
        r = zone_tree_add_type(&s->tree, "intel-rapl");
        if (r == 0 && o->mmio)
                r = zone_tree_add_type(&s->tree, "intel-rapl-mmio");
        if (r < 0)
                return complain("cannot make a control type in", o->root, r);
        for (unsigned int i = 0; i < o->npackages && r == 0; i++)
                r = add_package(s, i, o->reverse ? o->npackages - 1 - i : i);
        return r;
}

/* Watts per busy core in the middle of the step that ends now.  The schedule's beginnings are at
 * multiples of its length on CLOCK_MONOTONIC, so that loads can keep to it. */
static double present_per_core_w(const struct sim *s, uint64_t step_ns)
{
        const struct sim_options *o = &s->options;
        uint64_t total_ns = 0, at_ns;

        if (o->nphases == 0)
                return o->per_core_w;
        for (unsigned int i = 0; i < o->nphases; i++)
                total_ns += o->phases[i].length_ns;
        at_ns = (s->now_ns - step_ns / 2) % total_ns;
        for (unsigned int i = 0; i < o->nphases; i++) {
                if (at_ns < o->phases[i].length_ns)
                        return o->phases[i].per_core_w;
                at_ns -= o->phases[i].length_ns;
        }
        return o->phases[0].per_core_w; /* not reached: at_ns is below the sum of lengths */
}

/* Sum the CPUs' busy time since the step before by package. */
static int sum_busy(struct sim *s, uint64_t step_ns)
{
        const struct sim_options *o = &s->options;
        uint64_t busy_ns[SIM_MAX_CPUS];
        int r;

        r = busy_time_read(&s->busy, busy_ns);
        if (r < 0)
                return complain("cannot read busy time from", busy_source_name(s->busy.source), r);
        for (unsigned int i = 0; i < o->npackages; i++)
                s->packages[i].step_busy_ns = 0;
        for (unsigned int cpu = 0; cpu < o->ncpus; cpu++) {
                uint64_t portion_ns = busy_ns[cpu] - s->busy_before_ns[cpu];
                struct package *p;

                s->busy_before_ns[cpu] = busy_ns[cpu];
                if (o->package_of[cpu] == SIM_NO_PACKAGE)
                        continue;
                p = &s->packages[o->package_of[cpu]];
                if (o->exponent != 1) {
                        s->pending_ns[cpu] += portion_ns;
                        portion_ns = s->pending_ns[cpu] < step_ns ? s->pending_ns[cpu] : step_ns;
                        s->pending_ns[cpu] -= portion_ns;
                }
                p->step_busy_ns += portion_ns;
        }
        return 0;
}

static void advance_package(struct package *p, const struct sim_options *o, double per_core_w,
                            uint64_t step_ns)
{
        double t_ns = (double)step_ns;
        double busy_ns = (double)p->step_busy_ns;

        p->busy_ns += p->step_busy_ns;
        p->static_uj += o->base_w * t_ns * UJ_PER_W_NS;
        if (o->exponent == 1)
                p->dynamic_uj += per_core_w * busy_ns * UJ_PER_W_NS;
        else
                p->dynamic_uj += per_core_w * pow(busy_ns / t_ns, o->exponent) * t_ns * UJ_PER_W_NS;
        if (o->dram) {
                p->dram_static_uj += o->dram_base_w * t_ns * UJ_PER_W_NS;
                p->dram_dynamic_uj += o->dram_per_gib_w * pow(p->used_gib, o->dram_exponent) *
                                      t_ns * UJ_PER_W_NS;
        }
}

static uint64_t package_uj(const struct package *p)
{
        return (uint64_t)(p->static_uj + p->dynamic_uj);
}

static uint64_t dram_uj(const struct package *p)
{
        return (uint64_t)(p->dram_static_uj + p->dram_dynamic_uj);
}

static int write_zone(struct sim *s, int zone, uint64_t energy_uj)
{
        int r = 0;

        if (zone != NO_ZONE)
                r = zone_tree_write(&s->tree, (size_t)zone, s->options.start_uj + energy_uj);
        return r < 0 ? complain("cannot write zone", s->tree.zones[zone].id, r) : 0;
}

static int write_package(struct sim *s, const struct package *p)
{
        int r;

        r = write_zone(s, p->zone, package_uj(p));
        if (r == 0)
                r = write_zone(s, p->mmio_zone, package_uj(p));
        if (r == 0)
                r = write_zone(s, p->core_zone, (uint64_t)p->dynamic_uj);
        if (r == 0)
                r = write_zone(s, p->dram_zone, dram_uj(p));
        return r;
}

static int read_memory(struct sim *s)
{
        double gib[SIM_MAX_PACKAGES];
        int r;

        if (!s->options.dram || s->now_ns - s->memory_read_ns < MEMORY_PERIOD_NS)
                return 0;
        r = used_memory_read(&s->memory, gib);
        if (r < 0)
                return complain("cannot read", "meminfo", r);
        for (unsigned int i = 0; i < s->options.npackages; i++)
                s->packages[i].used_gib = gib[i];
        s->memory_read_ns = s->now_ns;
        return 0;
}

static int step(struct sim *s, uint64_t end_ns)
{
        uint64_t before_ns = s->now_ns, step_ns;
        double per_core_w;
        int r;

        r = s->options.exact ? busy_time_settle(&s->busy) : 0;
        if (r < 0)
                return complain("cannot go over", "all CPUs", r);
        if (end_ns <= before_ns)
                return 0;
        s->now_ns = end_ns;
        step_ns = end_ns - before_ns;
        if (step_ns > STALL_NS)
                s->stalled_ns += step_ns;
        if (s->now_ns - s->polled_ns >= COMMAND_PERIOD_NS) {
                zone_tree_poll(&s->tree);
                s->polled_ns = s->now_ns;
        }
        r = sum_busy(s, step_ns);
        if (r == 0)
                r = read_memory(s);
        per_core_w = present_per_core_w(s, step_ns);
        for (unsigned int i = 0; i < s->options.npackages && r == 0; i++) {
                advance_package(&s->packages[i], &s->options, per_core_w, step_ns);
                r = write_package(s, &s->packages[i]);
        }
        s->steps++;
        return r;
}

static void print_truth(const struct sim *s, bool running, FILE *out)
{
        const struct sim_options *o = &s->options;
        uint64_t energy_uj = 0, static_uj = 0, busy_ns = 0;

        for (unsigned int i = 0; i < o->npackages; i++) {
                energy_uj += package_uj(&s->packages[i]);
                static_uj += (uint64_t)s->packages[i].static_uj;
                busy_ns += s->packages[i].busy_ns;
        }
        fprintf(out,
                "{\"running\":%s,\"busy_source\":\"%s\",\"duration_s\":%.9f,\"steps\":%llu,"
                "\"late_steps\":%llu,\"stalled_s\":%.9f,\"sim_cpu_s\":%.6f,\"commands\":%llu,"
                "\"rejected\":%llu,"
                "\"energy_uj\":%llu,\"static_uj\":%llu,\"busy_s\":%.9f,\"packages\":[",
                running ? "true" : "false", busy_source_name(s->busy.source),
                (double)(s->now_ns - s->start_ns) / NS_PER_S, (unsigned long long)s->steps,
                (unsigned long long)s->late_steps, (double)s->stalled_ns / NS_PER_S,
                (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / NS_PER_S,
                (unsigned long long)s->tree.commands, (unsigned long long)s->tree.rejected,
                (unsigned long long)energy_uj, (unsigned long long)static_uj,
                (double)busy_ns / NS_PER_S);
        for (unsigned int i = 0; i < o->npackages; i++) {
                const struct package *p = &s->packages[i];

                fprintf(out,
                        "%s{\"package\":%d,\"energy_uj\":%llu,\"static_uj\":%llu,\"busy_s\":%.9f,",
                        i > 0 ? "," : "", o->package_id[i], (unsigned long long)package_uj(p),
                        (unsigned long long)p->static_uj, (double)p->busy_ns / NS_PER_S);
                if (o->dram)
                        fprintf(out, "\"dram_energy_uj\":%llu,\"dram_static_uj\":%llu}",
                                (unsigned long long)dram_uj(p),
                                (unsigned long long)p->dram_static_uj);
                else
                        fprintf(out, "\"dram_energy_uj\":null,\"dram_static_uj\":null}");
        }
        fprintf(out, "]}\n");
}

/* Replace the truth file by renaming, so that a reader always has a whole one. */
static int write_truth(struct sim *s, bool running)
{
        const char *path = s->options.truth;
        char temporary[4096];
        bool failed;
        FILE *f;

        if (!path)
                return 0;
        if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
                return complain("cannot write", path, -ENAMETOOLONG);
        f = fopen(temporary, "we");
        if (!f)
                return complain("cannot write", temporary, -errno);
        print_truth(s, running, f);
        failed = ferror(f);
        if (fclose(f) != 0 || failed)
                return complain("cannot write", temporary, -EIO);
        if (rename(temporary, path) < 0)
                return complain("cannot write", path, -errno);
        s->truth_written_ns = s->now_ns;
        return 0;
}

static struct timespec timespec_of(uint64_t ns)
{
        return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S),
                                 .tv_nsec = (long)(ns % NS_PER_S)};
}

/* The clock of the steps; periods that were missed need no making up: a step covers them all. */
static int start_timer(const struct sim *s, uint64_t *first_ns)
{
        uint64_t period_ns = s->options.period_ns;
        struct itimerspec timer;
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

        *first_ns = (clock_ns(CLOCK_MONOTONIC) / period_ns + 2) * period_ns - period_ns / 8;
        timer = (struct itimerspec){.it_interval = timespec_of(period_ns),
                                    .it_value = timespec_of(*first_ns)};
        if (fd < 0)
                return -errno;
        if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL) < 0) {
                int error = -errno;

                close(fd);
                return error;
        }
        return fd;
}

static int run(struct sim *s)
{
        const struct sim_options *o = &s->options;
        uint64_t next_ns = 0;
        int timer_fd, r;

        timer_fd = start_timer(s, &next_ns);
        if (timer_fd < 0)
                return complain("cannot start", "timer", timer_fd);
        r = write_truth(s, true);
        while (r == 0 && !stop_requested &&
               (o->duration_ns == 0 || s->now_ns - s->start_ns < o->duration_ns)) {
                uint64_t periods;

                if (read(timer_fd, &periods, sizeof(periods)) < 0) {
                        if (errno != EINTR)
                                r = complain("cannot wait for", "timer", -errno);
                        continue;
                }
                next_ns += periods * o->period_ns;
                r = step(s, next_ns - o->period_ns);
                if (periods > 1)
                        s->late_steps++;
                if (r == 0 && s->now_ns - s->truth_written_ns >= TRUTH_PERIOD_NS)
                        r = write_truth(s, true);
        }
        close(timer_fd);
        if (r == 0)
                r = step(s, clock_ns(CLOCK_MONOTONIC));
        return r == 0 ? write_truth(s, false) : r;
}

/* A meter is not kept waiting by a busy machine: go before ordinary processes where allowed. */
static bool become_punctual(void)
{
        const struct sched_param lowest = {.sched_priority = 1};

        prctl(PR_SET_TIMERSLACK, 1UL);
        return sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest) == 0;
}

static int start(struct sim *s)
{
        const struct sim_options *o = &s->options;
        const struct sigaction action = {.sa_handler = on_stop_signal};
        bool punctual;
        int r;

        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGINT, &action, NULL);
        r = busy_time_open(&s->busy, o->busy, o->ncpus);
        if (r < 0)
                return complain("no busy time from", busy_source_name(o->busy), r);
        if (o->dram) {
                r = used_memory_open(&s->memory, o);
                if (r < 0)
                        return complain("cannot open", "meminfo", r);
        }
        r = make_tree(s);
        if (r < 0)
                return r;
        r = busy_time_read(&s->busy, s->busy_before_ns);
        if (r < 0)
                return complain("cannot read busy time from", busy_source_name(s->busy.source), r);
        s->start_ns = s->now_ns = clock_ns(CLOCK_MONOTONIC);
        punctual = become_punctual();
        fprintf(stderr, "energysim: %u packages, busy time from %s, real-time priority: %s\n",
                o->npackages, busy_source_name(s->busy.source), punctual ? "yes" : "no");
        if (o->exact && !punctual)
                return complain("cannot be exact", "without real-time priority", -EPERM);
        return read_memory(s);
}

int main(int argc, char **argv)
{
        /* Too large for a stack that may be limited; the only one there is. */
        static struct sim s = {.busy.fd = -1, .tree.root_fd = -1, .tree.control_fd = -1};
        int r;

        r = sim_options_parse(&s.options, argc, argv);
        if (r != 0)
                return r > 0 ? EXIT_SUCCESS : 2;
        r = start(&s);
        if (r == 0) {
                puts("ready");
                fflush(stdout);
                r = run(&s);
                print_truth(&s, false, stdout);
        }
        zone_tree_close(&s.tree);
        used_memory_close(&s.memory);
        busy_time_close(&s.busy);
        if (fflush(stdout) != 0)
                r = complain("cannot write to", "stdout", -errno);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
