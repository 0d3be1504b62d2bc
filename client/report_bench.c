/* SPDX-License-Identifier: MIT */
/*
 * What github-action-benchmark calls customSmallerIsBetter: a list of {name, unit, value, range,
 * extra} (https://github.com/benchmark-action/github-action-benchmark).  Of repeated runs the mean
 * and the half-width of its 95 % confidence interval, else the one value that there is.
 */
#include <errno.h>
#include <math.h>

#include "report.h"
#include "report_forms.h"

#define ROUNDED "; of whole seconds of the machine, not of the run alone"

static int append(json_t *list, const char *name, enum bench_metric metric, double value,
                  const char *range, const char *extra)
{
        json_auto_t *entry = NULL;

        if (!isfinite(value))
                return 0;
        entry = json_pack("{s:o, s:s, s:f}", "name",
                          json_sprintf("%s - %s", name, bench_metric_text(metric)), "unit",
                          bench_metric_unit(metric), "value", value);
        if (!entry || (range && json_object_set_new(entry, "range", json_string(range)) < 0) ||
            json_object_set_new(entry, "extra", json_string(extra)) < 0)
                return -ENOMEM;
        return json_array_append(list, entry);
}

static int append_runs(json_t *list, const struct bench *b)
{
        for (int c = 0; c < BENCH_COMMANDS && b->commands[c]; c++) {
                for (int m = 0; m < BENCH_METRICS; m++) {
                        char range[64], extra[192];
                        struct statistics s;

                        if (bench_statistics(b, c, (enum bench_metric)m, &s) < 0)
                                return -ENOMEM;
                        snprintf(range, sizeof(range), "\xc2\xb1 %.6g", s.high - s.mean);
                        snprintf(extra, sizeof(extra),
                                 "mean of %zu runs, median %.6g, deviation %.6g%s", s.count,
                                 s.median, s.deviation,
                                 m == BENCH_ATTRIBUTED && bench_is_rounded(b) ? ROUNDED : "");
                        if (append(list, b->commands[c], (enum bench_metric)m, s.mean,
                                   isnan(s.high) ? NULL : range, extra) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static int append_result(json_t *list, const json_t *document)
{
        const json_t *result = json_object_get(document, "result");
        const char *name = report_string(document, "name"), *extra = "one run";

        if (!json_is_object(result)) /* a machine is not better when it does less */
                return -ENOTSUP;
        return append(list, name, BENCH_ATTRIBUTED, impact_total_j(result, "attributed"), NULL,
                      report_is_rounded(result) ? "one run" ROUNDED : extra) < 0 ||
                               append(list, name, BENCH_SHARE, impact_total_j(result, "share"),
                                      NULL, extra) < 0 ||
                               append(list, name, BENCH_DURATION,
                                      report_number(result, NULL, "duration_s"), NULL, extra) < 0 ||
                               append(list, name, BENCH_CPU, report_number(result, NULL, "cpu_s"),
                                      NULL, extra) < 0
                       ? -ENOMEM
                       : 0;
}

int report_write_bench(FILE *out, const struct report_source *source)
{
        json_auto_t *list = json_array();
        int r = source->bench ? append_runs(list, source->bench)
                              : append_result(list, source->document);

        return r < 0 ? r : report_print_json(out, list);
}
