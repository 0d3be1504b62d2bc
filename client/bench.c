/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "report.h"

#define FIRST_ROOM 16

static const struct {
        const char *key, *unit, *text;
} metrics[BENCH_METRICS] = {
        [BENCH_ATTRIBUTED] = {"attributed_j", "J", "attributed"},
        [BENCH_SHARE] = {"share_j", "J", "share"},
        [BENCH_DURATION] = {"wall_s", "s", "time"},
        [BENCH_CPU] = {"cpu_s", "s", "CPU time"},
};

const char *bench_metric_key(enum bench_metric metric)
{
        return metrics[metric].key;
}

const char *bench_metric_unit(enum bench_metric metric)
{
        return metrics[metric].unit;
}

const char *bench_metric_text(enum bench_metric metric)
{
        return metrics[metric].text;
}

int bench_add(struct bench *b, const struct bench_run *added, double wall_s)
{
        json_t *report = added->report;
        struct bench_run *run;

        if (b->count == b->room) {
                size_t room = b->room ? 2 * b->room : FIRST_ROOM;
                struct bench_run *runs = reallocarray(b->runs, room, sizeof(*runs));

                if (!runs) {
                        json_decref(report);
                        return -ENOMEM;
                }
                b->runs = runs;
                b->room = room;
        }
        run = &b->runs[b->count++];
        *run = *added;
        run->counts = report && !run->partial && run->status == 0 && !run->warmup;
        run->values[BENCH_ATTRIBUTED] = impact_total_j(report, "attributed");
        run->values[BENCH_SHARE] = impact_total_j(report, "share");
        run->values[BENCH_DURATION] = wall_s;
        run->values[BENCH_CPU] = report_number(report, NULL, "cpu_s");
        return 0;
}

void bench_deinit(struct bench *b)
{
        for (size_t i = 0; i < b->count; i++)
                json_decref(b->runs[i].report);
        free(b->runs);
        b->runs = NULL;
        b->count = b->room = 0;
}

size_t bench_measured(const struct bench *b)
{
        size_t n = 0;

        for (size_t i = 0; i < b->count; i++)
                n += !b->runs[i].warmup;
        return n;
}

size_t bench_failed(const struct bench *b)
{
        size_t n = 0;

        for (size_t i = 0; i < b->count; i++)
                n += !b->runs[i].warmup && !b->runs[i].counts;
        return n;
}

/* The values of one command in the order of its runs; NAN for a run that does not count.  Free. */
static double *values_of(const struct bench *b, int command, enum bench_metric metric, size_t *n)
{
        double *values = calloc(b->count ? b->count : 1, sizeof(*values));

        *n = 0;
        for (size_t i = 0; values && i < b->count; i++) {
                const struct bench_run *run = &b->runs[i];

                if (run->command == command && !run->warmup)
                        values[(*n)++] = run->counts ? run->values[metric] : NAN;
        }
        return values;
}

int bench_statistics(const struct bench *b, int command, enum bench_metric metric,
                     struct statistics *ret)
{
        size_t n;
        double *values = values_of(b, command, metric, &n);

        if (!values)
                return -ENOMEM;
        *ret = statistics_of(values, n);
        free(values);
        return 0;
}

bool bench_is_rounded(const struct bench *b)
{
        for (size_t i = 0; i < b->count; i++)
                if (b->runs[i].counts && report_is_rounded(b->runs[i].report))
                        return true;
        return false;
}

/* The i-th run of one command and the i-th of the other stood beside each other. */
int bench_compare(const struct bench *b, enum bench_metric metric, struct comparison *ret)
{
        size_t na, nb, pairs, incomplete = 0;
        double *first = values_of(b, 0, metric, &na), *second = values_of(b, 1, metric, &nb);
        int r = -ENOMEM;

        if (first && second) {
                if (metric == BENCH_ATTRIBUTED && bench_is_rounded(b))
                        na = nb = 0;
                pairs = na < nb ? na : nb;
                for (size_t i = 0; i < pairs; i++)
                        incomplete += isnan(first[i]) || isnan(second[i]);
                *ret = incomplete ? comparison_welch(first, na, second, nb)
                                  : comparison_paired(first, second, pairs);
                r = 0;
        }
        free(first);
        free(second);
        return r;
}

static int mark_outliers(const struct bench *b, int command, enum bench_metric metric,
                         unsigned int *outliers)
{
        size_t n, next = 0;
        double *values = values_of(b, command, metric, &n);
        bool *marks = calloc(n ? n : 1, sizeof(*marks));
        int r = -ENOMEM;

        if (values && marks) {
                statistics_outliers(values, n, marks);
                for (size_t i = 0; i < b->count; i++)
                        if (b->runs[i].command == command && !b->runs[i].warmup)
                                outliers[i] |= (unsigned int)marks[next++] << metric;
                r = 0;
        }
        free(values);
        free(marks);
        return r;
}

int bench_outliers(const struct bench *b, unsigned int *outliers)
{
        memset(outliers, 0, b->count * sizeof(*outliers));
        for (int command = 0; command < BENCH_COMMANDS; command++)
                for (int metric = 0; metric < BENCH_METRICS; metric++)
                        if (mark_outliers(b, command, (enum bench_metric)metric, outliers) < 0)
                                return -ENOMEM;
        return 0;
}

/* ---- JSON ---- */

static json_t *statistics_json(const struct statistics *s)
{
        return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:[o, o]}", "count", (json_int_t)s->count,
                         "mean", number_json(s->mean), "median", number_json(s->median),
                         "deviation", number_json(s->deviation), "min", number_json(s->min), "max",
                         number_json(s->max), "confidence_95", number_json(s->low),
                         number_json(s->high));
}

