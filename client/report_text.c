/* SPDX-License-Identifier: MIT */
#include "report_text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "report.h"
#include "text.h"

#define LABEL_WIDTH 17
#define CELL_WIDTH  9
#define MAX_NOTES   2

#define BOLD   "\033[1m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

struct table {
        FILE *out;
        const json_t *report;
        double duration_s, machine_s;
        bool dram; /* has the machine a dram meter that was read? */
        bool colour;
        bool *noted; /* has a note been printed? */
};

/* Energy and mean power; one dash for both when the energy is not known. */
static void print_cells(const struct table *t, double joules, double seconds)
{
        char energy[TEXT_NUMBER_MAX], power[TEXT_NUMBER_MAX];

        text_quantity(energy, joules, "J");
        text_quantity(power, seconds > 0 ? joules / seconds : NAN, "W");
        fprintf(t->out, " %*s %*s", CELL_WIDTH, energy, CELL_WIDTH, isnan(joules) ? "" : power);
}

static void print_row(const struct table *t, const char *label, const json_t *object,
                      const char *part, const char *package_key, const char *dram_key)
{
        /* what is attributed is made of the machine's energy in its window */
        double seconds = strcmp(part, "share") == 0 ? t->duration_s : t->machine_s;

        fprintf(t->out, "  %-*s", LABEL_WIDTH, label);
        print_cells(t, report_number(object, part, package_key), seconds);
        if (t->dram)
                print_cells(t, report_number(object, part, dram_key), seconds);
        fputc('\n', t->out);
}

static void print_sockets(const struct table *t)
{
        const json_t *sockets = json_object_get(t->report, "sockets"), *socket;
        size_t i;

        if (json_array_size(sockets) < 2)
                return;
        json_array_foreach(sockets, i, socket)
        {
                const char *answers[] = {report_answer(t->report), report_other_answer(t->report)};
                char seconds[TEXT_NUMBER_MAX], label[LABEL_WIDTH];

                fprintf(t->out, "\n  socket %lld: %s CPU s\n", report_integer(socket, "socket"),
                        text_number(seconds, report_number(socket, NULL, "cpu_s")));
                for (size_t j = 0; j < sizeof(answers) / sizeof(answers[0]); j++) {
                        snprintf(label, sizeof(label), "  %s", answers[j]);
                        print_row(t, label, socket, answers[j], "package_j", "dram_j");
                }
                print_row(t, "  whole socket", socket, "machine", "package_j", "dram_j");
        }
}

static void print_table(const struct table *t)
{
        const char *answer = report_answer(t->report), *other = report_other_answer(t->report);
        int pair = 2 * CELL_WIDTH + 2;

        fprintf(t->out, "\n  %-*s%*s", LABEL_WIDTH, "", pair, "package");
        if (t->dram)
                fprintf(t->out, "%*s", pair, "dram");
        fputc('\n', t->out);

        if (t->colour)
                fputs(BOLD, t->out);
        print_row(t, answer, t->report, answer, "package_j", "dram_j");
        if (t->colour)
                fputs(PLAIN, t->out);
        print_row(t, other, t->report, other, "package_j", "dram_j");
        print_row(t, "whole machine", t->report, "machine", "package_j", "dram_j");
        print_row(t, "  of it static", t->report, "machine", "static_package_j", "static_dram_j");
        print_sockets(t);
}

static void print_header(const struct table *t, const char *title)
{
        char duration[TEXT_NUMBER_MAX], cpu[TEXT_NUMBER_MAX];

        fputs("energat: ", t->out);
        if (t->colour)
                fputs(BOLD, t->out);
        text_print_safe(t->out, title);
        if (t->colour)
                fputs(PLAIN, t->out);
        fprintf(t->out, "  %s s, %s CPU s (", text_number(duration, t->duration_s),
                text_number(cpu, report_number(t->report, NULL, "cpu_s")));
        text_print_safe(t->out, report_string(t->report, "source"));
        fputs(")\n", t->out);
        if (report_estimated(t->report))
                fputs("  estimated, no energy meter on this machine\n", t->out);
}

/* The first note stands apart from the table. */
static void begin_note(const struct table *t)
{
        fputs(*t->noted ? "  " : "\n  ", t->out);
        *t->noted = true;
}

/* The warning that speaks of `domain`, or -1. */
static int warning_about(const json_t *warnings, const char *domain)
{
        const json_t *warning;
        size_t i;

        json_array_foreach(warnings, i, warning)
        {
                const char *text = json_string_value(warning);

                if (text && strcasestr(text, domain))
                        return (int)i;
        }
        return -1;
}

/*
 * One line for a domain with values that are not known, with the daemon's reason, or else the
 * warning that speaks of it.  Returns that warning's number, so that it is not said twice, or -1.
 */
static int print_unknown(const struct table *t, const char *domain, const char *key)
{
        const json_t *warnings = json_object_get(t->report, "warnings");
        const char *what, *reason, *given;
        size_t prefix = strlen(domain);
        int index;

        if (isnan(report_number(t->report, "machine", key))) {
                what = "not measured";
                reason = "no such meter on this machine, or it cannot be read";
        } else if (isnan(report_number(t->report, "attributed", key))) {
                what = "measured for the machine, not attributed";
                reason = "energatd gives no reason";
        } else {
                return -1;
        }

        given = json_string_value(json_object_get(json_object_get(t->report, "reasons"), domain));
        index = given ? -1 : warning_about(warnings, domain);
        if (given)
                reason = given;
        else if (index >= 0)
                reason = json_string_value(json_array_get(warnings, (size_t)index));
        if (strncasecmp(reason, domain, prefix) == 0 && strncmp(reason + prefix, ": ", 2) == 0)
                reason += prefix + 2;
        begin_note(t);
        fprintf(t->out, "%s: %s (", domain, what);
        text_print_safe(t->out, reason);
        fputs(")\n", t->out);
        return index;
}

