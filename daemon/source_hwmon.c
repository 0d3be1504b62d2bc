/* SPDX-License-Identifier: MIT */
/*
 * hwmon: the energy and power sensors of boards, GPUs and servers without RAPL.  Which there are,
 * and which of them measure a package, is hwmon_sensors.h's matter.
 *
 * A sensor of power is made a counter of energy by the trapezoid rule: between two readings the
 * power is taken to go straight from one value to the other, in exact integers.  What lies before
 * a failed reading and behind it, or in a pause longer than any tick, is not known: the counter
 * then starts again at 0, and the meter tells that it went back.
 *
 * Packages and what belongs to them are read at each tick.  Other sensors, which nothing is
 * attributed from, at most every 100 ms: some are behind a bus on which a reading takes a
 * millisecond.  In between their last reading holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "hwmon_sensors.h"
#include "sysfs.h"

#define REOPEN_PERIOD_NS NS_PER_S
#define OTHER_PERIOD_NS  (NS_PER_S / 10)
#define MAX_STEP_NS      (15 * NS_PER_S) /* the longest tick is 10 s */

/* Above any machine, so that powers times times fit in 128 bits: 1 GW. */
#define MAX_POWER_UW UINT64_C(1000000000000000)

/* Twice a microjoule, in microwatts x nanoseconds: the trapezoid rule halves. */
#define UW_NS_PER_2_UJ (2 * NS_PER_S)

struct sensor {
        char *path; /* owned */
        bool power;
        bool slow; /* not at every tick */
        int fd;    /* -1: to be opened again, not before retry_ns */
        uint64_t retry_ns;
        bool started;
        uint64_t read_ns;        /* when it was last read, or tried to */
        struct reading reading;  /* the result then */
        uint64_t power_uw;       /* of a power sensor: the value then */
        uint64_t remainder_half; /* energy that is not a whole microjoule yet: UW_NS_PER_2_UJ-ths */
};

struct source {
        size_t n;
        struct domain domains[SOURCE_MAX_DOMAINS];
        struct sensor sensors[SOURCE_MAX_DOMAINS];
};

/* A number that is below 0 is one, and no power or energy: of a battery that is being charged. */
static int parse_value(char *text, size_t length, uint64_t *ret)
{
        while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
                length--;
        text[length] = '\0';
        if (strlen(text) != length)
                return -EBADMSG;
        if (text[0] == '-' && text[1] != '\0' && text[1 + strspn(text + 1, "0123456789")] == '\0')
                return -ERANGE;
        return sysfs_parse_number(text, ret);
}

