/* SPDX-License-Identifier: MIT */
/*
 * msr: RAPL's counters in the processor's model-specific registers, through /dev/cpu/N/msr
 * (msr(4)).
 *
 * A counter is 32 bits wide and counts a power of two of joules.  It is handed out as it stands,
 * in microjoules rounded down, with the range that belongs to it: 2^32 counts of 1/2^n J are a
 * whole number of microjoules for each n that the unit register can hold, so that differences
 * modulo (range + 1) are exact over every wrap, and nothing is kept here.
 *
 * One CPU is asked for each package (each die, where the registers are the die's).  Any CPU of it
 * tells the same, so when one goes offline the next is asked and nothing is lost.
 *
 * AMD has a counter in each core and none for all of them.  The domain is their sum, itself modulo
 * 2^32 counts, taken twice a second: reading a register wakes its core.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cpulist.h"
#include "msr_model.h"
#include "rapl_domain.h"
#include "sysfs.h"

#define UJ_PER_J         UINT64_C(1000000)
#define COUNTER_MODULUS  (UINT64_C(1) << MSR_COUNTER_BITS)
#define COUNTER_MASK     (COUNTER_MODULUS - 1)
#define REOPEN_PERIOD_NS NS_PER_S
#define CORES_PERIOD_NS  UINT64_C(500000000)

/* Energy units: bits 12:8 of the unit register (Intel SDM vol. 3B 15.10.1, AMD PPR). */
#define UNIT_SHIFT 8
#define UNIT_MASK  0x1f

#define NO_MSR " (the kernel module msr is not loaded: 'modprobe msr')"

/* A package or die, and the CPU that is asked for it. */
struct place {
        int socket, die; /* die -1: the registers are the whole socket's */
        int fd;          /* -1: no CPU of it can be asked */
        int error;       /* why not */
        uint64_t retry_ns;
        int unit; /* n of the unit register's 1/2^n J */
};

/* A core whose own counter is a part of a sum. */
struct core {
        size_t domain;
        int fd;
        unsigned int cpu;
};

struct counter {
        const struct msr_register *reg;
        size_t place;
        int unit; /* 1/2^n J */
        /* of a sum over cores: */
        uint64_t read_ns; /* when it was last taken; 0: not yet */
        uint64_t counts;
        int error;
};

struct source {
        const struct topology *topology; /* refreshed by its owner; outlives the source */
        char *dev_root;
        struct place places[TOPOLOGY_MAX_SLOTS];
        size_t nplaces;
        struct core *cores;
        size_t ncores;
        /* by domain */
        struct counter counters[SOURCE_MAX_DOMAINS];
        struct domain domains[SOURCE_MAX_DOMAINS];
        size_t n;
};