/* Half of the table can be about more than what was measured. */
static void print_window(const struct table *t)
{
        char machine[TEXT_NUMBER_MAX], duration[TEXT_NUMBER_MAX];

        if (!report_is_rounded(t->report))
                return;
        begin_note(t);
        fprintf(t->out,
                "attributed and whole machine cover %s s, share %s s: who is not root or in group\n"
                "  energat is told of the machine in whole seconds\n",
                text_number(machine, t->machine_s), text_number(duration, t->duration_s));
}

/* But those that were told of already, by number. */
static void print_warnings(const struct table *t, const int said[MAX_NOTES])
{
        const json_t *warnings = json_object_get(t->report, "warnings"), *warning;
        size_t i;

        json_array_foreach(warnings, i, warning)
        {
                const char *text = json_string_value(warning);

                if (!text || (int)i == said[0] || (int)i == said[1])
                        continue;
                begin_note(t);
                fprintf(t->out, "%swarning%s: ", t->colour ? YELLOW : "", t->colour ? PLAIN : "");
                text_print_safe(t->out, text);
                fputc('\n', t->out);
        }
}

/* How good the dram values are: memory is read exactly now and then, and followed in between. */
static void print_memory_basis(const struct table *t)
{
        double exact_part = report_number(t->report, "memory", "exact_part");
        double age_s = report_number(t->report, "memory", "age_s");
        char percent[TEXT_NUMBER_MAX], age[TEXT_NUMBER_MAX];

        if (isnan(exact_part))
                return;
        begin_note(t);
        if (isnan(age_s))
                fputs("dram: by resident memory, of which nothing has been read exactly yet\n",
                      t->out);
        else
                fprintf(t->out, "dram: %s %% of the memory by exact readings, the oldest %s old\n",
                        text_number(percent, 100 * exact_part), text_quantity(age, age_s, "s"));
}

static void print_notes(const struct table *t)
{
        int said[MAX_NOTES];

        print_window(t);
        said[0] = print_unknown(t, "package", "package_j");
        said[1] = print_unknown(t, "dram", "dram_j");
        print_memory_basis(t);
        print_warnings(t, said);
}

static struct table table_of(FILE *out, const json_t *report)
{
        return (struct table){
                .out = out,
                .report = report,
                .duration_s = report_number(report, NULL, "duration_s"),
                .machine_s = report_machine_s(report),
                .dram = !isnan(report_number(report, "machine", "dram_j")),
                .colour = text_colour(out),
        };
}

void report_print_text(FILE *out, const json_t *report, const char *title)
{
        const struct table t = table_of(out, report);

        print_header(&t, title);
        print_table(&t);
}

void report_print_notes(FILE *out, const json_t *report)
{
        bool noted = false;
        struct table t = table_of(out, report);

        t.noted = &noted;
        print_notes(&t);
}

void report_print_warnings(FILE *out, const json_t *document)
{
        static const int none[MAX_NOTES] = {-1, -1};
        bool noted = false;
        struct table t = {
                .out = out, .report = document, .colour = text_colour(out), .noted = &noted};

        print_warnings(&t, none);
}

void report_print_power(FILE *out, const char *label, const struct power *power)
{
        char line[POWER_LINE_MAX], average[TEXT_NUMBER_MAX], peak[TEXT_NUMBER_MAX];
        char window[TEXT_NUMBER_MAX];

        power_line(power, POWER_LINE_COLUMNS, text_utf8(), line);
        if (!line[0])
                return;
        fprintf(out, "\n  %-*s %s\n", LABEL_WIDTH, label, line);
        fprintf(out, "  %-*s average %s, peak %s in %s\n", LABEL_WIDTH, "",
                text_quantity(average, power_average_w(power), "W"),
                text_quantity(peak, power_peak_w(power), "W"),
                text_quantity(window, power->peak_window_s, "s"));
}

static void print_impact_row(FILE *out, const char *label, const struct impact_factors *f,
                             struct impact i)
{
        char energy[TEXT_NUMBER_MAX], wh[TEXT_NUMBER_MAX], co2[TEXT_NUMBER_MAX];
        char cost[TEXT_NUMBER_MAX];

        fprintf(out, "  %-*s %*s %*s", LABEL_WIDTH, label, CELL_WIDTH,
                text_quantity(energy, i.energy_j, "J"), CELL_WIDTH + 1,
                text_quantity(wh, i.energy_wh, "Wh"));
        if (!isnan(f->emissions_g_per_kwh))
                fprintf(out, " %*s CO2e", CELL_WIDTH, text_quantity(co2, i.co2_g, "g"));
        if (!isnan(f->price_per_kwh)) {
                fprintf(out, " %*s ", CELL_WIDTH, text_number(cost, i.cost));
                text_print_safe(out, f->price_unit);
        }
        fputc('\n', out);
}

void report_print_impact(FILE *out, const struct impact_factors *f, const json_t *report)
{
        const char *answer = report_answer(report), *other = report_other_answer(report);
        double machine_s = report_machine_s(report);

        fprintf(out, "\n  %-*s%*s\n", LABEL_WIDTH, "", 2 * CELL_WIDTH + 3, "in all");
        print_impact_row(out, answer, f, impact_of(f, impact_total_j(report, answer)));
        print_impact_row(out, other, f, impact_of(f, impact_total_j(report, other)));
        print_impact_row(out, "whole machine", f,
                         impact_of_machine(f, impact_total_j(report, "machine"), machine_s));
}
