/* SPDX-License-Identifier: MIT */
#include "report_forms.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "bench_text.h"
#include "report.h"
#include "report_text.h"
#include "text.h"

#define PROGRAMS_SHOWN 15
#define LABEL_WIDTH    17

static void print_seconds(FILE *out, double begin_s, double duration_s)
{
        time_t begin = (time_t)begin_s;
        char when[32], duration[TEXT_NUMBER_MAX];
        struct tm utc;

        if (!gmtime_r(&begin, &utc) || !strftime(when, sizeof(when), "%F %T UTC", &utc))
                when[0] = '\0';
        fprintf(out, "  %s, for %s\n", when, text_quantity(duration, duration_s, "s"));
}

static void print_machine_row(FILE *out, const char *label, double joules, double seconds)
{
        char energy[TEXT_NUMBER_MAX], power[TEXT_NUMBER_MAX];

        fprintf(out, "  %-*s %9s %9s\n", LABEL_WIDTH, label, text_quantity(energy, joules, "J"),
                isnan(joules) ? "" : text_quantity(power, joules / seconds, "W"));
}

static void print_machine(FILE *out, const json_t *d)
{
        double seconds = report_number(d, NULL, "duration_s"), all = impact_total_j(d, "machine");
        double package_j = report_number(d, "machine", "static_package_j");
        double dram_j = report_number(d, "machine", "static_dram_j");
        double idle = isnan(package_j) ? dram_j : package_j + (isnan(dram_j) ? 0 : dram_j);
        double nobody = impact_total_j(d, "unattributed");

        fputc('\n', out);
        print_machine_row(out, "whole machine", all, seconds);
        print_machine_row(out, "  of it static", idle, seconds);
        print_machine_row(out, "  unattributed", nobody, seconds);
        print_machine_row(out, "  processes",
                          all - (isnan(idle) ? 0 : idle) - (isnan(nobody) ? 0 : nobody), seconds);
}

/* All that is drawn, by step: of a program its share, of the machine also what it takes idle. */
static void collect_power(const json_t *d, struct power *power)
{
        const json_t *over_time = json_object_get(d, "power"), *all, *one;
        double step_s = report_number(over_time, NULL, "step_s");
        size_t steps, i;

        all = json_object_get(over_time, "series");
        steps = json_array_size(json_object_get(json_array_get(all, 0), "watts"));
        for (size_t step = 0; step < steps; step++) {
                double watts = 0;

                json_array_foreach(all, i, one) watts += json_number_value(
                        json_array_get(json_object_get(one, "watts"), step));
                power_add(power, step_s, watts * step_s);
        }
}

static void print_programs(FILE *out, const json_t *d)
{
        const json_t *programs = json_object_get(d, "programs"), *p;
        size_t i;

        if (json_array_size(programs) == 0)
                return;
        fprintf(out, "\n  %-16s %-12s %9s %9s %9s\n", "program", "user", "processes", "CPU",
                "share");
        json_array_foreach(programs, i, p)
        {
                char cpu[TEXT_NUMBER_MAX], energy[TEXT_NUMBER_MAX];
                double package_j = report_number(p, NULL, "package_j");
                double dram_j = report_number(p, NULL, "dram_j");
                int padding = 16 - (int)strlen(report_string(p, "comm"));

                if (i == PROGRAMS_SHOWN) {
                        fprintf(out, "  and %zu more\n", json_array_size(programs) - i);
                        break;
                }
                fputs("  ", out);
                text_print_safe(out, report_string(p, "comm"));
                fprintf(out, "%*s ", padding > 0 ? padding : 0, "");
                padding = 12 - (int)strlen(report_string(p, "user"));
                text_print_safe(out, report_string(p, "user"));
                fprintf(out, "%*s %9lld %9s %9s\n", padding > 0 ? padding : 0, "",
                        report_integer(p, "processes"),
                        text_quantity(cpu, report_number(p, NULL, "cpu_s"), "s"),
                        text_quantity(energy,
                                      isnan(package_j) ? dram_j
                                                       : package_j + (isnan(dram_j) ? 0 : dram_j),
                                      "J"));
        }
}

static void print_recording_notes(FILE *out, const json_t *d)
{
        const json_t *notes = json_object_get(d, "notes"), *note;
        const char *cut = report_string(d, "cut");
        size_t i;

        if (cut[0])
                fprintf(out, "\n  the recording ends early: %s\n", cut);
        else if (!json_is_true(json_object_get(d, "complete")) &&
                 report_integer(d, "exit_status") < 0)
                fputs("\n  the recording has no end: it was broken off\n", out);
        json_array_foreach(notes, i, note)
        {
                fputs("  note: ", out);
                text_print_safe(out, report_string(note, "text"));
                fputc('\n', out);
        }
}

static int write_text(FILE *out, const struct report_source *source)
{
        const json_t *d = source->document, *result = json_object_get(d, "result");
        struct power power = {0};

        if (source->bench)
                return bench_print_text(out, source->bench);
        if (json_is_object(result)) {
                report_print_text(out, result, report_string(d, "name"));
        } else {
                fputs("energat: the machine (", out);
                text_print_safe(out, report_string(d, "source"));
                fputs(")\n", out);
                if (report_estimated(d))
                        fputs("  estimated, no energy meter on this machine\n", out);
        }
        print_seconds(out, report_number(d, NULL, "begin"), report_number(d, NULL, "duration_s"));
        if (!json_is_object(result))
                print_machine(out, d);
        collect_power(d, &power);
        report_print_power(out, json_is_object(result) ? "power (share)" : "power", &power);
        if (json_is_object(result))
                report_print_impact(out, source->factors, result);
        print_programs(out, d);
        print_recording_notes(out, d);
        if (json_is_object(result))
                report_print_notes(out, result);
        else
                report_print_warnings(out, d);
        return ferror(out) ? -EIO : 0;
}

static int write_json(FILE *out, const struct report_source *source)
{
        json_auto_t *object = NULL;

        if (!source->bench)
                return report_print_json(out, source->document);
        object = bench_json(source->bench, source->factors);
        return object ? report_print_json(out, object) : -ENOMEM;
}

const struct report_form report_forms[] = {
        {"text", write_text},        {"json", write_json},          {"csv", report_write_csv},
        {"html", report_write_html}, {"bench", report_write_bench}, {NULL, NULL},
};

const struct report_form *report_form(const char *name)
{
        for (const struct report_form *f = report_forms; f->name; f++)
                if (strcmp(f->name, name) == 0)
                        return f;
        return NULL;
}
