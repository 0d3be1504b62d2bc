/* SPDX-License-Identifier: MIT */
/*
 * powercap: the energy counters of the kernel's power capping class, RAPL among them.
 *
 * One label ("package-0/dram") is one domain.  The same package can be there twice, once through
 * model specific registers (intel-rapl) and once through memory-mapped ones (intel-rapl-mmio): it
 * is read once, through the registers where these can be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "powercap_zones.h"

#define MAX_DIGITS       20 /* of UINT64_MAX */
#define COUNTER_BYTES    32 /* a counter's file: the digits, a newline, some spaces */
#define STEADY_READS     4
#define RAN_EMPTY        1 /* not an errno: the kernel has its own ENODATA */
#define REOPEN_PERIOD_NS NS_PER_S

#define NO_METER " (a virtual machine, or the kernel module intel_rapl_msr is not loaded)"

/* An energy_uj file (or, for one reading, max_energy_range_uj), kept open. */
struct counter_file {
        char *path;
        int fd;            /* -1: to be opened again, not before retry_ns */
        bool plain;        /* not on sysfs: a simulator's or a recorded tree */
        int error;         /* why fd is -1 */
        uint64_t retry_ns; /* CLOCK_MONOTONIC */
};

struct source {
        size_t n;
        struct domain domains[SOURCE_MAX_DOMAINS];
        struct counter_file files[SOURCE_MAX_DOMAINS];
};

/* What may become a domain, while the source is being opened. */
struct candidate {
        const struct zone *zone;
        struct domain domain;
        struct counter_file file;
};

struct candidates {
        struct candidate all[SOURCE_MAX_DOMAINS];
        size_t n;
};

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

/* Up to 20 digits, then nothing but spaces and newlines. */
static int parse_counter(const char *text, size_t length, uint64_t *ret)
{
        uint64_t value = 0;
        size_t i = 0;

        for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
                if (i == MAX_DIGITS || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
                        return -EBADMSG;
        }
        if (i == 0)
                return -EBADMSG;
        for (; i < length; i++)
                if (text[i] != ' ' && text[i] != '\n')
                        return -EBADMSG;
        *ret = value;
        return 0;
}

