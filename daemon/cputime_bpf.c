/* SPDX-License-Identifier: MIT */
/*
 * CPU accounting by the BPF probe: loading it, and making it charge the running threads at each
 * tick. What it has written is read by rows.c.
 */
#include "cputime.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "probe.h"
#include "probe.skel.h"
#include "probe_kernel.h"
#include "rows.h"

#define ROWS_MIN          1024u
#define ROWS_MAX          (1u << 22) /* the kernel's PID_MAX_LIMIT: more processes cannot be */
#define ADOPT_INTERVAL_NS NS_PER_S

struct mapping {
        void *memory;
        size_t size;
};

struct maps {
        struct mapping rows, infos, cpus, places;
};

struct bpf_accounting {
        struct probe *skel;
        bool raw;          /* attached through raw_tp */
        bool can_name_rqs; /* tick_all works; else tick_here */
        struct probe_kernel kernel;
        bool own_irq; /* the probe does */
        char *proc_root;
        struct maps maps;
        struct rows rows;
        unsigned int nslots, ncpus;
        uint32_t nrows;
        uint64_t adopted_ns;
        uint64_t unseen_switches; /* at the last adoption */
        char description[64];
};

/* Let the kernel charge the threads that are running now. */
static int running_charge(struct bpf_accounting *b)
{
        uint64_t args[1] = {0};
        LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = sizeof(args));
        int fd, r = 0;

        __atomic_fetch_add(&b->skel->bss->control.tick, 1, __ATOMIC_RELAXED);
        if (b->can_name_rqs) {
                fd = bpf_program__fd(b->skel->progs.tick_all);
                for (unsigned int first = 0; first < b->ncpus && r >= 0; first += TICK_CHUNK) {
                        args[0] = first;
                        r = bpf_prog_test_run_opts(fd, &opts);
                }
                return r;
        }
        /* An idle CPU is left alone: bit 0 of idle_word. */
        fd = bpf_program__fd(b->skel->progs.tick_here);
        opts.flags = BPF_F_TEST_RUN_ON_CPU;
        for (unsigned int cpu = 0; cpu < b->ncpus; cpu++) {
                if (!b->rows.seen[cpu].online ||
                    __atomic_load_n(&b->rows.shared.cpus[cpu].idle_word, __ATOMIC_RELAXED) & 1)
                        continue;
                opts.cpu = cpu;
                r = bpf_prog_test_run_opts(fd, &opts);
                if (r < 0 && r != -ENXIO) /* gone offline just now */
                        return r;
        }
        return 0;
}

/* ---- threads that exist, or were missed ---- */

static int adopt_all(struct bpf_accounting *b)
{
        struct bpf_link *link = bpf_program__attach_iter(b->skel->progs.adopt, NULL);
        char sink[64];
        ssize_t n;
        int fd;

        if (!link)
                return -errno;
        fd = bpf_iter_create(bpf_link__fd(link));
        if (fd < 0) {
                int r = -errno;

                bpf_link__destroy(link);
                return r;
        }
        do
                n = read(fd, sink, sizeof(sink));
        while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
        close(fd);
        bpf_link__destroy(link);
        b->adopted_ns = monotonic_ns();
        b->unseen_switches = b->skel->bss->counters.unseen_switches;
        return n < 0 ? -errno : 0;
}

static int bpf_collect(void *state, bool force, struct cputime_totals *totals,
                       struct cputime_losses *losses)
{
        struct bpf_accounting *b = state;
        uint64_t unseen = __atomic_load_n(&b->skel->bss->counters.unseen_switches,
                                          __ATOMIC_RELAXED);
        int r;

        (void)force;
        if (unseen != b->unseen_switches &&
            b->rows.collected_ns - b->adopted_ns > ADOPT_INTERVAL_NS)
                (void)adopt_all(b);
        r = running_charge(b);
        if (r >= 0)
                r = rows_collect(&b->rows, totals, losses);
        if (r < 0)
                return r;
        losses->unseen_ns = __atomic_load_n(&b->skel->bss->counters.unseen_ns, __ATOMIC_RELAXED);
        rows_collect_cpus(&b->rows, totals, monotonic_ns(), b->own_irq);
        totals->idle_known = b->kernel.has_clocks;
        totals->irq_known = b->own_irq || (b->kernel.accounts_irq && b->kernel.has_clocks);
        return 1;
}

/* It costs no more to read them all. */
static int bpf_meet(void *state, pid_t pid, struct cputime_totals *totals,
                    struct cputime_losses *losses)
{
        (void)pid;
        return bpf_collect(state, true, totals, losses);
}

