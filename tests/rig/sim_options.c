/* SPDX-License-Identifier: MIT */
#include "sim_options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

/* Bounds that keep a typing error from filling a disk or a day; none is a property of a meter. */
#define MAX_POWER_W     10000.0
#define MAX_PERIOD_MS   1000.0
#define MAX_DURATION_S  86400.0
#define MAX_PACKAGE_ID  4095
#define MAX_COUNTER_UJ  (UINT64_MAX / 4) /* so that start + energy of a day cannot overflow */
#define DEFAULT_BASE_W  20.0
#define DEFAULT_CORE_W  10.0
#define DEFAULT_START   123456789ULL /* a machine that has been on for a while, not a 0 */
#define TOPOLOGY_FORMAT "/sys/devices/system/cpu/cpu%u/topology/physical_package_id"

static const char usage[] =
        "usage: energysim --root DIR [options]\n"
        "Write a tree shaped like /sys/class/powercap below DIR (empty or new) and keep its\n"
        "energy_uj files up to date with a model of power, driven by this machine's busy time.\n"
        "  --packages N          N packages, the CPUs split evenly (default: the machine's own)\n"
        "  --cpus-of P=LIST      package P has these CPUs, as in 0=0,1 or 1=4-7 (repeatable)\n"
        "  --base W              power of an idle package (20)\n"
        "  --per-core W          more, per busy core (10)\n"
        "  --exponent G          busy part is W x (busy cores)^G (1)\n"
        "  --power-schedule S:W,...  W per busy core for S seconds, then the next; repeats,\n"
        "                        at multiples of its length on CLOCK_MONOTONIC\n"
        "  --dram                add dram zones\n"
        "  --dram-base W         power of an idle dram domain (3)\n"
        "  --dram-per-gib W      more, per GiB in use (0.3)\n"
        "  --dram-exponent D     that part is W x (GiB in use)^D (1)\n"
        "  --core                add core zones, before dram\n"
        "  --mmio                show the packages again under intel-rapl-mmio\n"
        "  --symlinks            make zones symbolic links, as the kernel does\n"
        "  --reverse             number the zones from the last package to the first\n"
        "  --range UJ            max_energy_range_uj of all zones\n"
        "  --start UJ            first value of all counters\n"
        "  --period-ms N         time between two values (1)\n"
        "  --duration S          stop after S seconds (default: at SIGTERM or SIGINT)\n"
        "  --busy SOURCE         auto, cpuacct, schedstat or stat (auto)\n"
        "  --exact               have the kernel charge every CPU before each value; without,\n"
        "                        what a task used can be told up to 4 ms late\n"
        "  --truth FILE          write the true sums there, every 100 ms\n"
        "DIR/control takes 'stuck ZONE', 'eio ZONE', 'garbage ZONE', 'vanish ZONE',\n"
        "'reset ZONE' and 'heal ZONE', one a line.\n";

enum option_id {
        OPT_ROOT = 1,
        OPT_PACKAGES,
        OPT_CPUS_OF,
        OPT_BASE,
        OPT_PER_CORE,
        OPT_EXPONENT,
        OPT_SCHEDULE,
        OPT_DRAM,
        OPT_DRAM_BASE,
        OPT_DRAM_PER_GIB,
        OPT_DRAM_EXPONENT,
        OPT_CORE,
        OPT_MMIO,
        OPT_SYMLINKS,
        OPT_EXACT,
        OPT_REVERSE,
        OPT_RANGE,
        OPT_START,
        OPT_PERIOD,
        OPT_DURATION,
        OPT_BUSY,
        OPT_TRUTH,
        OPT_HELP,
};

static const struct option long_options[] = {
        {"root", required_argument, NULL, OPT_ROOT},
        {"packages", required_argument, NULL, OPT_PACKAGES},
        {"cpus-of", required_argument, NULL, OPT_CPUS_OF},
        {"base", required_argument, NULL, OPT_BASE},
        {"per-core", required_argument, NULL, OPT_PER_CORE},
        {"exponent", required_argument, NULL, OPT_EXPONENT},
        {"power-schedule", required_argument, NULL, OPT_SCHEDULE},
        {"dram", no_argument, NULL, OPT_DRAM},
        {"dram-base", required_argument, NULL, OPT_DRAM_BASE},
        {"dram-per-gib", required_argument, NULL, OPT_DRAM_PER_GIB},
        {"dram-exponent", required_argument, NULL, OPT_DRAM_EXPONENT},
        {"core", no_argument, NULL, OPT_CORE},
        {"mmio", no_argument, NULL, OPT_MMIO},
        {"exact", no_argument, NULL, OPT_EXACT},
        {"symlinks", no_argument, NULL, OPT_SYMLINKS},
        {"reverse", no_argument, NULL, OPT_REVERSE},
        {"range", required_argument, NULL, OPT_RANGE},
        {"start", required_argument, NULL, OPT_START},
        {"period-ms", required_argument, NULL, OPT_PERIOD},
        {"duration", required_argument, NULL, OPT_DURATION},
        {"busy", required_argument, NULL, OPT_BUSY},
        {"truth", required_argument, NULL, OPT_TRUTH},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
};

