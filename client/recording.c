/* SPDX-License-Identifier: MIT */
#include "recording.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "usage.h"

/* The series of power over time, in the order in which they are stacked: programs, ... */
enum { SERIES_REST = RECORDING_PROGRAMS, SERIES_UNATTRIBUTED, SERIES_STATIC, SERIES_COUNT };

struct recording {
        bool machine; /* of the whole machine; else of a command */
        json_t *header, *end;
        json_t *total; /* a Report: the sum of the intervals, or of the machine's lines */
        json_t *unattributed, *sockets, *domains, *notes, *warnings;
        struct usage usage;
        double begin_s, end_s; /* since 1970, of what was recorded */
        bool has_rows;

        const char *names[RECORDING_PROGRAMS]; /* of the series */
        size_t nnames, steps;
        double *joules;  /* SERIES_COUNT x steps */
        double *total_j; /* by step: the program's, to find what its known processes do not tell */
};

static double known(double value)
{
        return isnan(value) ? 0 : value;
}

/* ---- the first pass: sums ---- */

static void cover(struct recording *r, const json_t *body)
{
        double end_s = report_number(body, NULL, "time");
        double begin_s = end_s - report_number(body, NULL, "duration_s");

        if (isnan(begin_s))
                return;
        if (r->end_s == 0 || begin_s < r->begin_s)
                r->begin_s = begin_s;
        if (r->end_s == 0 || end_s > r->end_s)
                r->end_s = end_s;
}