/* ---- open and close ---- */

static void mapping_unmap(struct mapping *m)
{
        if (m->memory)
                munmap(m->memory, m->size);
        m->memory = NULL;
}

static int mapping_map(struct mapping *m, const struct bpf_map *map, size_t bytes)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *memory;

        m->size = (bytes + page - 1) & ~(page - 1);
        memory = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
        if (memory == MAP_FAILED)
                return -errno;
        m->memory = memory;
        return 0;
}

static void bpf_set_topology(void *state, const struct topology *topology)
{
        rows_set_topology(&((struct bpf_accounting *)state)->rows, topology);
}

static void bpf_close(void *state)
{
        struct bpf_accounting *b = state;

        mapping_unmap(&b->maps.rows);
        mapping_unmap(&b->maps.infos);
        mapping_unmap(&b->maps.cpus);
        mapping_unmap(&b->maps.places);
        probe__destroy(b->skel);
        rows_deinit(&b->rows);
        free(b->proc_root);
        free(b);
}

/* libbpf's last complaint, for `why`. */
static _Thread_local char libbpf_said[256];

static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
        char line[256];

        if (level == LIBBPF_DEBUG)
                return 0;
        vsnprintf(line, sizeof(line), format, args);
        line[strcspn(line, "\n")] = '\0';
        if (level == LIBBPF_WARN && !libbpf_said[0])
                memcpy(libbpf_said, line, sizeof(line));
        log_debug("%s", line);
        return 0;
}

static uint32_t power_of_two(uint32_t n)
{
        uint32_t p = ROWS_MIN;

        while (p < n && p < ROWS_MAX)
                p *= 2;
        return p;
}

static void set_irq_programs(struct probe *skel, bool on)
{
        bpf_program__set_autoload(skel->progs.on_irq_enter, on);
        bpf_program__set_autoload(skel->progs.on_irq_leave, on);
        bpf_program__set_autoload(skel->progs.on_timer_enter, on);
        bpf_program__set_autoload(skel->progs.on_timer_leave, on);
        bpf_program__set_autoload(skel->progs.on_softirq_enter, on);
        bpf_program__set_autoload(skel->progs.on_softirq_leave, on);
}

/* The period of the scheduler's tick: the coarse clock moves with it. */
static uint64_t sched_tick_ns(void)
{
        struct timespec period;

        clock_getres(CLOCK_MONOTONIC_COARSE, &period);
        return (uint64_t)period.tv_sec * NS_PER_S + (uint64_t)period.tv_nsec;
}

static int skel_load(struct bpf_accounting *b, bool raw)
{
        struct probe *skel = probe__open();
        int r;

        if (!skel)
                return -errno;
        skel->rodata->nslots = b->nslots;
        skel->rodata->ncpus = b->ncpus;
        skel->rodata->nrows_mask = b->nrows - 1;
        skel->rodata->count_irq = b->own_irq;
        skel->rodata->sched_tick_ns = sched_tick_ns();
        bpf_program__set_autoload(skel->progs.on_switch, !raw);
        bpf_program__set_autoload(skel->progs.on_switch_raw, raw);
        set_irq_programs(skel, b->own_irq);
        bpf_program__set_autoattach(skel->progs.adopt, false);
        bpf_program__set_autoload(skel->progs.tick_all, b->can_name_rqs);
        bpf_program__set_autoload(skel->progs.tick_here, !b->can_name_rqs);
        bpf_program__set_autoattach(skel->progs.tick_all, false);
        bpf_program__set_autoattach(skel->progs.tick_here, false);
        if ((r = bpf_map__set_max_entries(skel->maps.rows, b->nrows)) < 0 ||
            (r = bpf_map__set_value_size(skel->maps.rows, (uint32_t)rows_stride(b->nslots))) < 0 ||
            (r = bpf_map__set_max_entries(skel->maps.infos, b->nrows)) < 0 ||
            (r = bpf_map__set_max_entries(skel->maps.places, b->nrows)) < 0 ||
            (r = bpf_map__set_max_entries(skel->maps.cpus, b->ncpus)) < 0 ||
            (r = probe__load(skel)) < 0) {
                probe__destroy(skel);
                return r;
        }
        b->skel = skel;
        b->raw = raw;
        return 0;
}

/* With tp_btf, or with raw_tp where the kernel does not take that. */
static int skel_load_any(struct bpf_accounting *b)
{
        int r = skel_load(b, false);

        return r < 0 && r != -EPERM && r != -ENOMEM ? skel_load(b, true) : r;
}