static int open_cpu(const struct source *s, unsigned int cpu)
{
        char path[4096];
        int fd;

        if (snprintf(path, sizeof(path), "%s/cpu/%u/msr", s->dev_root, cpu) >= (int)sizeof(path))
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int read_register(int fd, uint32_t number, uint64_t *ret)
{
        ssize_t n;

        do
                n = pread(fd, ret, sizeof(*ret), number);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return n == sizeof(*ret) ? 0 : -ENXIO;
}

static bool belongs(const struct source *s, unsigned int cpu, const struct place *p)
{
        const struct topology_cpu *c = &s->topology->cpus[cpu];

        return c->socket == p->socket && (p->die < 0 || c->die == p->die);
}

/* Find a CPU of the place that answers.  0, or what the last one said. */
static int open_place(const struct source *s, struct place *p, uint32_t register_asked)
{
        uint64_t value;
        int r = -ENXIO;

        for (unsigned int cpu = 0; cpu < s->topology->ncpus; cpu++) {
                int fd;

                if (!belongs(s, cpu, p))
                        continue;
                fd = open_cpu(s, cpu);
                r = fd < 0 ? fd : read_register(fd, register_asked, &value);
                if (r == 0) {
                        p->fd = fd;
                        return 0;
                }
                if (fd >= 0)
                        close(fd);
        }
        return r;
}

/*
 * Read a register of a place.  EIO says that there is no such register (the processor refused), and
 * is no reason to ask another CPU; anything else is: this one has gone.
 */
static int read_place(const struct source *s, struct place *p, uint32_t number, uint64_t now_ns,
                      uint64_t *ret)
{
        int r;

        if (p->fd >= 0) {
                r = read_register(p->fd, number, ret);
                if (r == 0 || r == -EIO)
                        return r;
                close(p->fd);
                p->fd = -1;
        } else if (now_ns < p->retry_ns) {
                return p->error;
        }
        p->error = open_place(s, p, number);
        p->retry_ns = now_ns + REOPEN_PERIOD_NS;
        return p->error < 0 ? p->error : read_register(p->fd, number, ret);
}

/* Take the sum over the cores of a domain anew. */
static int read_cores(struct source *s, size_t domain, uint64_t *ret)
{
        uint64_t sum = 0, value;

        for (size_t i = 0; i < s->ncores; i++) {
                struct core *core = &s->cores[i];
                int r;

                if (core->domain != domain)
                        continue;
                if (core->fd < 0)
                        core->fd = open_cpu(s, core->cpu);
                /* a sum that leaves out a core would tell less than was used */
                if (core->fd < 0)
                        return core->fd;
                r = read_register(core->fd, s->counters[domain].reg->number, &value);
                if (r < 0) {
                        close(core->fd);
                        core->fd = -1;
                        return r;
                }
                sum += value;
        }
        *ret = sum & COUNTER_MASK;
        return 0;
}

static void read_sum(struct source *s, size_t domain, uint64_t now_ns)
{
        struct counter *c = &s->counters[domain];

        if (c->read_ns != 0 && now_ns - c->read_ns < CORES_PERIOD_NS)
                return;
        c->read_ns = now_ns;
        c->error = read_cores(s, domain, &c->counts);
}

static void msr_read(struct source *s, const struct source_input *input, struct reading *readings)
{
        uint64_t now_ns = input ? input->now_ns : monotonic_ns();

        for (size_t i = 0; i < s->n; i++) {
                struct counter *c = &s->counters[i];

                if (c->reg->per_core)
                        read_sum(s, i, now_ns);
                else
                        c->error = read_place(s, &s->places[c->place], c->reg->number, now_ns,
                                              &c->counts);
                readings[i].error = c->error;
                /* below 2^52: 2^32 counts of at most 1 J */
                if (c->error == 0)
                        readings[i].counter_uj = (c->counts & COUNTER_MASK) * UJ_PER_J >> c->unit;
        }
}

/* The packages, or the dies of those that have several. */
static int find_places(struct source *s, const struct msr_model *model)
{
        const struct topology *t = s->topology;

        for (unsigned int i = 0; i < t->nslots; i++) {
                const struct topology_slot *slot = &t->slots[i];
                struct place p = {.socket = slot->socket, .die = -1, .fd = -1, .unit = -1};
                size_t at = 0;

                if (model->per_die && rapl_dies_of(t, slot->socket) > 1)
                        p.die = slot->die;
                /* several nodes of one die are several slots */
                while (at < s->nplaces &&
                       (s->places[at].socket != p.socket || s->places[at].die != p.die))
                        at++;
                if (at == s->nplaces)
                        s->places[s->nplaces++] = p;
        }
        return s->nplaces > 0 ? 0 : -ENODEV;
}

static const char *remedy(int error)
{
        switch (error) {
        case -ENOENT:
                return NO_MSR;
        case -EACCES:
        case -EPERM:
                return "; run energatd as root";
        case -EIO:
                return " (the processor refuses, as in a virtual machine)";
        default:
                return "";
        }
}

/* Open the places and read their units.  One that does not answer does not stop the others. */
static int open_places(struct source *s, const struct msr_model *model, char *why)
{
        int unit = -1, r = -ENODEV;

        for (size_t i = 0; i < s->nplaces; i++) {
                struct place *p = &s->places[i];
                uint64_t value = 0;

                p->error = open_place(s, p, model->unit_register);
                if (p->error == 0)
                        p->error = read_register(p->fd, model->unit_register, &value);
                if (p->error < 0) {
                        r = p->error;
                        continue;
                }
                p->unit = (int)(value >> UNIT_SHIFT & UNIT_MASK);
                /* no processor counts energy in whole joules; hypervisors answer 0 */
                if (p->unit == 0) {
                        snprintf(why, SOURCE_WHY_MAX,
                                 "the unit register 0x%x reads 0x%llx (a virtual machine hides the "
                                 "meter)",
                                 model->unit_register, (unsigned long long)value);
                        return -ENODEV;
                }
                unit = p->unit;
        }
        if (unit < 0) {
                snprintf(why, SOURCE_WHY_MAX, "cannot read register 0x%x in %.100s/cpu/*/msr: %s%s",
                         model->unit_register, s->dev_root, strerror(-r), remedy(r));
                return r;
        }
        /* the processors of a machine are alike */
        for (size_t i = 0; i < s->nplaces; i++)
                if (s->places[i].unit < 0)
                        s->places[i].unit = unit;
        return 0;
}

static bool has_psys_of(const struct source *s, int socket)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->counters[i].reg->kind == DOMAIN_PSYS &&
                    s->places[s->counters[i].place].socket == socket)
                        return true;
        return false;
}