static int parse_number(const char *text, double low, double high, double *value)
{
        char *end = NULL;

        errno = 0;
        *value = strtod(text, &end);
        if (errno != 0 || end == text || *end != '\0' || !isfinite(*value))
                return -EINVAL;
        return *value < low || *value > high ? -ERANGE : 0;
}

static int parse_count(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
        char *end = NULL;

        /* strtoull() takes "-1" for a very large number. */
        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        *value = strtoull(text, &end, 10);
        if (errno != 0 || *end != '\0')
                return -EINVAL;
        return *value < low || *value > high ? -ERANGE : 0;
}

/* Give the CPUs of a list such as "0,2-3" to a package. */
static int assign_cpu_list(struct sim_options *o, int package, const char *list)
{
        const char *at = list;

        for (;;) {
                char *end = NULL;
                unsigned long first, last;

                if (*at < '0' || *at > '9')
                        return -EINVAL;
                first = last = strtoul(at, &end, 10);
                if (*end == '-') {
                        if (end[1] < '0' || end[1] > '9')
                                return -EINVAL;
                        last = strtoul(end + 1, &end, 10);
                }
                if (last < first || last >= o->ncpus)
                        return -ERANGE;
                for (unsigned long cpu = first; cpu <= last; cpu++) {
                        if (o->package_of[cpu] != SIM_NO_PACKAGE)
                                return -EEXIST;
                        o->package_of[cpu] = package;
                }
                if (*end == '\0')
                        return 0;
                if (*end != ',')
                        return -EINVAL;
                at = end + 1;
        }
}

/* The index of a package, a new one when the number has not been seen. */
static int package_index(struct sim_options *o, int id)
{
        for (unsigned int i = 0; i < o->npackages; i++) {
                if (o->package_id[i] == id)
                        return (int)i;
        }
        if (o->npackages >= SIM_MAX_PACKAGES)
                return -E2BIG;
        o->package_id[o->npackages] = id;
        return (int)o->npackages++;
}

static int parse_cpus_of(struct sim_options *o, const char *text)
{
        char *end = NULL;
        unsigned long id;
        int index;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        id = strtoul(text, &end, 10);
        if (*end != '=' || id > MAX_PACKAGE_ID)
                return -EINVAL;
        index = package_index(o, (int)id);
        return index < 0 ? index : assign_cpu_list(o, index, end + 1);
}

/* "SECONDS:WATTS,SECONDS:WATTS,..." with lengths of whole milliseconds. */
static int parse_schedule(struct sim_options *o, const char *text)
{
        const char *at = text;

        o->nphases = 0;
        for (;;) {
                struct sim_phase *phase = &o->phases[o->nphases];
                char *end = NULL;
                double seconds, watts, ms;

                if (o->nphases >= SIM_MAX_PHASES)
                        return -E2BIG;
                seconds = strtod(at, &end);
                if (end == at || *end != ':')
                        return -EINVAL;
                at = end + 1;
                watts = strtod(at, &end);
                if (end == at || (*end != ',' && *end != '\0'))
                        return -EINVAL;
                ms = seconds * 1e3;
                if (!(ms >= 1 && seconds <= MAX_DURATION_S && watts >= 0 && watts <= MAX_POWER_W))
                        return -ERANGE;
                if (fabs(ms - round(ms)) > 1e-6)
                        return -EINVAL;
                phase->length_ns = (uint64_t)llround(ms) * NS_PER_MS;
                phase->per_core_w = watts;
                o->nphases++;
                if (*end == '\0')
                        return 0;
                at = end + 1;
        }
}

/* The packages of this machine, from sysfs; an offline CPU has no topology and no package. */
static int packages_of_machine(struct sim_options *o)
{
        for (unsigned int cpu = 0; cpu < o->ncpus; cpu++) {
                char path[128];
                FILE *f;
                int id, n, index;

                snprintf(path, sizeof(path), TOPOLOGY_FORMAT, cpu);
                f = fopen(path, "re");
                if (!f)
                        continue;
                n = fscanf(f, "%d", &id);
                fclose(f);
                if (n != 1 || id < 0) /* -1 is what virtual machines without an ACPI table say */
                        id = 0;
                index = package_index(o, id);
                if (index < 0)
                        return index;
                o->package_of[cpu] = index;
        }
        return o->npackages > 0 ? 0 : -ENODEV;
}

static int split_evenly(struct sim_options *o, uint64_t packages)
{
        if (packages > o->ncpus)
                return -ERANGE;
        o->npackages = (unsigned int)packages;
        for (unsigned int i = 0; i < o->npackages; i++)
                o->package_id[i] = (int)i;
        for (unsigned int cpu = 0; cpu < o->ncpus; cpu++)
                o->package_of[cpu] = (int)((uint64_t)cpu * packages / o->ncpus);
        return 0;
}