static ssize_t read_at_start(int fd, char *buffer, size_t size)
{
        ssize_t n;

        do
                n = pread(fd, buffer, size, 0);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

/*
 * sysfs makes a value when it is read, in one piece.  A plain file that someone rewrites can be
 * read in the middle of that, half the old digits and half the new ones: it is read until two
 * readings in a row agree, or, under a writer that never rests, as it was last.
 */
static ssize_t read_steady(int fd, bool plain, char *buffer, size_t size)
{
        char before[COUNTER_BYTES];
        ssize_t n = read_at_start(fd, buffer, size);

        for (int i = 1; plain && i < STEADY_READS && n > 0; i++) {
                ssize_t old = n;

                memcpy(before, buffer, (size_t)n);
                n = read_at_start(fd, buffer, size);
                if (n == old && memcmp(before, buffer, (size_t)n) == 0)
                        break;
        }
        return n;
}

static void close_counter(struct counter_file *f)
{
        close_fd(&f->fd);
        free(f->path);
}

static int open_counter(struct counter_file *f)
{
        struct statfs fs;

        /* O_NONBLOCK: a pipe in place of the file must not stop the daemon */
        f->fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (f->fd < 0)
                return -errno;
        f->plain = fstatfs(f->fd, &fs) < 0 || fs.f_type != SYSFS_MAGIC;
        return 0;
}

/*
 * A file of sysfs whose device has gone says ENODEV.  A plain file lives on while it is open:
 * whether its name is still there has to be asked.
 */
static int still_there(const struct counter_file *f)
{
        struct stat st;

        if (!f->plain)
                return 0;
        if (fstat(f->fd, &st) < 0)
                return -errno;
        return st.st_nlink == 0 ? -ENOENT : 0;
}

/* 0, a negative errno, or RAN_EMPTY. */
static int read_open_counter(const struct counter_file *f, uint64_t *ret)
{
        char text[COUNTER_BYTES];
        ssize_t n;
        int r = still_there(f);

        if (r < 0)
                return r;
        n = read_steady(f->fd, f->plain, text, sizeof(text));
        if (n < 0)
                return (int)n;
        if (n == 0)
                return RAN_EMPTY;
        return (size_t)n == sizeof(text) ? -EBADMSG : parse_counter(text, (size_t)n, ret);
}

/*
 * Read the counter.  Text that is no number is only reported: the file is there, and the next
 * reading may be good.  Any other failure closes the file, and it is opened again at a slow pace,
 * so that a zone that comes back (a module loaded again) is found.  A file that was replaced, or
 * that has run empty, is opened again at once.
 */
static int read_counter(struct counter_file *f, uint64_t now_ns, uint64_t *ret)
{
        bool was_open = f->fd >= 0;
        int r = 0;

        if (was_open) {
                r = read_open_counter(f, ret);
                if (r == 0 || r == -EBADMSG)
                        return r;
                close(f->fd);
                f->fd = -1;
        } else if (now_ns < f->retry_ns) {
                return f->error;
        }
        if (!was_open || r == -ENOENT || r == RAN_EMPTY) {
                r = open_counter(f);
                if (r == 0)
                        r = read_open_counter(f, ret);
                /* empty, though just opened: then it is no number */
                if (r == RAN_EMPTY)
                        r = -EBADMSG;
                if (r == 0 || r == -EBADMSG)
                        return r;
                if (f->fd >= 0)
                        close(f->fd);
                f->fd = -1;
        }
        f->error = r;
        f->retry_ns = now_ns + REOPEN_PERIOD_NS;
        return r;
}

/* max_energy_range_uj; 0, not known, where there is none or it is no number. */
static uint64_t read_range(const char *zone)
{
        struct counter_file f = {.fd = -1};
        uint64_t range_uj = 0;

        if (asprintf(&f.path, "%s/max_energy_range_uj", zone) < 0)
                return 0;
        if (open_counter(&f) < 0 || read_open_counter(&f, &range_uj) != 0)
                range_uj = 0;
        close_counter(&f);
        return range_uj;
}

/*
 * The socket that a package's number stands for.  On a machine with one socket and one package
 * these are the same, whatever the numbers say.
 */
static int socket_of(const struct zones *zones, const struct topology *topology, int package)
{
        if (topology_socket_index(topology, package) >= 0 || topology->nsockets != 1)
                return package;
        for (size_t i = 0; i < zones->n; i++)
                if (zones->all[i].kind == DOMAIN_PACKAGE && zones->all[i].package != package)
                        return package;
        return topology->sockets[0];
}

static void describe(struct domain *d, const struct zones *zones, const struct zone *z,
                     const struct topology *topology)
{
        const struct zone *package = zones_package_of(zones, z);
        const char *mark = "";

        *d = (struct domain){.kind = z->kind, .socket = -1, .die = -1};
        snprintf(d->name, sizeof(d->name), "%s", z->name);
        if (package && z->kind != DOMAIN_PSYS) {
                d->socket = socket_of(zones, topology, package->package);
                d->die = package->die;
                /* kept, and shown: its energy is real, though no CPU of ours can have used it */
                if (topology_slots_of(topology, d->socket, d->die) == 0)
                        mark = " (not in topology)";
        }
        if (package && package != z && z->kind != DOMAIN_PSYS)
                snprintf(d->label, sizeof(d->label), "%.20s/%.23s%s", package->name, z->name, mark);
        else
                snprintf(d->label, sizeof(d->label), "%.44s%s", z->name, mark);
        d->range_uj = read_range(z->path);
}

/* Better first, where two zones are one domain. */
static int interface_rank(const struct zone *z)
{
        if (strncmp(z->id, "intel-rapl:", 11) == 0)
                return 0;
        return strncmp(z->id, "intel-rapl-mmio:", 16) == 0 ? 2 : 1;
}

static bool better(const struct candidate *a, const struct candidate *b)
{
        if ((a->file.error == 0) != (b->file.error == 0))
                return a->file.error == 0;
        if (interface_rank(a->zone) != interface_rank(b->zone))
                return interface_rank(a->zone) < interface_rank(b->zone);
        return strverscmp(a->zone->id, b->zone->id) < 0;
}

/* Take in the candidate, or let it take or leave the place of one with the same label. */
static int add_candidate(struct candidates *list, struct candidate *c)
{
        size_t at = 0;

        while (at < list->n && strcmp(list->all[at].domain.label, c->domain.label) != 0)
                at++;
        if (at < list->n) {
                struct candidate worse = *c;

                if (better(c, &list->all[at])) {
                        worse = list->all[at];
                        list->all[at] = *c;
                }
                close_counter(&worse.file);
                return 0;
        }
        if (at == SOURCE_MAX_DOMAINS) {
                close_counter(&c->file);
                return -E2BIG;
        }
        list->all[list->n++] = *c;
        return 0;
}

static int add_zone(struct candidates *list, const struct zones *zones, const struct zone *z,
                    const struct topology *topology)
{
        struct candidate c = {.zone = z, .file.fd = -1};
        uint64_t value;
        struct stat st;

        if (asprintf(&c.file.path, "%s/energy_uj", z->path) < 0)
                return -ENOMEM;
        /* zones that only limit power have no counter (class dtpm) */
        if (lstat(c.file.path, &st) < 0 && errno == ENOENT) {
                close_counter(&c.file);
                return 0;
        }
        c.file.error = read_counter(&c.file, 0, &value);
        c.file.retry_ns = 0;
        describe(&c.domain, zones, z, topology);
        return add_candidate(list, &c);
}

/* An order that does not depend on that of zones or of directory entries. */
static int compare_candidates(const void *a, const void *b)
{
        const struct domain *x = &((const struct candidate *)a)->domain;
        const struct domain *y = &((const struct candidate *)b)->domain;
        /* -1, no socket, stands last */
        unsigned int x_socket = (unsigned int)x->socket, y_socket = (unsigned int)y->socket;

        if (x_socket != y_socket)
                return x_socket < y_socket ? -1 : 1;
        if (x->die != y->die)
                return x->die < y->die ? -1 : 1;
        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return strcmp(x->label, y->label);
}

static void close_candidates(struct candidates *list)
{
        for (size_t i = 0; i < list->n; i++)
                close_counter(&list->all[i].file);
}

/* What to say behind an error, where it is known what to do. */
static const char *remedy(int error)
{
        if (error == -EACCES)
                return "; run energatd as root";
        return error == -ENOENT ? NO_METER : "";
}

/* Usable is what has a package that can be read: without one there is nothing to attribute. */
static int check_packages(const struct candidates *list, const struct zones *zones,
                          const char *root, char *why)
{
        const struct counter_file *bad = NULL;

        for (size_t i = 0; i < list->n; i++) {
                if (list->all[i].domain.kind != DOMAIN_PACKAGE)
                        continue;
                if (list->all[i].file.error == 0)
                        return 0;
                bad = &list->all[i].file;
        }
        if (bad) {
                snprintf(why, SOURCE_WHY_MAX, "cannot read %.120s: %s%s", bad->path,
                         bad->error == -EBADMSG ? "not a number" : strerror(-bad->error),
                         remedy(bad->error));
                return bad->error;
        }
        if (zones->n > 0)
                snprintf(why, SOURCE_WHY_MAX,
                         "none of the %zu power zones in %.120s is a package with a counter",
                         zones->n, root);
        else
                snprintf(why, SOURCE_WHY_MAX, "no power zone in %.120s" NO_METER, root);
        return -ENODEV;
}

static void powercap_close(struct source *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n; i++)
                close_counter(&s->files[i]);
        free(s);
}