/*
 * Does the processor have what the model may have?  A register that is not there is refused or
 * reads 0 (perf_msr_probe() in the kernel's arch/x86/events/probe.c).  The package always has one:
 * if it does not answer, that is a fault of it.
 */
static bool has_register(const struct source *s, size_t place, const struct msr_register *reg)
{
        const struct place *p = &s->places[place];
        uint64_t value;

        if (reg->kind == DOMAIN_PACKAGE)
                return true;
        if (reg->kind == DOMAIN_PSYS && has_psys_of(s, p->socket))
                return false;
        return p->fd >= 0 && read_register(p->fd, reg->number, &value) == 0 &&
               (value & COUNTER_MASK) != 0;
}

static int add_counters(struct source *s, size_t place, const struct msr_model *model)
{
        const struct place *p = &s->places[place];

        for (size_t i = 0; model->registers[i]; i++) {
                const struct msr_register *reg = model->registers[i];
                struct counter c = {.reg = reg, .place = place};
                uint64_t modulus_uj, unit_uj;
                struct domain d;
                size_t at = s->n;

                if (!has_register(s, place, reg))
                        continue;
                if (s->n == SOURCE_MAX_DOMAINS)
                        return -E2BIG;
                c.unit = reg->unit == MSR_UNIT_OF_REGISTER ? p->unit : reg->unit;
                modulus_uj = COUNTER_MODULUS * UJ_PER_J >> c.unit;
                unit_uj = (modulus_uj + COUNTER_MODULUS / 2) >> MSR_COUNTER_BITS;
                rapl_domain_init(&d, reg->kind, p->socket, p->die);
                d.range_uj = modulus_uj - 1;
                /* a smaller step than 1 uJ is not seen */
                d.resolution_uj = unit_uj > 0 ? unit_uj : 1;
                for (; at > 0 && rapl_domain_compare(&s->domains[at - 1], &d) > 0; at--) {
                        s->domains[at] = s->domains[at - 1];
                        s->counters[at] = s->counters[at - 1];
                }
                s->domains[at] = d;
                s->counters[at] = c;
                s->n++;
        }
        return 0;
}

struct siblings {
        const struct topology *topology;
        unsigned int lowest; /* of those that are online */
};

static void visit_sibling(unsigned int cpu, void *arg)
{
        struct siblings *v = arg;

        if (cpu < v->lowest && v->topology->cpus[cpu].online)
                v->lowest = cpu;
}

/* Is the CPU the one that stands for its core?  1, 0, or a negative errno. */
static int leads_core(const struct source *s, unsigned int cpu, const char *sysfs_root)
{
        struct siblings v = {.topology = s->topology, .lowest = cpu};
        char text[SYSFS_TEXT_MAX];
        int r = sysfs_read(text, sizeof(text),
                           "%s/devices/system/cpu/cpu%u/topology/thread_siblings_list", sysfs_root,
                           cpu);

        if (r == 0)
                r = cpulist_walk(text, s->topology->ncpus, visit_sibling, &v);
        return r < 0 ? r : v.lowest == cpu;
}

