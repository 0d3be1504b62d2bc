/* SPDX-License-Identifier: MIT */
/*
 * CPU accounting by the BPF probe.  bpf/probe.h says how the two halves work together and why
 * nothing is lost or counted twice; this is the daemon's half.
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

#include "log.h"
#include "probe.h"
#include "probe.skel.h"
#include "procfs.h"

#define NS_PER_S          1000000000ull
#define CACHE_LINE        64u
#define ROWS_MIN          1024u
#define ROWS_MAX          (1u << 22) /* the kernel's PID_MAX_LIMIT: more processes cannot be */
#define ADOPT_INTERVAL_NS NS_PER_S

struct mapping {
        void *memory;
        size_t size;
};

/* A CPU's sums at the last collection. */
struct cpu_seen {
        int64_t idle_ns;
        uint64_t irq_ns;
        uint64_t stolen_ns;
};

struct bpf_accounting {
        struct probe *skel;
        bool raw;          /* attached through raw_tp */
        bool can_name_rqs; /* tick_all works; else tick_here */
        bool kernel_irq;   /* the kernel takes interrupt time off by itself */
        bool own_irq;      /* the probe does */
        char *proc_root;
        struct processes *ps;

        unsigned int nslots, ncpus;
        uint32_t nrows;
        size_t row_size;
        struct mapping rows, infos, cpus, places;

        struct process **owner; /* by row; NULL: free, or not met yet */
        uint16_t *renames;      /* by row: the last value seen */
        uint32_t *dying;        /* rows with no live thread, not freed yet */
        uint32_t ndying;
        bool *is_dying; /* by row */
        uint32_t queue_head;

        bool *online;          /* by CPU */
        struct cpu_seen *seen; /* by CPU */
        unsigned int nonline;
        uint64_t collected_ns; /* CLOCK_MONOTONIC of the last collection */
        uint64_t adopted_ns;
        uint64_t unseen_switches; /* at the last adoption */
        char description[64];
};

struct place { /* as in probe.bpf.c */
        uint32_t dirty_row;
        uint32_t free_row;
};

static struct row *row_at(const struct bpf_accounting *b, uint32_t number)
{
        return (struct row *)((char *)b->rows.memory + (size_t)number * b->row_size);
}

static struct row_info *info_at(const struct bpf_accounting *b, uint32_t number)
{
        return (struct row_info *)b->infos.memory + number;
}

static struct cpu_state *cpu_at(const struct bpf_accounting *b, unsigned int cpu)
{
        return (struct cpu_state *)b->cpus.memory + cpu;
}

static struct place *place_at(const struct bpf_accounting *b, uint32_t at)
{
        return (struct place *)b->places.memory + (at & (b->nrows - 1));
}

static uint64_t monotonic_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- rows ---- */

static void row_free(struct bpf_accounting *b, uint32_t number)
{
        struct probe__bss *bss = b->skel->bss;
        struct row *row = row_at(b, number);
        uint32_t tail = bss->control.free_tail;

        b->owner[number] = NULL;
        info_at(b, number)->tgid = 0;
        row->dead = 0;
        row->renames = 0;
        row->generation++;
        place_at(b, tail)->free_row = number;
        /* The probe reads free_tail, then the place, then owns the row. */
        __atomic_store_n(&bss->control.free_tail, tail + 1, __ATOMIC_RELEASE);
}

static struct process *row_parent(const struct bpf_accounting *b, const struct row_info *info)
{
        if (info->parent >= ROW_FIRST && info->parent < b->nrows &&
            row_at(b, info->parent)->generation == info->parent_generation)
                return b->owner[info->parent];
        return NULL;
}

static int row_birth(struct bpf_accounting *b, uint32_t number)
{
        const struct row_info *info = info_at(b, number);
        struct process *parent = row_parent(b, info);
        char comm[PROCESS_COMM_MAX];

        memcpy(comm, info->comm, sizeof(comm));
        comm[sizeof(comm) - 1] = '\0';
        if (!parent) {
                /* Older than the probe, and met before its parent. */
                pid_t ppid = procfs_ppid(b->proc_root, (pid_t)info->tgid);

                if (ppid > 0)
                        parent = processes_find(b->ps, ppid);
        }
        return processes_birth(b->ps, &b->owner[number], (pid_t)info->tgid, info->start_ns, comm,
                               info->flags & ROW_KTHREAD, parent);
}

/* Take out of a row what is in it. */
static int row_visit(struct bpf_accounting *b, uint32_t number, struct cputime_totals *totals,
                     struct cputime_losses *losses)
{
        struct row *row = row_at(b, number);
        struct process *p;
        int r = 0;