static int add_rows(struct recording *r, const json_t *body)
{
        const json_t *row;
        size_t i;

        r->has_rows = true;
        json_array_foreach(json_object_get(body, "rows"), i, row)
        {
                if (json_is_object(row) && usage_add(&r->usage, row) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* sum[key] += more[key], for every number; null stays null until there is a number. */
static int add_numbers(json_t *sum, const json_t *more)
{
        const json_t *value;
        const char *key;

        json_object_foreach((json_t *)more, key, value)
        {
                double before = report_number(sum, NULL, key);
                double now = report_number(more, NULL, key);
                double both = isnan(before) ? now : before + known(now);

                if (json_object_set_new(sum, key, isnan(both) ? json_null() : json_real(both)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static json_t *find_domain(json_t *domains, const char *name)
{
        json_t *domain;
        size_t i;

        json_array_foreach(domains, i, domain)
        {
                if (strcmp(report_string(domain, "name"), name) == 0)
                        return domain;
        }
        return NULL;
}

static int add_sockets(struct recording *r, const json_t *body)
{
        const json_t *socket;
        size_t i;

        json_array_foreach(json_object_get(body, "sockets"), i, socket)
        {
                json_t *sum = report_socket(r->sockets, report_integer(socket, "socket"));

                if (!sum) {
                        if (json_array_append_new(r->sockets, json_deep_copy(socket)) < 0)
                                return -ENOMEM;
                } else if (add_numbers(json_object_get(sum, "machine"),
                                       json_object_get(socket, "machine")) < 0 ||
                           add_numbers(json_object_get(sum, "unattributed"),
                                       json_object_get(socket, "unattributed")) < 0) {
                        return -ENOMEM;
                }
        }
        return 0;
}

static int add_domains(struct recording *r, const json_t *body)
{
        const json_t *domain;
        size_t i;

        json_array_foreach(json_object_get(body, "domains"), i, domain)
        {
                json_t *sum = find_domain(r->domains, report_string(domain, "name"));
                double before = report_number(sum, NULL, "energy_j");
                double more = report_number(domain, NULL, "energy_j");

                if (!sum) {
                        if (json_array_append_new(r->domains, json_deep_copy(domain)) < 0)
                                return -ENOMEM;
                } else if (!isnan(more) &&
                           json_object_set_new(sum, "energy_j", json_real(known(before) + more)) <
                                   0) {
                        return -ENOMEM;
                }
        }
        return 0;
}

static int keep_warnings(struct recording *r, const json_t *body)
{
        json_auto_t *holder = json_pack("{s:O}", "warnings", r->warnings);
        const json_t *warning;
        size_t i;

        json_array_foreach(json_object_get(body, "warnings"), i, warning)
        {
                if (json_is_string(warning) && report_warn(holder, json_string_value(warning)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int take_machine(struct recording *r, const json_t *body)
{
        json_t *machine = json_object_get(r->total, "machine");

        if (!machine) {
                if (json_object_set_new(r->total, "machine", json_object()) < 0 ||
                    json_object_set_new(r->total, "source",
                                        json_string(report_string(body, "source"))) < 0 ||
                    json_object_set_new(r->total, "estimated",
                                        json_boolean(report_estimated(body))) < 0)
                        return -ENOMEM;
                machine = json_object_get(r->total, "machine");
        }
        if (add_numbers(machine, json_object_get(body, "machine")) < 0 ||
            add_numbers(r->unattributed, json_object_get(body, "unattributed")) < 0 ||
            add_sockets(r, body) < 0 || add_domains(r, body) < 0 || keep_warnings(r, body) < 0)
                return -ENOMEM;
        return add_rows(r, body);
}

static int take_line(struct recording *r, const char *what, json_t *body)
{
        if (!json_is_object(body))
                return 0;
        if (strcmp(what, "interval") == 0) {
                if (r->machine || !report_valid(body))
                        return 0; /* of a version to come, or damaged: not added up */
                cover(r, body);
                return report_add(r->total, body);
        }
        if (strcmp(what, "machine") == 0) {
                if (!r->machine || !json_is_object(json_object_get(body, "machine")))
                        return 0;
                cover(r, body);
                return take_machine(r, body);
        }
        if (strcmp(what, "processes") == 0)
                return add_rows(r, body);
        if (strcmp(what, "note") == 0)
                return json_array_append(r->notes, body);
        if (strcmp(what, "end") == 0) {
                json_decref(r->end);
                r->end = json_incref(body);
        }
        return 0; /* what is not known is passed over: later versions may add lines */
}

static int note_limit(struct recording *r)
{
        char text[128];

        if (!r->usage.full)
                return 0;
        snprintf(text, sizeof(text),
                 "there are more than %d processes: those beyond are told by program, and are not "
                 "counted",
                 USAGE_MAX_PROCESSES);
        return json_array_append_new(r->notes,
                                     json_pack("{s:f, s:s}", "time", r->end_s, "text", text)) < 0
                       ? -ENOMEM
                       : 0;
}

static int sum_up(struct recording *r, struct record_reader *reader)
{
        const char *what;
        json_t *line, *body;
        int error = 0;

        while (error == 0 && record_next(reader, &line, &what, &body) > 0) {
                error = take_line(r, what, body);
                json_decref(line);
        }
        if (error == 0)
                error = note_limit(r);
        return error < 0 ? -ENOMEM : 0;
}

/* ---- the second pass: power over time ---- */

/* Energy of a window goes to the steps that it covers, by time. */
static void spread(const struct recording *r, double *steps, const json_t *body, double joules)
{
        double end_s = report_number(body, NULL, "time") - r->begin_s;
        double begin_s = end_s - report_number(body, NULL, "duration_s");
        double step_s = (r->end_s - r->begin_s) / (double)r->steps;
        size_t first, last;

        if (!(end_s > begin_s) || !(joules > 0))
                return;
        first = (size_t)fmax(0, floor(begin_s / step_s));
        last = (size_t)fmax(0, floor(end_s / step_s));
        for (size_t i = first; i <= last && i < r->steps; i++) {
                double from = fmax(begin_s, step_s * (double)i);
                double to = fmin(end_s, step_s * (double)(i + 1));

                if (to > from)
                        steps[i] += joules * (to - from) / (end_s - begin_s);
        }
}

static double *series(const struct recording *r, size_t index)
{
        return r->joules + index * r->steps;
}

static size_t series_of(const struct recording *r, const json_t *row)
{
        for (size_t i = 0; i < r->nnames; i++)
                if (strcmp(r->names[i], usage_name(row)) == 0)
                        return i;
        return SERIES_REST;
}

static void draw_line(struct recording *r, const char *what, const json_t *body)
{
        const json_t *row;
        size_t i;

        if (strcmp(what, "interval") == 0)
                spread(r, r->total_j, body, impact_total_j(body, "share"));
        json_array_foreach(json_object_get(body, "rows"), i, row)
        {
                spread(r, series(r, series_of(r, row)), body, usage_joules(row));
        }
        if (!r->machine || strcmp(what, "machine") != 0)
                return;
        spread(r, series(r, SERIES_UNATTRIBUTED), body, impact_total_j(body, "unattributed"));
        spread(r, series(r, SERIES_STATIC), body,
               known(report_number(body, "machine", "static_package_j")) +
                       known(report_number(body, "machine", "static_dram_j")));
        spread(r, r->total_j, body, impact_total_j(body, "machine"));
}

/*
 * What no process that was seen has used: those that lived between two looks, and the last of each.
 * Rows are taken some milliseconds after their interval has ended, so that a step can hold more of
 * them than it had energy; its neighbours then hold less, and make up for it.
 */
static void draw_rest(struct recording *r)
{
        double *rest = series(r, SERIES_REST), more = 0;

        for (size_t i = 0; i < r->steps; i++) {
                double told = 0, left;

                for (size_t s = 0; s < SERIES_COUNT; s++)
                        told += series(r, s)[i];
                left = r->total_j[i] - told - more;
                more = fmax(0, -left);
                rest[i] += fmax(0, left);
        }
        for (size_t i = r->steps; i > 0 && more > 0; i--) {
                double taken = fmin(more, rest[i - 1]);

                rest[i - 1] -= taken;
                more -= taken;
        }
}

/* Names are distinct here: programs of two users that are called the same are drawn as one. */
static void choose_names(struct recording *r, const json_t *programs)
{
        const json_t *program;
        size_t i, j;

        json_array_foreach(programs, i, program)
        {
                for (j = 0; j < r->nnames; j++)
                        if (strcmp(r->names[j], usage_name(program)) == 0)
                                break;
                if (j == r->nnames && r->nnames < RECORDING_PROGRAMS)
                        r->names[r->nnames++] = usage_name(program);
        }
        /* without rows, the program as a whole is all there is */
        if (!r->has_rows)
                r->nnames = 0;
}

static int draw(struct recording *r, struct record_reader *reader)
{
        double interval_s = report_number(r->header, NULL, "interval_s");
        const char *what;
        json_t *line, *body;
        int error = record_rewind(reader);

        if (error < 0)
                return error;
        r->steps = RECORDING_STEPS;
        if (interval_s > 0)
                r->steps = (size_t)fmin(RECORDING_STEPS,
                                        fmax(1, round((r->end_s - r->begin_s) / interval_s)));
        r->joules = calloc(SERIES_COUNT * r->steps, sizeof(*r->joules));
        r->total_j = calloc(r->steps, sizeof(*r->total_j));
        if (!r->joules || !r->total_j)
                return -ENOMEM;
        while (record_next(reader, &line, &what, &body) > 0) {
                draw_line(r, what, body);
                json_decref(line);
        }
        draw_rest(r);
        return 0;
}

/* ---- the document ---- */

static json_t *watts_json(const struct recording *r, const double *joules)
{
        double step_s = (r->end_s - r->begin_s) / (double)r->steps;
        json_t *list = json_array();

        for (size_t i = 0; i < r->steps; i++)
                json_array_append_new(list, json_real(joules[i] / step_s));
        return list;
}

static double sum_of(const struct recording *r, const double *joules)
{
        double sum = 0;

        for (size_t i = 0; i < r->steps; i++)
                sum += joules[i];
        return sum;
}

static int append_series(const struct recording *r, json_t *list, size_t index, const char *kind,
                         const char *name)
{
        double joules = sum_of(r, series(r, index));

        if (!(joules > 0))
                return 0;
        return json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:o}", "name", name, "kind",
                                                     kind, "energy_j", joules, "watts",
                                                     watts_json(r, series(r, index))));
}

static json_t *power_over_time(const struct recording *r)
{
        const char *rest = r->has_rows ? "other and ended" : report_string(r->header, "name");
        json_auto_t *list = json_array();
        int error = 0;

        for (size_t i = 0; error == 0 && i < r->nnames; i++)
                error = append_series(r, list, i, "program", r->names[i]);
        if (error == 0)
                error = append_series(r, list, SERIES_REST, "rest", rest);
        if (error == 0)
                error = append_series(r, list, SERIES_UNATTRIBUTED, "unattributed", "unattributed");
        if (error == 0)
                error = append_series(r, list, SERIES_STATIC, "static", "static");
        return error < 0 ? NULL
                         : json_pack("{s:f, s:f, s:O}", "begin", r->begin_s, "step_s",
                                     (r->end_s - r->begin_s) / (double)r->steps, "series", list);
}

static int set_all(const struct recording *r, const struct record_reader *reader, json_t *document,
                   const json_t *result, const struct impact_factors *factors)
{
        json_t *status = json_object_get(r->end, "exit_status");
        bool partial = json_is_true(json_object_get(r->end, "partial"));
        json_t *programs = usage_list(r->usage.programs, RECORDING_PROCESSES);
        json_t *processes = usage_list(r->usage.processes, RECORDING_PROCESSES);
        int e = 0;

        e |= json_object_set_new(document, "duration_s", json_real(r->end_s - r->begin_s));
        e |= json_object_set_new(document, "begin", json_real(r->begin_s));
        e |= json_object_set_new(document, "complete",
                                 json_boolean(r->end && !partial && !reader->cut[0]));
        e |= json_object_set_new(document, "cut",
                                 reader->cut[0] ? json_string(reader->cut) : json_null());
        e |= json_object_set(document, "exit_status", status ? status : json_null());
        e |= json_object_set_new(document, "source", json_string(report_string(result, "source")));
        e |= json_object_set_new(document, "estimated", json_boolean(report_estimated(result)));
        e |= json_object_set(document, "result", r->machine ? json_null() : (json_t *)result);
        e |= json_object_set(document, "machine", json_object_get(result, "machine"));
        e |= json_object_set(document, "unattributed", r->machine ? r->unattributed : json_null());
        e |= json_object_set(document, "sockets",
                             r->machine ? r->sockets : json_object_get(result, "sockets"));
        e |= json_object_set(document, "domains", r->domains);
        e |= json_object_set_new(document, "programs", programs);
        e |= json_object_set_new(document, "processes", processes);
        e |= json_object_set_new(document, "power", power_over_time(r));
        e |= json_object_set_new(document, "impact", impact_json(factors, result));
        e |= json_object_set(document, "notes", r->notes);
        e |= json_object_set(document, "warnings",
                             r->machine ? r->warnings : json_object_get(result, "warnings"));
        return e < 0 ? -ENOMEM : 0;
}

static json_t *document_of(const struct recording *r, const struct record_reader *reader,
                           const struct impact_factors *factors)
{
        static const char *const copied[] = {"kind", "name",    "command",   "host",
                                             "cpus", "energat", "interval_s"};
        json_auto_t *document = json_pack("{s:i}", "energat_report", 1);
        const json_t *result = json_object_get(r->end, "report");

        if (!json_is_object(result)) /* it was cut: what the intervals add up to */
                result = r->total;
        if (r->machine &&
            json_object_set_new(r->total, "duration_s", json_real(r->end_s - r->begin_s)) < 0)
                return NULL;
        for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
                json_t *value = json_object_get(r->header, copied[i]);

                if (json_object_set(document, copied[i], value ? value : json_null()) < 0)
                        return NULL;
        }
        return set_all(r, reader, document, result, factors) < 0 ? NULL : json_incref(document);
}

static void recording_deinit(struct recording *r)
{
        json_decref(r->end);
        json_decref(r->total);
        json_decref(r->unattributed);
        json_decref(r->sockets);
        json_decref(r->domains);
        json_decref(r->notes);
        json_decref(r->warnings);
        usage_deinit(&r->usage);
        free(r->joules);
        free(r->total_j);
}

int recording_document(struct record_reader *reader, const struct impact_factors *factors,
                       json_t **ret)
{
        __attribute__((cleanup(recording_deinit))) struct recording r = {
                .header = reader->header,
                .machine = strcmp(report_string(reader->header, "kind"), "machine") == 0,
                .total = json_object(),
                .unattributed = json_object(),
                .sockets = json_array(),
                .domains = json_array(),
                .notes = json_array(),
                .warnings = json_array(),
        };
        json_auto_t *programs = NULL;
        int error;

        error = usage_init(&r.usage);
        if (error == 0 &&
            (!r.total || !r.unattributed || !r.sockets || !r.domains || !r.notes || !r.warnings))
                error = -ENOMEM;
        if (error == 0)
                error = sum_up(&r, reader);
        if (error == 0 && !(r.end_s > r.begin_s))
                error = -ENODATA;
        if (error < 0)
                return error;
        programs = usage_list(r.usage.programs, RECORDING_PROCESSES);
        choose_names(&r, programs);
        error = draw(&r, reader);
        if (error < 0)
                return error;
        r.header = reader->header; /* a new one, since it was read again */
        *ret = document_of(&r, reader, factors);
        return *ret ? 0 : -ENOMEM;
}
