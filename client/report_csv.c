/* SPDX-License-Identifier: MIT */
/*
 * CSV (RFC 4180, but for the line ends, which are those of Unix): a row for each line and process
 * of a recording, or for each run.  What is not known is an empty field.  The machine's columns and
 * what is attributed cover machine_s, which can be longer than duration_s (docs/access.md).
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "report.h"
#include "report_forms.h"
#include "text.h"

/*
 * Quoted when it has to be, and quotes in it doubled.  Control characters become '?'.  A
 * spreadsheet takes what begins with one of =+-@ for a formula, and names of processes are
 * anybody's: an apostrophe before it makes it text (OWASP, "CSV Injection").
 */
static void write_text(FILE *out, const char *text)
{
        bool formula = text[0] && strchr("=+-@", text[0]);

        if (!formula && !strpbrk(text, ",\"")) {
                text_print_safe(out, text);
                return;
        }
        fputs(formula ? "\"'" : "\"", out);
        while (*text) {
                if (*text == '"')
                        fputc('"', out);
                text += text_print_character(out, text);
        }
        fputc('"', out);
}

static void write_number(FILE *out, double value)
{
        fputc(',', out);
        if (isfinite(value))
                fprintf(out, "%.6f", value);
}

static void write_energies(FILE *out, const json_t *object)
{
        static const char *const columns[][2] = {
                {"share", "package_j"},          {"share", "dram_j"},
                {"attributed", "package_j"},     {"attributed", "dram_j"},
                {"machine", "package_j"},        {"machine", "dram_j"},
                {"machine", "static_package_j"}, {"machine", "static_dram_j"},
                {"unattributed", "package_j"},   {"unattributed", "dram_j"},
        };

        for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
                write_number(out, report_number(object, columns[i][0], columns[i][1]));
}

static void write_begin(FILE *out, const json_t *body, const char *kind)
{
        double time_s = report_number(body, NULL, "time");

        if (isfinite(time_s))
                fprintf(out, "%.6f", time_s);
        write_number(out, report_number(body, NULL, "duration_s"));
        fprintf(out, ",%s", kind);
}

/* Of the followed program, or of the machine. */
static void write_whole(FILE *out, const json_t *body, const char *kind)
{
        write_begin(out, body, kind);
        fprintf(out, ",");
        if (report_integer(body, "pid") >= 0)
                fprintf(out, "%lld", report_integer(body, "pid"));
        fputc(',', out);
        write_text(out, report_string(body, "name"));
        fputc(',', out); /* user */
        write_number(out, report_number(body, NULL, "cpu_s"));
        write_energies(out, body);
        fputc(',', out);
        write_text(out, report_string(body, "source"));
        fprintf(out, ",%s", report_estimated(body) ? "true" : "false");
        write_number(out, report_machine_s(body));
        fputc('\n', out);
}

static void write_process(FILE *out, const json_t *body, const json_t *row)
{
        write_begin(out, body, "process");
        fprintf(out, ",%lld,", report_integer(row, "pid"));
        write_text(out, report_string(row, "comm"));
        fputc(',', out);
        write_text(out, report_string(row, "user"));
        write_number(out, report_number(row, NULL, "cpu_s"));
        write_number(out, report_number(row, NULL, "package_j"));
        write_number(out, report_number(row, NULL, "dram_j"));
        fputs(",,,,,,,,,,,\n", out);
}

static void write_line(FILE *out, const char *what, const json_t *body)
{
        const json_t *row;
        size_t i;

        if (strcmp(what, "interval") == 0)
                write_whole(out, body, "target");
        else if (strcmp(what, "machine") == 0)
                write_whole(out, body, "machine");
        json_array_foreach(json_object_get(body, "rows"), i, row) write_process(out, body, row);
}

static int write_runs(FILE *out, const struct bench *b)
{
        fputs("run,command,warmup,exit_status,counts", out);
        for (int m = 0; m < BENCH_METRICS; m++)
                fprintf(out, ",%s", bench_metric_key((enum bench_metric)m));
        fputc('\n', out);
        for (size_t i = 0; i < b->count; i++) {
                const struct bench_run *run = &b->runs[i];

                fprintf(out, "%zu,", i + 1);
                write_text(out, b->commands[run->command]);
                fprintf(out, ",%s,%d,%s", run->warmup ? "true" : "false", run->status,
                        run->counts ? "true" : "false");
                for (int m = 0; m < BENCH_METRICS; m++)
                        write_number(out, run->values[m]);
                fputc('\n', out);
        }
        return ferror(out) ? -EIO : 0;
}

int report_write_csv(FILE *out, const struct report_source *source)
{
        const char *what;
        json_t *line, *body;
        int r;

        if (source->bench)
                return write_runs(out, source->bench);
        r = record_rewind(source->reader);
        if (r < 0)
                return r;
        fputs("time,duration_s,kind,pid,name,user,cpu_s,share_package_j,share_dram_j,"
              "attributed_package_j,attributed_dram_j,machine_package_j,machine_dram_j,"
              "static_package_j,static_dram_j,unattributed_package_j,unattributed_dram_j,"
              "source,estimated,machine_s\n",
              out);
        while (record_next(source->reader, &line, &what, &body) > 0) {
                write_line(out, what, body);
                json_decref(line);
        }
        return ferror(out) ? -EIO : 0;
}
