/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output_file.h"
#include "report.h"
#include "utilisation.h"

/* Leaves room for prefix, suffix and the temporary's ending below NAME_MAX (255). */
#define TRACE_NAME_MAX 128

struct trace {
        struct output_file file;
        struct utilisation *utilisation; /* NULL: not readable here, percents stay empty */
};

static const char header[] =
        "time,socket,duration_sec,num_proc,num_threads,pkg_credit_frac,dram_credit_frac,"
        "total_pkg_joules,total_dram_joules,base_pkg_joules,base_dram_joules,"
        "ascribed_pkg_joules,ascribed_dram_joules,tracer_pkg_joules,tracer_dram_joules,"
        "pkg_percent,dram_percent,share_pkg_joules,share_dram_joules,cpu_sec,source,estimated,"
        "model\n";

static void tame_name(char name[TRACE_NAME_MAX + 1], const char *wanted)
{
        size_t n = 0;

        for (; n < TRACE_NAME_MAX && wanted[n]; n++) {
                unsigned char c = (unsigned char)wanted[n];
                bool fine = (c < 0x80 && isalnum(c)) || c == '.' || c == '_' || c == '-';

                name[n] = (char)(fine ? c : '_');
        }
        name[n] = '\0';
}

int trace_open(struct trace **ret, const char *directory, const char *name)
{
        __attribute__((cleanup(trace_freep))) struct trace *t = NULL;
        char tame[TRACE_NAME_MAX + 1], path[PATH_MAX];
        int r;

        tame_name(tame, name);
        if (snprintf(path, sizeof(path), "%s/energat_traces_%s.csv", directory, tame) >= PATH_MAX)
                return -ENAMETOOLONG;
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        /* never in place: a link by that name in a directory of others is replaced, not followed */
        r = output_file_open(&t->file, path, false);
        if (r < 0)
                return r;

        r = utilisation_new(&t->utilisation, "/sys");
        if (r == -ENOMEM)
                return r;
        if (fputs(header, t->file.stream) == EOF)
                return -EIO;
        *ret = t;
        t = NULL;
        return 0;
}

/* Six decimals are microseconds and microjoules, which is what energy counters count in. */
static void write_number(FILE *out, double value)
{
        if (isfinite(value))
                fprintf(out, "%.6f,", value);
        else
                fputc(',', out);
}

static void write_count(FILE *out, long long value)
{
        if (value >= 0)
                fprintf(out, "%lld,", value);
        else
                fputc(',', out);
}

/* A word of the daemon's, so that nothing in it can end the field or the line. */
static void write_word(FILE *out, const char *word)
{
        for (; *word; word++)
                fputc(isalnum((unsigned char)*word) || *word == '-' || *word == '.' ? *word : '_',
                      out);
}

static void write_row(struct trace *t, const json_t *report, const json_t *socket)
{
        const char *answer = report_answer(report);
        const char *const columns[][2] = {
                {"machine", "package_j"},        {"machine", "dram_j"},
                {"machine", "static_package_j"}, {"machine", "static_dram_j"},
                {answer, "package_j"},           {answer, "dram_j"},
                {"tracer", "package_j"},         {"tracer", "dram_j"},
        };
        double duration_s = report_machine_s(report); /* what most columns cover */
        long long number = report_integer(socket, "socket");
        double pkg_percent = NAN, dram_percent = NAN;
        FILE *out = t->file.stream;

        if (t->utilisation) {
                pkg_percent = utilisation_cpu_percent(
                        t->utilisation, number, report_number(socket, NULL, "busy_s"), duration_s);
                dram_percent = utilisation_memory_percent(t->utilisation, number);
        }

        write_number(out, report_number(report, NULL, "time"));
        write_count(out, number);
        write_number(out, duration_s);
        write_count(out, report_integer(report, "processes"));
        write_count(out, report_integer(report, "threads"));
        write_number(out, report_number(socket, NULL, "package_credit"));
        write_number(out, report_number(socket, NULL, "dram_credit"));
        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
                write_number(out, report_number(socket, columns[i][0], columns[i][1]));
        write_number(out, pkg_percent);
        write_number(out, dram_percent);
        write_number(out, report_number(socket, "share", "package_j"));
        write_number(out, report_number(socket, "share", "dram_j"));
        write_number(out, report_number(socket, NULL, "cpu_s"));
        write_word(out, report_string(report, "source"));
        fputs(report_estimated(report) ? ",true," : ",false,", out);
        write_word(out, strcmp(answer, "share") == 0 ? "additive" : "energat");
        fputc('\n', out);
}

void trace_write(struct trace *t, const json_t *report)
{
        const json_t *socket;
        size_t i;

        json_array_foreach(json_object_get(report, "sockets"), i, socket)
                write_row(t, report, socket);
}

int trace_commit(struct trace *t)
{
        return output_file_commit(&t->file);
}

const char *trace_path(const struct trace *t)
{
        return t->file.path;
}

void trace_free(struct trace *t)
{
        if (!t)
                return;
        output_file_deinit(&t->file);
        utilisation_free(t->utilisation);
        free(t);
}

void trace_freep(struct trace **t)
{
        trace_free(*t);
}