        /* Clear the mark, full barrier, then read: see probe.h, 3. */
        __atomic_exchange_n(&row->dirty, 0, __ATOMIC_SEQ_CST);
        if (number != ROW_LOST) {
                if (!info_at(b, number)->tgid)
                        return 0;
                if (!b->owner[number]) {
                        r = row_birth(b, number);
                        if (r < 0)
                                return r;
                }
        }
        p = b->owner[number];
        if (p) {
                p->threads = __atomic_load_n(&row->live, __ATOMIC_ACQUIRE);
                if (p->threads == 0 && !b->is_dying[number]) {
                        b->is_dying[number] = true;
                        b->dying[b->ndying++] = number;
                }
                if (row->renames != b->renames[number]) {
                        char comm[PROCESS_COMM_MAX];

                        b->renames[number] = row->renames;
                        memcpy(comm, info_at(b, number)->comm, sizeof(comm));
                        comm[sizeof(comm) - 1] = '\0';
                        process_rename(p, comm);
                }
        }
        for (unsigned int slot = 0; slot <= b->nslots; slot++) {
                int64_t ns;

                if (!__atomic_load_n(&row->ns[slot], __ATOMIC_RELAXED))
                        continue;
                ns = __atomic_exchange_n(&row->ns[slot], 0, __ATOMIC_SEQ_CST);
                if (p) {
                        int64_t debt = p->debt_ns[slot];

                        r = processes_ran(b->ps, p, slot, ns);
                        if (r < 0)
                                return r;
                        /* what was charged: what came, less what is now owed, plus what was */
                        totals->busy_ns[slot] += (uint64_t)(ns + debt - p->debt_ns[slot]);
                } else {
                        losses->lost_ns += (uint64_t)ns;
                }
                if (slot == b->nslots)
                        losses->unplaced_ns += (uint64_t)ns;
        }
        return 0;
}

/* Visit every row in the queue.  *drained: the queue was read to its end. */
static int queue_drain(struct bpf_accounting *b, struct cputime_totals *totals,
                       struct cputime_losses *losses, bool *drained)
{
        uint32_t tail = (uint32_t)__atomic_load_n(&b->skel->bss->counters.queue_tail,
                                                  __ATOMIC_ACQUIRE);

        while (b->queue_head != tail) {
                struct place *place = place_at(b, b->queue_head);
                uint32_t number = __atomic_load_n(&place->dirty_row, __ATOMIC_ACQUIRE);
                int r;

                if (!number) { /* its writer is on the way: next time */
                        *drained = false;
                        return 0;
                }
                __atomic_store_n(&place->dirty_row, 0, __ATOMIC_RELEASE);
                b->queue_head++;
                r = row_visit(b, number, totals, losses);
                if (r < 0)
                        return r;
        }
        *drained = true;
        return 0;
}

/* Free the rows that are dead, when all that was queued before they died has been read. */
static int dying_free(struct bpf_accounting *b, struct cputime_totals *totals,
                      struct cputime_losses *losses)
{
        uint32_t dead = 0, kept = 0;
        bool drained;
        int r;

        /* To the front those that the probe has finished with ... */
        for (uint32_t i = 0; i < b->ndying; i++) {
                uint32_t number = b->dying[i];

                if (__atomic_load_n(&row_at(b, number)->dead, __ATOMIC_ACQUIRE)) {
                        b->dying[i] = b->dying[dead];
                        b->dying[dead++] = number;
                }
        }
        if (!dead)
                return 0;
        /* ... then the rest of the queue: entries of theirs, births of their children. */
        r = queue_drain(b, totals, losses, &drained);
        if (r < 0 || !drained)
                return r;
        for (uint32_t i = 0; i < b->ndying; i++) {
                uint32_t number = b->dying[i];

                if (i >= dead) {
                        b->dying[kept++] = number;
                        continue;
                }
                b->is_dying[number] = false;
                /* Alive after all: a thread that was adopted after another had ended. */
                if (__atomic_load_n(&row_at(b, number)->live, __ATOMIC_ACQUIRE))
                        continue;
                processes_death(b->ps, b->owner[number]);
                row_free(b, number);
        }
        b->ndying = kept;
        return 0;
}

/* ---- CPUs ---- */