static int memory_init(struct bpf_accounting *b, struct processes *ps)
{
        struct probe *skel = b->skel;
        struct maps *m = &b->maps;
        int r;

        if ((r = mapping_map(&m->rows, skel->maps.rows, b->nrows * rows_stride(b->nslots))) < 0 ||
            (r = mapping_map(&m->infos, skel->maps.infos, b->nrows * sizeof(struct row_info))) <
                    0 ||
            (r = mapping_map(&m->places, skel->maps.places, b->nrows * sizeof(struct row_place))) <
                    0 ||
            (r = mapping_map(&m->cpus, skel->maps.cpus, b->ncpus * sizeof(struct cpu_state))) < 0)
                return r;
        struct rows_memory shared = {.rows = m->rows.memory,
                                     .infos = m->infos.memory,
                                     .places = m->places.memory,
                                     .cpus = m->cpus.memory,
                                     .control = &skel->bss->control,
                                     .counters = &skel->bss->counters};

        return rows_init(&b->rows, &shared, b->nrows, b->nslots, b->ncpus, ps, b->proc_root);
}

/* Time before now is nobody's: take it out and forget it. */
static int start(struct bpf_accounting *b)
{
        struct cputime_totals totals = {0};
        struct cputime_losses losses = {0};
        int r;

        /* Not what cpu_state.synced begins with: each CPU takes its clock at its first switch. */
        b->skel->bss->control.tick = 1;
        r = probe__attach(b->skel);
        if (r < 0)
                return r;
        r = adopt_all(b);
        if (r < 0)
                return r;
        __atomic_store_n(&b->skel->bss->control.started, 1, __ATOMIC_SEQ_CST);
        b->rows.collected_ns = monotonic_ns();
        return bpf_collect(b, true, &totals, &losses);
}

static int bpf_open(void **ret, const struct cputime_config *config,
                    const struct topology *topology, struct processes *ps, char *why,
                    size_t why_size)
{
        struct bpf_accounting *b = calloc(1, sizeof(*b));
        const char *step = "load";
        int r = probe_kernel_check_namespace(config->proc_root, why, why_size);

        if (!b || r < 0) {
                free(b);
                return b ? r : -ENOMEM;
        }
        libbpf_set_print(libbpf_print);
        libbpf_said[0] = '\0';
        b->nslots = topology->nslots;
        b->ncpus = topology->ncpus;
        b->nrows = power_of_two(config->max_processes);
        b->kernel = probe_kernel_running();
        b->can_name_rqs = probe_kernel_names_runqueues(config->proc_root);
        b->own_irq = config->irq && !b->kernel.accounts_irq;
        b->proc_root = strdup(config->proc_root);
        r = b->proc_root ? skel_load_any(b) : -ENOMEM;
        if (r < 0 && r != -EPERM && r != -ENOMEM && b->can_name_rqs) {
                b->can_name_rqs = false;
                r = skel_load_any(b);
        }
        if (r >= 0) {
                step = "map its tables";
                r = memory_init(b, ps);
        }
        if (r >= 0) {
                step = "attach";
                bpf_set_topology(b, topology);
                r = start(b);
        }
        if (r < 0) {
                snprintf(why, why_size, "bpf: cannot %s the probe: %s%s%s", step, strerror(-r),
                         libbpf_said[0] ? ": " : "", libbpf_said);
                if (b->skel)
                        bpf_close(b);
                else {
                        free(b->proc_root);
                        free(b);
                }
                return r;
        }
        snprintf(b->description, sizeof(b->description), "bpf (%s sched_switch%s%s)",
                 b->raw ? "raw_tp" : "tp_btf", b->own_irq ? ", interrupts" : "",
                 b->can_name_rqs ? "" : ", ticks on each CPU");
        *ret = b;
        return 0;
}

static const char *bpf_describe(const void *state)
{
        return ((const struct bpf_accounting *)state)->description;
}

static const char *bpf_precision(const void *state)
{
        (void)state;
        return "every thread from birth to exit, in nanoseconds of the scheduler's clock";
}

const struct cputime_driver cputime_bpf = {
        .name = "bpf",
        .open = bpf_open,
        .collect = bpf_collect,
        .meet = bpf_meet,
        .set_topology = bpf_set_topology,
        .describe = bpf_describe,
        .precision = bpf_precision,
        .exact = true,
        .close = bpf_close,
};