static json_t *comparison_json(const struct comparison *c)
{
        return json_pack("{s:s, s:I, s:o, s:[o, o], s:o, s:o, s:o, s:o, s:o}", "test",
                         c->paired ? "paired-t" : "welch-t", "count", (json_int_t)c->count,
                         "difference", number_json(c->difference), "confidence_95",
                         number_json(c->low), number_json(c->high), "ratio", number_json(c->ratio),
                         "t", number_json(c->t), "degrees_of_freedom", number_json(c->freedom), "p",
                         number_json(c->p), "differs",
                         isnan(c->p) ? json_null() : json_boolean(c->p < COMPARISON_ALPHA));
}

static int append_command(json_t *commands, const struct bench *b, int command)
{
        json_auto_t *statistics = json_object(), *all = json_object();

        for (int m = 0; m < BENCH_METRICS; m++) {
                struct statistics s;

                if (bench_statistics(b, command, (enum bench_metric)m, &s) < 0 ||
                    json_object_set_new(statistics, metrics[m].key, statistics_json(&s)) < 0)
                        return -ENOMEM;
        }
        if (json_object_set_new(all, "command", json_string(b->commands[command])) < 0 ||
            json_object_set(all, "statistics", statistics) < 0)
                return -ENOMEM;
        return json_array_append(commands, all) < 0 ? -ENOMEM : 0;
}

static json_t *outlier_metrics(unsigned int outlier)
{
        json_t *names = json_array();

        for (int m = 0; m < BENCH_METRICS; m++)
                if (outlier & 1u << m)
                        json_array_append_new(names, json_string(metrics[m].key));
        return names;
}

static int append_run(json_t *runs, const struct bench_run *run, size_t index, unsigned int outlier)
{
        json_auto_t *object = NULL;
        json_t *report = run->report ? json_incref(run->report) : json_null();

        object = json_pack("{s:I, s:i, s:b, s:i, s:b, s:b, s:o}", "run", (json_int_t)index,
                           "command", run->command, "warmup", run->warmup, "exit_status",
                           run->status, "partial", run->partial, "counts", run->counts,
                           "outlier_in", outlier_metrics(outlier));
        for (int m = 0; object && m < BENCH_METRICS; m++)
                if (json_object_set_new(object, metrics[m].key, number_json(run->values[m])) < 0)
                        break;
        if (json_object_set_new(object, "report", report) < 0)
                return -ENOMEM;
        return json_array_append(runs, object) < 0 ? -ENOMEM : 0;
}

static json_t *runs_json(const struct bench *b)
{
        json_auto_t *runs = json_array();
        unsigned int *outliers = calloc(b->count ? b->count : 1, sizeof(*outliers));
        int r = outliers ? bench_outliers(b, outliers) : -ENOMEM;

        for (size_t i = 0; r == 0 && i < b->count; i++)
                r = append_run(runs, &b->runs[i], i + 1, outliers[i]);
        free(outliers);
        return r == 0 ? json_incref(runs) : NULL;
}

static json_t *comparisons_json(const struct bench *b)
{
        json_auto_t *all = json_object();

        if (!b->commands[1])
                return json_null();
        for (int m = 0; m < BENCH_METRICS; m++) {
                struct comparison c;

                if (bench_compare(b, (enum bench_metric)m, &c) < 0 ||
                    json_object_set_new(all, metrics[m].key, comparison_json(&c)) < 0)
                        return NULL;
        }
        return json_incref(all);
}

json_t *bench_warnings(const struct bench *b)
{
        json_auto_t *holder = json_pack("{s:[]}", "warnings");
        const json_t *warning;
        size_t j;

        if (bench_is_rounded(b) &&
            report_warn(holder,
                        "attributed covers whole seconds of the machine, and not the runs alone: "
                        "who is not root or in group energat is told of it in no others; share "
                        "is of the runs alone") < 0)
                return NULL;
        for (size_t i = 0; i < b->count; i++) {
                json_array_foreach(json_object_get(b->runs[i].report, "warnings"), j, warning)
                {
                        if (json_is_string(warning) &&
                            report_warn(holder, json_string_value(warning)) < 0)
                                return NULL;
                }
        }
        return json_incref(json_object_get(holder, "warnings"));
}

const char *bench_source(const struct bench *b)
{
        for (size_t i = 0; i < b->count; i++)
                if (b->runs[i].report)
                        return report_string(b->runs[i].report, "source");
        return "";
}

bool bench_estimated(const struct bench *b)
{
        for (size_t i = 0; i < b->count; i++)
                if (report_estimated(b->runs[i].report))
                        return true;
        return false;
}

json_t *bench_json(const struct bench *b, const struct impact_factors *factors)
{
        json_auto_t *commands = json_array();

        for (int c = 0; c < BENCH_COMMANDS && b->commands[c]; c++)
                if (append_command(commands, b, c) < 0)
                        return NULL;
        return json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:O, s:o, s:o, s:o, s:o}", "source",
                         bench_source(b), "estimated", bench_estimated(b), "complete",
                         !b->cut_short, "runs_wanted", (json_int_t)b->wanted, "runs_measured",
                         (json_int_t)bench_measured(b), "runs_failed", (json_int_t)bench_failed(b),
                         "commands", commands, "comparison", comparisons_json(b), "runs",
                         runs_json(b), "factors", impact_factors_json(factors), "warnings",
                         bench_warnings(b));
}