static void cpus_collect(struct bpf_accounting *b, struct cputime_totals *totals)
{
        uint64_t now = monotonic_ns();

        for (unsigned int cpu = 0; cpu < b->ncpus; cpu++) {
                struct cpu_state *c = cpu_at(b, cpu);
                struct cpu_seen *seen = &b->seen[cpu];
                int64_t word = __atomic_load_n(&c->idle_word, __ATOMIC_RELAXED), idle = word >> 1;
                uint64_t irq = __atomic_load_n(&c->irq_ns, __ATOMIC_RELAXED);
                uint64_t stolen = __atomic_load_n(&c->stolen_ns, __ATOMIC_RELAXED);
                uint32_t slot = c->slot < 0 || (unsigned int)c->slot >= b->nslots
                                        ? b->nslots
                                        : (uint32_t)c->slot;

                if (word & 1)
                        idle += (int64_t)(now + (uint64_t)c->clock_offset_ns -
                                          (b->own_irq ? irq : 0));
                if (b->online[cpu]) {
                        /* The clock of a CPU that has long been idle runs ahead of its next reading
                         * by the interrupts meanwhile: wait for it, never count back. */
                        if (idle > seen->idle_ns)
                                totals->idle_ns += (uint64_t)(idle - seen->idle_ns);
                        totals->irq_ns[slot] += irq - seen->irq_ns;
                        totals->stolen_ns += stolen - seen->stolen_ns;
                }
                if (!b->online[cpu] || idle > seen->idle_ns)
                        seen->idle_ns = idle;
                seen->irq_ns = irq;
                seen->stolen_ns = stolen;
        }
        totals->cpu_wall_ns += b->nonline * (now - b->collected_ns);
        totals->idle_known = true;
        totals->irq_known = b->own_irq || b->kernel_irq;
        b->collected_ns = now;
}

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
                if (!b->online[cpu] ||
                    __atomic_load_n(&cpu_at(b, cpu)->idle_word, __ATOMIC_RELAXED) & 1)
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
        const struct probe_counters *counters = &b->skel->bss->counters;
        bool drained;
        int r;

        (void)force;
        if (__atomic_load_n(&counters->unseen_switches, __ATOMIC_RELAXED) != b->unseen_switches &&
            b->collected_ns - b->adopted_ns > ADOPT_INTERVAL_NS)
                (void)adopt_all(b);
        r = running_charge(b);
        if (r < 0)
                return r;
        r = queue_drain(b, totals, losses, &drained);
        if (r < 0)
                return r;
        r = dying_free(b, totals, losses);
        if (r < 0)
                return r;
        cpus_collect(b, totals);
        losses->hidden_switches = __atomic_load_n(&counters->hidden_switches, __ATOMIC_RELAXED);
        losses->merged = __atomic_load_n(&counters->merged, __ATOMIC_RELAXED);
        losses->lost_threads = __atomic_load_n(&counters->lost_threads, __ATOMIC_RELAXED);
        return 1;
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
        struct bpf_accounting *b = state;

        b->nonline = 0;
        for (unsigned int cpu = 0; cpu < b->ncpus; cpu++) {
                const struct topology_cpu *t = cpu < topology->ncpus ? &topology->cpus[cpu] : NULL;

                cpu_at(b, cpu)->slot = t && t->slot < (int)b->nslots ? t->slot : -1;
                b->online[cpu] = t && t->online;
                b->nonline += b->online[cpu];
        }
}

