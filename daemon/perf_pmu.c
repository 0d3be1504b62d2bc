/* SPDX-License-Identifier: MIT */
#include "perf_pmu.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpulist.h"
#include "sysfs.h"

#define PMU_DIR "%s/bus/event_source/devices/power"

#define NO_PMU " (no RAPL in this processor, or the kernel module rapl is not loaded)"

/* Names and meanings: arch/x86/events/rapl.c. */
static const struct {
        const char *name;
        enum domain_kind kind;
} known_events[PERF_PMU_MAX_EVENTS] = {
        {"energy-pkg", DOMAIN_PACKAGE}, {"energy-ram", DOMAIN_DRAM},  {"energy-cores", DOMAIN_CORE},
        {"energy-gpu", DOMAIN_UNCORE},  {"energy-psys", DOMAIN_PSYS},
};

/* "0x02" or "2", up to `end`. */
static int parse_value(const char *text, const char *end, uint64_t *ret)
{
        int base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
        const char *digits = base == 16 ? text + 2 : text;
        char *behind;

        if (!isxdigit((unsigned char)*digits))
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(digits, &behind, base);
        return errno || behind != end ? -EBADMSG : 0;
}

/* "config:0-7" or "config:21": the one field of perf_event_attr that RAPL's events use. */
static int parse_format(const char *text, unsigned int *low, unsigned int *high)
{
        int end = 0;

        if (strncmp(text, "config:", 7) != 0 || !isdigit((unsigned char)text[7]))
                return -EBADMSG;
        if (sscanf(text, "config:%2u-%2u%n", low, high, &end) != 2 || text[end] != '\0') {
                end = 0;
                if (sscanf(text, "config:%2u%n", low, &end) != 1 || text[end] != '\0')
                        return -EBADMSG;
                *high = *low;
        }
        return *low <= *high && *high < 64 ? 0 : -EBADMSG;
}

/* Put one term, "event=0x02" or "event" (which means 1), where its format says. */
static int add_term(uint64_t *config, const char *term, const char *end, const char *sysfs_root)
{
        const char *equals = memchr(term, '=', (size_t)(end - term));
        int name_length = (int)((equals ? equals : end) - term);
        char format[SYSFS_TEXT_MAX];
        uint64_t value = 1, mask;
        unsigned int low = 0, high = 0;
        int r;

        if (name_length == 0 || memchr(term, '/', (size_t)name_length) || term[0] == '.')
                return -EBADMSG;
        r = equals ? parse_value(equals + 1, end, &value) : 0;
        if (r == 0)
                r = sysfs_read(format, sizeof(format), PMU_DIR "/format/%.*s", sysfs_root,
                               name_length, term);
        if (r == 0)
                r = parse_format(format, &low, &high);
        if (r < 0)
                return r;
        mask = high - low == 63 ? UINT64_MAX : (UINT64_C(1) << (high - low + 1)) - 1;
        if (value > mask)
                return -EBADMSG;
        *config = (*config & ~(mask << low)) | value << low;
        return 0;
}

/* "event=0x02", or several terms with commas between. */
static int parse_event(uint64_t *config, const char *text, const char *sysfs_root)
{
        *config = 0;
        for (;;) {
                const char *end = text + strcspn(text, ",");
                int r = add_term(config, text, end, sysfs_root);

                if (r < 0 || *end == '\0')
                        return r;
                text = end + 1;
        }
}

static int read_event(struct perf_energy_event *event, const char *sysfs_root)
{
        char text[SYSFS_TEXT_MAX];
        int r = sysfs_read(text, sizeof(text), PMU_DIR "/events/%s", sysfs_root, event->name);

        if (r < 0)
                return r;
        r = parse_event(&event->config, text, sysfs_root);
        if (r == 0)
                r = sysfs_read(text, sizeof(text), PMU_DIR "/events/%s.unit", sysfs_root,
                               event->name);
        /* a count of something else must not become joules */
        if (r == 0 && strcmp(text, "Joules") != 0)
                r = -EBADMSG;
        if (r == 0)
                r = sysfs_read(text, sizeof(text), PMU_DIR "/events/%s.scale", sysfs_root,
                               event->name);
        if (r == 0)
                r = scale_parse(&event->scale, text);
        /* the event is there; that a part of its description is not makes it no less so */
        return r == -ENOENT ? -EBADMSG : r;
}

static void read_events(struct perf_pmu *pmu, const char *sysfs_root)
{
        for (size_t i = 0; i < PERF_PMU_MAX_EVENTS; i++) {
                struct perf_energy_event *event = &pmu->events[pmu->nevents];

                *event = (struct perf_energy_event){.name = known_events[i].name,
                                                    .kind = known_events[i].kind};
                event->error = read_event(event, sysfs_root);
                if (event->error != -ENOENT)
                        pmu->nevents++;
        }
}

static int check_package(const struct perf_pmu *pmu, const char *sysfs_root, char *why)
{
        char names[128] = "";

        if (pmu->nevents > 0 && pmu->events[0].kind == DOMAIN_PACKAGE) {
                if (pmu->events[0].error == 0)
                        return 0;
                snprintf(why, SOURCE_WHY_MAX, "cannot use energy-pkg in %.80s/%s: %s", sysfs_root,
                         "bus/event_source/devices/power/events",
                         pmu->events[0].error == -EBADMSG ? "its description is not understood"
                                                          : strerror(-pmu->events[0].error));
                return pmu->events[0].error;
        }
        for (size_t i = 0; i < pmu->nevents; i++)
                snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
                         i ? ", " : ", only ", pmu->events[i].name);
        snprintf(why, SOURCE_WHY_MAX, "the kernel's power PMU has no event energy-pkg%s", names);
        return -ENODEV;
}

int perf_pmu_read(struct perf_pmu *pmu, const char *sysfs_root, char *why)
{
        uint64_t type = 0;
        int r = sysfs_read_number(&type, PMU_DIR "/type", sysfs_root);

        *pmu = (struct perf_pmu){.nevents = 0};
        if (r == 0 && type > UINT32_MAX)
                r = -ERANGE;
        if (r < 0) {
                snprintf(why, SOURCE_WHY_MAX, "cannot read %.80s/%s/type: %s%s", sysfs_root,
                         "bus/event_source/devices/power",
                         r == -EBADMSG ? "not a number" : strerror(-r), r == -ENOENT ? NO_PMU : "");
                return r;
        }
        pmu->type = (uint32_t)type;
        read_events(pmu, sysfs_root);
        return check_package(pmu, sysfs_root, why);
}

static void want(unsigned int cpu, void *arg)
{
        bool *wanted = arg;

        wanted[cpu] = true;
}

int perf_pmu_read_cpumask(bool *wanted, unsigned int ncpus, const char *sysfs_root)
{
        char text[SYSFS_TEXT_MAX];
        int r = sysfs_read(text, sizeof(text), PMU_DIR "/cpumask", sysfs_root);

        memset(wanted, 0, ncpus * sizeof(*wanted));
        return r < 0 ? r : cpulist_walk(text, ncpus, want, wanted);
}