static int set_option(struct sim_options *o, int id, const char *arg, uint64_t *packages)
{
        double number = 0;
        int r;

        switch (id) {
        case OPT_ROOT:
                o->root = arg;
                return arg[0] != '\0' ? 0 : -EINVAL;
        case OPT_PACKAGES:
                return parse_count(arg, 1, SIM_MAX_PACKAGES, packages);
        case OPT_CPUS_OF:
                return parse_cpus_of(o, arg);
        case OPT_BASE:
                return parse_number(arg, 0, MAX_POWER_W, &o->base_w);
        case OPT_PER_CORE:
                return parse_number(arg, 0, MAX_POWER_W, &o->per_core_w);
        case OPT_EXPONENT:
                return parse_number(arg, 0.01, 10, &o->exponent);
        case OPT_SCHEDULE:
                return parse_schedule(o, arg);
        case OPT_DRAM:
                o->dram = true;
                return 0;
        case OPT_DRAM_BASE:
                return parse_number(arg, 0, MAX_POWER_W, &o->dram_base_w);
        case OPT_DRAM_PER_GIB:
                return parse_number(arg, 0, MAX_POWER_W, &o->dram_per_gib_w);
        case OPT_DRAM_EXPONENT:
                return parse_number(arg, 0.01, 10, &o->dram_exponent);
        case OPT_CORE:
                o->core = true;
                return 0;
        case OPT_MMIO:
                o->mmio = true;
                return 0;
        case OPT_EXACT:
                o->exact = true;
                return 0;
        case OPT_SYMLINKS:
                o->symlinks = true;
                return 0;
        case OPT_REVERSE:
                o->reverse = true;
                return 0;
        case OPT_RANGE:
                return parse_count(arg, 1, MAX_COUNTER_UJ, &o->range_uj);
        case OPT_START:
                return parse_count(arg, 0, MAX_COUNTER_UJ, &o->start_uj);
        case OPT_PERIOD:
                r = parse_number(arg, 0.1, MAX_PERIOD_MS, &number);
                o->period_ns = (uint64_t)llround(number * (double)NS_PER_MS);
                return r;
        case OPT_DURATION:
                r = parse_number(arg, 0.001, MAX_DURATION_S, &number);
                o->duration_ns = (uint64_t)llround(number * (double)NS_PER_S);
                return r;
        case OPT_BUSY:
                return busy_source_by_name(arg, &o->busy);
        case OPT_TRUTH:
                o->truth = arg;
                return arg[0] != '\0' ? 0 : -EINVAL;
        default:
                return -EINVAL;
        }
}

static int complain(const char *what, const char *detail)
{
        fprintf(stderr, "energysim: %s%s%s\n%s", what, detail ? ": " : "", detail ? detail : "",
                usage);
        return -EINVAL;
}

int sim_options_parse(struct sim_options *o, int argc, char **argv)
{
        uint64_t packages = 0;
        int index = 0, id;

        *o = (struct sim_options){
                .base_w = DEFAULT_BASE_W,
                .per_core_w = DEFAULT_CORE_W,
                .exponent = 1,
                .dram_base_w = 3,
                .dram_per_gib_w = 0.3,
                .dram_exponent = 1,
                .start_uj = UINT64_MAX, /* not given */
                .period_ns = NS_PER_MS,
                .busy = BUSY_AUTO,
        };
        for (unsigned int cpu = 0; cpu < SIM_MAX_CPUS; cpu++)
                o->package_of[cpu] = SIM_NO_PACKAGE;
        o->ncpus = busy_time_possible_cpus();
        if (o->ncpus == 0 || o->ncpus > SIM_MAX_CPUS)
                return complain("this machine's number of CPUs is unknown or above 1024", NULL);

        while ((id = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
                int r;

                if (id == '?') /* getopt_long() has said which */
                        return complain("unknown option or missing value", NULL);
                if (id == OPT_HELP || id == 'h') {
                        fputs(usage, stdout);
                        return 1;
                }
                r = set_option(o, id, optarg, &packages);
                if (r < 0) {
                        char text[512];

                        snprintf(text, sizeof(text), "--%s %s: %s", long_options[index].name,
                                 optarg ? optarg : "", strerror(-r));
                        return complain("bad value", text);
                }
        }
        if (optind < argc)
                return complain("unexpected argument", argv[optind]);
        if (!o->root)
                return complain("--root is missing", NULL);
        if (packages > 0 && o->npackages > 0)
                return complain("--packages and --cpus-of cannot be combined", NULL);
        if (packages > 0 && split_evenly(o, packages) < 0)
                return complain("--packages is above the number of CPUs", NULL);
        if (o->npackages == 0 && packages_of_machine(o) < 0)
                return complain("cannot read this machine's packages; give --packages", NULL);
        if (o->start_uj == UINT64_MAX)
                o->start_uj = o->range_uj ? DEFAULT_START % o->range_uj : DEFAULT_START;
        if (o->range_uj != 0 && o->start_uj > o->range_uj)
                return complain("--start is above --range", NULL);
        return 0;
}