static void bpf_close(void *state)
{
        struct bpf_accounting *b = state;

        mapping_unmap(&b->rows);
        mapping_unmap(&b->infos);
        mapping_unmap(&b->cpus);
        mapping_unmap(&b->places);
        probe__destroy(b->skel);
        free(b->proc_root);
        free(b->owner);
        free(b->renames);
        free(b->dying);
        free(b->is_dying);
        free(b->online);
        free(b->seen);
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

/* CONFIG_IRQ_TIME_ACCOUNTING: its per-CPU variable is there. */
static bool kernel_accounts_irq(void)
{
        struct btf *btf = btf__load_vmlinux_btf();
        bool found = btf && btf__find_by_name_kind(btf, "cpu_irqtime", BTF_KIND_VAR) > 0;

        btf__free(btf);
        return found;
}

/* BPF may name a kernel variable when kallsyms has it, which needs CONFIG_KALLSYMS_ALL. */
static bool kernel_names_runqueues(const char *proc_root)
{
        char path[PATH_MAX], line[256];
        bool found = false;
        FILE *f;

        snprintf(path, sizeof(path), "%s/kallsyms", proc_root);
        f = fopen(path, "re");
        if (!f)
                return false;
        while (!found && fgets(line, sizeof(line), f)) {
                char symbol[128];

                found = sscanf(line, "%*s %*s %127s", symbol) == 1 &&
                        strcmp(symbol, "runqueues") == 0;
        }
        fclose(f);
        return found;
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
        bpf_program__set_autoload(skel->progs.on_switch, !raw);
        bpf_program__set_autoload(skel->progs.on_switch_raw, raw);
        set_irq_programs(skel, b->own_irq);
        bpf_program__set_autoattach(skel->progs.adopt, false);
        bpf_program__set_autoload(skel->progs.tick_all, b->can_name_rqs);
        bpf_program__set_autoload(skel->progs.tick_here, !b->can_name_rqs);
        bpf_program__set_autoattach(skel->progs.tick_all, false);
        bpf_program__set_autoattach(skel->progs.tick_here, false);
        if ((r = bpf_map__set_max_entries(skel->maps.rows, b->nrows)) < 0 ||
            (r = bpf_map__set_value_size(skel->maps.rows, (uint32_t)b->row_size)) < 0 ||
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

static int memory_init(struct bpf_accounting *b)
{
        int r;

        if ((r = mapping_map(&b->rows, b->skel->maps.rows, b->nrows * b->row_size)) < 0 ||
            (r = mapping_map(&b->infos, b->skel->maps.infos, b->nrows * sizeof(struct row_info))) <
                    0 ||
            (r = mapping_map(&b->places, b->skel->maps.places, b->nrows * sizeof(struct place))) <
                    0 ||
            (r = mapping_map(&b->cpus, b->skel->maps.cpus, b->ncpus * sizeof(struct cpu_state))) <
                    0)
                return r;
        b->owner = calloc(b->nrows, sizeof(*b->owner));
        b->renames = calloc(b->nrows, sizeof(*b->renames));
        b->dying = calloc(b->nrows, sizeof(*b->dying));
        b->is_dying = calloc(b->nrows, sizeof(*b->is_dying));
        b->online = calloc(b->ncpus, sizeof(*b->online));
        b->seen = calloc(b->ncpus, sizeof(*b->seen));
        if (!b->owner || !b->renames || !b->dying || !b->is_dying || !b->online || !b->seen)
                return -ENOMEM;
        for (unsigned int cpu = 0; cpu < b->ncpus; cpu++)
                cpu_at(b, cpu)->expected_pid = PID_UNKNOWN;
        for (uint32_t i = 0; i + ROW_FIRST < b->nrows; i++)
                place_at(b, i)->free_row = i + ROW_FIRST;
        b->skel->bss->control.free_tail = b->nrows - ROW_FIRST;
        return 0;
}

/* Time before now is nobody's: take it out and forget it. */
static int start(struct bpf_accounting *b)
{
        struct cputime_totals totals = {0};
        struct cputime_losses losses = {0};
        int r;

        r = probe__attach(b->skel);
        if (r < 0)
                return r;
        r = adopt_all(b);
        if (r < 0)
                return r;
        __atomic_store_n(&b->skel->bss->control.started, 1, __ATOMIC_SEQ_CST);
        b->collected_ns = monotonic_ns();
        return bpf_collect(b, true, &totals, &losses);
}

static int bpf_open(void **ret, const struct cputime_config *config,
                    const struct topology *topology, struct processes *ps, char *why,
                    size_t why_size)
{
        struct bpf_accounting *b = calloc(1, sizeof(*b));
        const char *step = "load";
        int r;

        if (!b)
                return -ENOMEM;
        libbpf_set_print(libbpf_print);
        libbpf_said[0] = '\0';
        b->ps = ps;
        b->nslots = topology->nslots;
        b->ncpus = topology->ncpus;
        b->nrows = power_of_two(config->max_processes);
        b->row_size = (sizeof(struct row) + (b->nslots + 1) * sizeof(int64_t) + CACHE_LINE - 1) &
                      ~(size_t)(CACHE_LINE - 1);
        b->kernel_irq = kernel_accounts_irq();
        b->can_name_rqs = kernel_names_runqueues(config->proc_root);
        b->own_irq = config->irq && !b->kernel_irq;
        b->proc_root = strdup(config->proc_root);
        r = b->proc_root ? skel_load(b, false) : -ENOMEM;
        if (r < 0 && r != -EPERM && r != -ENOMEM)
                r = skel_load(b, true);
        if (r >= 0) {
                step = "map its tables";
                r = memory_init(b);
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
        snprintf(b->description, sizeof(b->description), "bpf (%s sched_switch%s)",
                 b->raw ? "raw_tp" : "tp_btf", b->own_irq ? ", interrupts" : "");
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
        .set_topology = bpf_set_topology,
        .describe = bpf_describe,
        .precision = bpf_precision,
        .exact = true,
        .close = bpf_close,
};
