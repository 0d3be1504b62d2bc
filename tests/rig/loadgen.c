/* SPDX-License-Identifier: MIT */
/*
 * Loads whose CPU time is known.  When the load is over, one line of JSON tells the truth:
 *
 *   {"mode":"storm","cpu_s":3.021,"wall_s":3.2,"children":600,"threads":0,"execs":0}
 *
 * cpu_s is the kernel's own count: this process (CLOCK_PROCESS_CPUTIME_ID, since its start and
 * over every exec), the children that it has reaped (RUSAGE_CHILDREN), and what orphans told of
 * themselves.  Not in it: what a process uses to exit after it has told, some 0.1 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"

/* Bounds against typing errors: no load lasts longer than an hour or breaks the machine. */
#define MAX_SECONDS  3600.0
#define MAX_MS       3600000.0
#define MAX_THREADS  1000000
#define MAX_CHILDREN 1000000
#define MAX_PARALLEL 4096
#define MAX_DEPTH    10000
#define MAX_COUNT    4096
#define MAX_RATE     100000
#define MAX_MIB      (1024 * 1024)
#define MAX_NODE     1023

enum option_bit {
        OPT_SECONDS = 1 << 0,
        OPT_THREADS = 1 << 1,
        OPT_CPU = 1 << 2,
        OPT_ON = 1 << 3,
        OPT_PERIOD = 1 << 4,
        OPT_CHILDREN = 1 << 5,
        OPT_MS = 1 << 6,
        OPT_PARALLEL = 1 << 7,
        OPT_DEPTH = 1 << 8,
        OPT_COUNT = 1 << 9,
        OPT_RATE = 1 << 10,
        OPT_PERCENT = 1 << 11,
        OPT_MIB = 1 << 12,
        OPT_NODE = 1 << 13,
        OPT_TRUTH = 1 << 14,
        OPT_STARTED = 1 << 15, /* between the links of exec-chain only */
        OPT_DONE = 1 << 16,    /* the same */
        OPT_HELP = 1 << 17,
        OPT_OFFSET = 1 << 18,
};

struct mode {
        const char *name;
        const char *synopsis;
        int (*run)(const struct load_options *o, struct load_result *result);
        unsigned int needs; /* options that must be there */
        unsigned int takes; /* options that may be there beside these and --truth */
        bool operand;       /* --seconds may be given without its name */
};