static int powercap_open(struct source **ret, const struct source_config *config,
                         const struct topology *topology, char *why)
{
        __attribute__((cleanup(close_candidates))) struct candidates list = {.n = 0};
        __attribute__((cleanup(zones_deinit))) struct zones zones = {0};
        struct source *s;
        int r = zones_find(&zones, config->powercap_root);

        for (size_t i = 0; r == 0 && i < zones.n; i++)
                r = add_zone(&list, &zones, &zones.all[i], topology);
        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "cannot read %.120s: %s%s", config->powercap_root,
                         r == -E2BIG ? "too many power zones" : strerror(-r), remedy(r));
                return r;
        }
        r = check_packages(&list, &zones, config->powercap_root, why);
        if (r < 0)
                return r;
        s = calloc(1, sizeof(*s));
        if (!s) {
                snprintf(why, SOURCE_WHY_MAX, "out of memory");
                return -ENOMEM;
        }
        qsort(list.all, list.n, sizeof(list.all[0]), compare_candidates);
        for (; s->n < list.n; s->n++) {
                s->domains[s->n] = list.all[s->n].domain;
                s->files[s->n] = list.all[s->n].file;
        }
        list.n = 0; /* the files are the source's now */
        *ret = s;
        return 0;
}

static int powercap_probe(const struct source_config *config, const struct topology *topology,
                          char *why)
{
        struct source *s = NULL;
        int r = powercap_open(&s, config, topology, why);

        powercap_close(s);
        return r;
}

static size_t powercap_domains(const struct source *s, const struct domain **ret)
{
        *ret = s->domains;
        return s->n;
}

static void powercap_read(struct source *s, const struct source_input *input,
                          struct reading *readings)
{
        uint64_t now_ns = input ? input->now_ns : monotonic_ns();

        for (size_t i = 0; i < s->n; i++)
                readings[i].error = read_counter(&s->files[i], now_ns, &readings[i].counter_uj);
}

extern const struct source_driver source_powercap;

const struct source_driver source_powercap = {
        .name = "powercap",
        .prompt = true,
        .lasting = true,
        .probe = powercap_probe,
        .open = powercap_open,
        .domains = powercap_domains,
        .read = powercap_read,
        .close = powercap_close,
};