/* The cores of one domain.  0, or a negative errno: not told, so there is no sum of them. */
static int add_cores(struct source *s, size_t domain, const char *sysfs_root)
{
        const struct topology *t = s->topology;
        int r = 0;

        for (unsigned int cpu = 0; r >= 0 && cpu < t->ncpus; cpu++) {
                if (!t->cpus[cpu].online || t->cpus[cpu].socket != s->domains[domain].socket)
                        continue;
                r = leads_core(s, cpu, sysfs_root);
                if (r == 1)
                        s->cores[s->ncores++] = (struct core){
                                .domain = domain, .fd = -1, .cpu = cpu};
        }
        return r < 0 ? r : 0;
}

/* Usable is what has a package that counts. */
static int check_packages(struct source *s, char *why)
{
        const struct msr_register *reg = NULL;
        uint64_t counts = 0;
        int r = -ENODEV;

        for (size_t i = 0; i < s->n; i++) {
                if (s->domains[i].kind != DOMAIN_PACKAGE)
                        continue;
                reg = s->counters[i].reg;
                r = read_place(s, &s->places[s->counters[i].place], reg->number, 0, &counts);
                if (r == 0 && (counts & COUNTER_MASK) != 0)
                        return 0;
        }
        if (r < 0)
                snprintf(why, SOURCE_WHY_MAX, "cannot read register 0x%x in %.100s/cpu/*/msr: %s%s",
                         reg ? reg->number : 0, s->dev_root, strerror(-r), remedy(r));
        else
                snprintf(why, SOURCE_WHY_MAX,
                         "the package's energy register 0x%x reads 0 (a virtual machine hides the "
                         "meter)",
                         reg->number);
        return r < 0 ? r : -ENODEV;
}

static void msr_close(struct source *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->nplaces; i++)
                if (s->places[i].fd >= 0)
                        close(s->places[i].fd);
        for (size_t i = 0; i < s->ncores; i++)
                if (s->cores[i].fd >= 0)
                        close(s->cores[i].fd);
        free(s->cores);
        free(s->dev_root);
        free(s);
}

static void release_source(struct source **s)
{
        msr_close(*s);
}

static void remove_domain(struct source *s, size_t domain)
{
        s->n--;
        for (size_t i = domain; i < s->n; i++) {
                s->domains[i] = s->domains[i + 1];
                s->counters[i] = s->counters[i + 1];
        }
}

static int find_domains(struct source *s, const struct msr_model *model, const char *sysfs_root)
{
        for (size_t place = 0; place < s->nplaces; place++) {
                int r = add_counters(s, place, model);

                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n;) {
                size_t known = s->ncores;

                if (s->counters[i].reg->per_core && add_cores(s, i, sysfs_root) < 0) {
                        s->ncores = known;
                        remove_domain(s, i);
                } else {
                        i++;
                }
        }
        return 0;
}

static int msr_open(struct source **ret, const struct source_config *config,
                    const struct topology *topology, char *why)
{
        __attribute__((cleanup(release_source))) struct source *s = NULL;
        const struct msr_model *model;
        int r = msr_model_find(&model, config->sysfs_root, why);

        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (s) {
                s->topology = topology;
                s->dev_root = strdup(config->dev_root);
                s->cores = calloc(topology->ncpus + 1, sizeof(*s->cores));
        }
        if (!s || !s->dev_root || !s->cores) {
                snprintf(why, SOURCE_WHY_MAX, "out of memory");
                return -ENOMEM;
        }
        r = find_places(s, model);
        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "the machine's CPUs are not known");
                return r;
        }
        r = open_places(s, model, why);
        if (r < 0)
                return r;
        r = find_domains(s, model, config->sysfs_root);
        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "more than %d energy domains", SOURCE_MAX_DOMAINS);
                return r;
        }
        r = check_packages(s, why);
        if (r < 0)
                return r;
        *ret = s;
        s = NULL;
        return 0;
}

static int msr_probe(const struct source_config *config, const struct topology *topology, char *why)
{
        struct source *s = NULL;
        int r = msr_open(&s, config, topology, why);

        msr_close(s);
        return r;
}

static size_t msr_domains(const struct source *s, const struct domain **ret)
{
        *ret = s->domains;
        return s->n;
}

extern const struct source_driver source_msr;

const struct source_driver source_msr = {
        .name = "msr",
        .prompt = true,
        .lasting = true,
        .probe = msr_probe,
        .open = msr_open,
        .domains = msr_domains,
        .read = msr_read,
        .close = msr_close,
};