static const struct mode modes[] = {
        {"spin", "SECONDS [--threads N] [--cpu]    use a core; --cpu: so much CPU time each",
         load_spin, OPT_SECONDS, OPT_THREADS | OPT_CPU, true},
        {"short", "SECONDS    a process that lives so long, and spins", load_spin, OPT_SECONDS, 0,
         true},
        {"threads", "--threads N --seconds S    spin in N threads", load_spin,
         OPT_THREADS | OPT_SECONDS, OPT_CPU, false},
        {"burst",
         "--on-ms N --period-ms N --seconds S [--offset-ms N]    CPU time in every period; with an "
         "offset "
         "spins for so long in every period, so long after multiples of it on CLOCK_MONOTONIC",
         load_burst, OPT_ON | OPT_PERIOD | OPT_SECONDS, OPT_OFFSET, false},
        {"quota", "--percent P --seconds S    a part of a core, in steps of 1 ms", load_quota,
         OPT_PERCENT | OPT_SECONDS, 0, false},
        {"hop", "--seconds S    spin, on another CPU every 1 ms", load_hop, OPT_SECONDS, 0, false},
        {"create", "--threads N    start and join threads that do almost nothing", load_create,
         OPT_THREADS, 0, false},
        {"idle-threads", "--threads N --seconds S    threads that sleep", load_idle_threads,
         OPT_THREADS | OPT_SECONDS, 0, false},
        {"mem", "--mib N --seconds S [--node K]    touch memory and hold it", load_mem,
         OPT_MIB | OPT_SECONDS, OPT_NODE, false},
        {"storm", "--children N --ms N [--parallel N]    children of so much CPU time each",
         load_storm, OPT_CHILDREN | OPT_MS, OPT_PARALLEL, false},
        {"forks", "--rate N --seconds S    N children a second that do almost nothing", load_forks,
         OPT_RATE | OPT_SECONDS, 0, false},
        {"daemon", "--depth D --seconds S --count N    spinning orphans, D generations down",
         load_daemon, OPT_DEPTH | OPT_SECONDS | OPT_COUNT, 0, false},
        {"exec-chain",
         "--depth N --ms N [--threads 2]    use CPU time, then execute itself, N times; with two "
         "threads by the second one",
         load_exec_chain, OPT_DEPTH | OPT_MS, OPT_THREADS | OPT_STARTED | OPT_DONE, false},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

static const struct option long_options[] = {
        {"seconds", required_argument, NULL, OPT_SECONDS},
        {"threads", required_argument, NULL, OPT_THREADS},
        {"cpu", no_argument, NULL, OPT_CPU},
        {"on-ms", required_argument, NULL, OPT_ON},
        {"period-ms", required_argument, NULL, OPT_PERIOD},
        {"offset-ms", required_argument, NULL, OPT_OFFSET},
        {"children", required_argument, NULL, OPT_CHILDREN},
        {"ms", required_argument, NULL, OPT_MS},
        {"parallel", required_argument, NULL, OPT_PARALLEL},
        {"depth", required_argument, NULL, OPT_DEPTH},
        {"count", required_argument, NULL, OPT_COUNT},
        {"rate", required_argument, NULL, OPT_RATE},
        {"percent", required_argument, NULL, OPT_PERCENT},
        {"mib", required_argument, NULL, OPT_MIB},
        {"node", required_argument, NULL, OPT_NODE},
        {"truth", required_argument, NULL, OPT_TRUTH},
        {"started-ns", required_argument, NULL, OPT_STARTED},
        {"done", required_argument, NULL, OPT_DONE},
        {"help", no_argument, NULL, OPT_HELP},
        {NULL, 0, NULL, 0},
};

static void print_usage(FILE *out)
{
        fputs("usage: loadgen MODE [options] [--truth FILE]\n", out);
        for (size_t i = 0; i < MODES; i++)
                fprintf(out, "  %s %s\n", modes[i].name, modes[i].synopsis);
        fputs("The truth is one line of JSON, in FILE or on stderr: mode, cpu_s, wall_s, "
              "children, threads, execs.\n",
              out);
}

static int usage_error(const char *what, const char *which)
{
        fprintf(stderr, "loadgen: %s%s%s\n", what, which ? ": " : "", which ? which : "");
        print_usage(stderr);
        return -EINVAL;
}

static const char *option_name(unsigned int bit)
{
        for (const struct option *option = long_options; option->name; option++) {
                if ((unsigned int)option->val == bit)
                        return option->name;
        }
        return "";
}

static int parse_number(const char *text, double low, double high, double *value)
{
        char *end = NULL;

        errno = 0;
        *value = strtod(text, &end);
        if (errno != 0 || end == text || *end != '\0' || !isfinite(*value))
                return -EINVAL;
        return *value < low || *value > high ? -ERANGE : 0;
}

static int parse_ns(const char *text, double most, double unit_ns, uint64_t *value_ns)
{
        double value = 0;
        int r = parse_number(text, 0.001, most, &value);

        *value_ns = r == 0 ? (uint64_t)llround(value * unit_ns) : 0;
        return r;
}

static int parse_unsigned(const char *text, unsigned int low, unsigned int high,
                          unsigned int *value)
{
        char *end = NULL;
        unsigned long parsed;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        parsed = strtoul(text, &end, 10);
        if (errno != 0 || *end != '\0')
                return -EINVAL;
        if (parsed < low || parsed > high)
                return -ERANGE;
        *value = (unsigned int)parsed;
        return 0;
}

static int set_option(struct load_options *o, unsigned int bit, const char *arg)
{
        unsigned int number = 0;
        int r;

        switch (bit) {
        case OPT_SECONDS:
                return parse_ns(arg, MAX_SECONDS, (double)NS_PER_S, &o->seconds_ns);
        case OPT_ON:
                return parse_ns(arg, MAX_MS, (double)NS_PER_MS, &o->on_ns);
        case OPT_PERIOD:
                return parse_ns(arg, MAX_MS, (double)NS_PER_MS, &o->period_ns);
        case OPT_OFFSET:
                o->aligned = true;
                return parse_ns(arg, MAX_MS, (double)NS_PER_MS, &o->offset_ns);
        case OPT_MS:
                return parse_ns(arg, MAX_MS, (double)NS_PER_MS, &o->each_ns);
        case OPT_THREADS:
                return parse_unsigned(arg, 1, MAX_THREADS, &o->threads);
        case OPT_CHILDREN:
                return parse_unsigned(arg, 1, MAX_CHILDREN, &o->children);
        case OPT_PARALLEL:
                return parse_unsigned(arg, 1, MAX_PARALLEL, &o->parallel);
        case OPT_DEPTH:
                return parse_unsigned(arg, 1, MAX_DEPTH, &o->depth);
        case OPT_COUNT:
                return parse_unsigned(arg, 1, MAX_COUNT, &o->count);
        case OPT_RATE:
                return parse_unsigned(arg, 1, MAX_RATE, &o->rate);
        case OPT_PERCENT:
                return parse_number(arg, 0.1, 100, &o->percent);
        case OPT_MIB:
                r = parse_unsigned(arg, 1, MAX_MIB, &number);
                o->mib = number;
                return r;
        case OPT_NODE:
                r = parse_unsigned(arg, 0, MAX_NODE, &number);
                o->node = (int)number;
                return r;
        case OPT_DONE:
                return parse_unsigned(arg, 1, MAX_DEPTH, &o->done);
        case OPT_STARTED:
                errno = 0;
                o->started_ns = strtoull(arg, NULL, 10);
                return errno != 0 ? -EINVAL : 0;
        case OPT_CPU:
                o->cpu = true;
                return 0;
        case OPT_TRUTH:
                o->truth = arg;
                return arg[0] != '\0' ? 0 : -EINVAL;
        default:
                return -EINVAL;
        }
}

/* 0, -EINVAL after a complaint, or 1 when help was asked for. */
static int parse(struct load_options *o, const struct mode **ret, int argc, char **argv)
{
        const struct mode *mode = NULL;
        unsigned int given = 0, missing;
        int index = 0, bit;

        *o = (struct load_options){.threads = 1, .parallel = 1, .node = -1};
        if (argc >= 2 && strcmp(argv[1], "--help") == 0)
                return 1;
        for (size_t i = 0; i < MODES && argc >= 2; i++) {
                if (strcmp(argv[1], modes[i].name) == 0)
                        mode = &modes[i];
        }
        if (!mode)
                return usage_error(argc < 2 ? "no mode" : "unknown mode",
                                   argc < 2 ? NULL : argv[1]);
        argc--;
        argv++;
        while ((bit = getopt_long(argc, argv, "", long_options, &index)) != -1) {
                if (bit == '?') /* getopt_long() has said which */
                        return usage_error("unknown option or missing value", NULL);
                if (bit == OPT_HELP)
                        return 1;
                if (!((unsigned int)bit & (mode->needs | mode->takes | OPT_TRUTH)))
                        return usage_error("not an option of this mode", long_options[index].name);
                if (set_option(o, (unsigned int)bit, optarg) < 0)
                        return usage_error("bad value of", long_options[index].name);
                given |= (unsigned int)bit;
        }
        if (optind < argc && mode->operand && !(given & OPT_SECONDS)) {
                if (set_option(o, OPT_SECONDS, argv[optind]) < 0)
                        return usage_error("bad number of seconds", argv[optind]);
                given |= OPT_SECONDS;
                optind++;
        }
        if (optind < argc)
                return usage_error("unexpected argument", argv[optind]);
        missing = mode->needs & ~given;
        if (missing)
                return usage_error("missing", option_name(missing & -missing));
        if ((given & OPT_ON) && o->on_ns > o->period_ns)
                return usage_error("--on-ms is above --period-ms", NULL);
        *ret = mode;
        return 0;
}

static uint64_t children_cpu_ns(void)
{
        struct rusage usage;

        getrusage(RUSAGE_CHILDREN, &usage);
        return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
               ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * NS_PER_US;
}

static int print_truth(FILE *out, const struct mode *mode, const struct load_options *o,
                       const struct load_result *result)
{
        uint64_t cpu_ns = load_process_cpu_ns() + children_cpu_ns() + result->elsewhere_ns;

        fprintf(out,
                "{\"mode\":\"%s\",\"cpu_s\":%.9f,\"wall_s\":%.9f,\"children\":%llu,"
                "\"threads\":%llu,\"execs\":%u}\n",
                mode->name, (double)cpu_ns / NS_PER_S,
                (double)(load_now_ns() - o->started_ns) / NS_PER_S,
                (unsigned long long)result->children, (unsigned long long)result->threads, o->done);
        return fflush(out) == 0 ? 0 : load_complain("write the truth", errno);
}

int main(int argc, char **argv)
{
        struct load_result result = {0};
        const struct mode *mode = NULL;
        struct load_options options;
        FILE *truth = stderr;
        int r;

        r = parse(&options, &mode, argc, argv);
        if (r > 0) {
                print_usage(stdout);
                return EXIT_SUCCESS;
        }
        if (r < 0)
                return 2;
        if (options.started_ns == 0)
                options.started_ns = load_now_ns();
        /* Open before the load: a bad path must not be found out after an hour. */
        if (options.truth) {
                truth = fopen(options.truth, "we");
                if (!truth) {
                        load_complain("open the truth file", errno);
                        return EXIT_FAILURE;
                }
        }
        r = mode->run(&options, &result);
        if (r == 0)
                r = print_truth(truth, mode, &options, &result);
        if (truth != stderr && fclose(truth) != 0)
                r = load_complain("write the truth", errno);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