static int read_open_file(int fd, uint64_t *ret)
{
        char text[64];
        ssize_t n;

        do
                n = pread(fd, text, sizeof(text), 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == sizeof(text) ? -EBADMSG : parse_value(text, (size_t)n, ret);
}

/*
 * The file's value.  A file that cannot be read is opened again at a slow pace, so that a chip
 * that comes back (its driver loaded again) is found.
 */
static int read_file(struct sensor *s, uint64_t now_ns, uint64_t *ret)
{
        int r;

        if (s->fd < 0) {
                if (now_ns < s->retry_ns)
                        return s->reading.error;
                /* O_NONBLOCK: a pipe in place of the file must not stop the daemon */
                s->fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                s->retry_ns = now_ns + REOPEN_PERIOD_NS;
                if (s->fd < 0)
                        return -errno;
        }
        r = read_open_file(s->fd, ret);
        /* text that is no number: the file is there, and the next reading may be good */
        if (r < 0 && r != -EBADMSG && r != -ERANGE) {
                close(s->fd);
                s->fd = -1;
                s->retry_ns = now_ns + REOPEN_PERIOD_NS;
        }
        return r;
}

/* Add the energy since the last reading, at which the power was s->power_uw. */
static void integrate(struct sensor *s, uint64_t power_uw, uint64_t now_ns)
{
        bool known = s->started && s->reading.error == 0 && now_ns >= s->read_ns &&
                     now_ns - s->read_ns <= MAX_STEP_NS;

        if (known) {
                unsigned __int128 half = s->remainder_half;

                half += (unsigned __int128)(s->power_uw + power_uw) * (now_ns - s->read_ns);
                s->reading.counter_uj += (uint64_t)(half / UW_NS_PER_2_UJ);
                s->remainder_half = (uint64_t)(half % UW_NS_PER_2_UJ);
        } else {
                s->reading.counter_uj = s->remainder_half = 0;
        }
        s->power_uw = power_uw;
}

static void read_sensor(struct sensor *s, uint64_t now_ns)
{
        uint64_t value = 0;
        int r = read_file(s, now_ns, &value);

        if (r == 0 && s->power && value > MAX_POWER_UW)
                r = -ERANGE;
        if (r == 0 && s->power)
                integrate(s, value, now_ns);
        else if (r == 0)
                s->reading.counter_uj = value;
        s->reading.error = r;
        s->read_ns = now_ns;
        s->started = true;
}

static void hwmon_read(struct source *s, const struct source_input *input, struct reading *readings)
{
        uint64_t now_ns = input ? input->now_ns : monotonic_ns();

        for (size_t i = 0; i < s->n; i++) {
                struct sensor *sensor = &s->sensors[i];

                if (!sensor->slow || !sensor->started ||
                    now_ns - sensor->read_ns >= OTHER_PERIOD_NS)
                        read_sensor(sensor, now_ns);
                readings[i] = sensor->reading;
        }
}

/* Usable is what has a package that can be read: without one there is nothing to attribute. */
static int check_packages(struct source *s, const char *sysfs_root, char *why)
{
        const struct sensor *bad = NULL;

        for (size_t i = 0; i < s->n; i++) {
                uint64_t value;

                if (s->domains[i].kind != DOMAIN_PACKAGE)
                        continue;
                s->sensors[i].reading.error = read_file(&s->sensors[i], 0, &value);
                s->sensors[i].retry_ns = 0;
                if (s->sensors[i].reading.error == 0)
                        return 0;
                bad = &s->sensors[i];
        }
        if (bad) {
                int r = bad->reading.error;

                snprintf(why, SOURCE_WHY_MAX, "cannot read %.120s: %s%s", bad->path,
                         r == -EBADMSG ? "not a number" : strerror(-r),
                         r == -EACCES ? "; run energatd as root" : "");
                return r;
        }
        if (s->n > 0)
                snprintf(
                        why, SOURCE_WHY_MAX,
                        "only boards or GPUs are measured, no package (%zu sensor%s, the first %s)",
                        s->n, s->n == 1 ? "" : "s", s->domains[0].label);
        else
                snprintf(why, SOURCE_WHY_MAX, "no energy or power sensor in %.120s/class/hwmon",
                         sysfs_root);
        return -ENODEV;
}

static void hwmon_close(struct source *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n; i++) {
                if (s->sensors[i].fd >= 0)
                        close(s->sensors[i].fd);
                free(s->sensors[i].path);
        }
        free(s);
}

static void release_source(struct source **s)
{
        hwmon_close(*s);
}

static int hwmon_open(struct source **ret, const struct source_config *config,
                      const struct topology *topology, char *why)
{
        __attribute__((cleanup(hwmon_sensors_deinit))) struct hwmon_sensors found = {0};
        __attribute__((cleanup(release_source))) struct source *s = NULL;
        int r = hwmon_sensors_find(&found, config->sysfs_root, topology);

        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "cannot read %.120s/class/hwmon: %s",
                         config->sysfs_root, r == -E2BIG ? "too many sensors" : strerror(-r));
                return r;
        }
        s = calloc(1, sizeof(*s));
        if (!s) {
                snprintf(why, SOURCE_WHY_MAX, "out of memory");
                return -ENOMEM;
        }
        for (; s->n < found.n; s->n++) {
                struct hwmon_sensor *sensor = &found.all[s->n];

                s->domains[s->n] = sensor->domain;
                s->domains[s->n].resolution_uj = sensor->power ? 1 : 0;
                s->domains[s->n].range_uj = sensor->power ? UINT64_MAX : 0;
                s->sensors[s->n] = (struct sensor){.path = sensor->path,
                                                   .power = sensor->power,
                                                   .slow = sensor->domain.kind == DOMAIN_OTHER,
                                                   .fd = -1};
                sensor->path = NULL; /* the source's now */
        }
        r = check_packages(s, config->sysfs_root, why);
        if (r < 0)
                return r;
        *ret = s;
        s = NULL;
        return 0;
}

static int hwmon_probe(const struct source_config *config, const struct topology *topology,
                       char *why)
{
        struct source *s = NULL;
        int r = hwmon_open(&s, config, topology, why);

        hwmon_close(s);
        return r;
}

static size_t hwmon_domains(const struct source *s, const struct domain **ret)
{
        *ret = s->domains;
        return s->n;
}

extern const struct source_driver source_hwmon;

const struct source_driver source_hwmon = {
        .name = "hwmon",
        .lasting = true,
        .probe = hwmon_probe,
        .open = hwmon_open,
        .domains = hwmon_domains,
        .read = hwmon_read,
        .close = hwmon_close,
};
