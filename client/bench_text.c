/* SPDX-License-Identifier: MIT */
#include "bench_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "report.h"
#include "text.h"

#define CELL 11
/* Longer tables are of no use to a reader: the first and the last runs are shown. */
#define ROWS_SHOWN 40

static void print_cell(FILE *out, double value, const char *unit)
{
        char text[TEXT_NUMBER_MAX];

        fprintf(out, " %*s", CELL, text_quantity(text, value, unit));
}

static void print_run(FILE *out, const struct bench *b, size_t i, unsigned int outlier)
{
        const struct bench_run *run = &b->runs[i];

        fprintf(out, "  %5zu", i + 1);
        if (b->commands[1])
                fprintf(out, "  %c", 'A' + run->command);
        for (int m = 0; m < BENCH_METRICS; m++)
                print_cell(out, run->values[m], bench_metric_unit((enum bench_metric)m));
        print_cell(out, run->values[BENCH_SHARE] / run->values[BENCH_DURATION], "W");
        if (run->warmup)
                fputs("  warm-up", out);
        if (run->status)
                fprintf(out, "  failed: exit status %d", run->status);
        else if (!run->report)
                fputs("  no result", out);
        else if (run->partial)
                fputs("  not measured whole", out);
        if (outlier)
                fputs("  outlier:", out);
        for (int m = 0; m < BENCH_METRICS; m++)
                if (outlier & 1u << m)
                        fprintf(out, " %s", bench_metric_text((enum bench_metric)m));
        fputc('\n', out);
}

static int print_runs(FILE *out, const struct bench *b)
{
        unsigned int *outliers = calloc(b->count ? b->count : 1, sizeof(*outliers));

        if (!outliers || bench_outliers(b, outliers) < 0) {
                free(outliers);
                return -ENOMEM;
        }
        fprintf(out, "\n  %5s%s", "run", b->commands[1] ? "   " : "");
        for (int m = 0; m < BENCH_METRICS; m++)
                fprintf(out, " %*s", CELL, bench_metric_text((enum bench_metric)m));
        fprintf(out, " %*s\n", CELL, "power");
        for (size_t i = 0; i < b->count; i++) {
                if (b->count > ROWS_SHOWN && i == ROWS_SHOWN / 2) {
                        fprintf(out, "  ... %zu more (all are in --format json)\n",
                                b->count - ROWS_SHOWN);
                        i = b->count - ROWS_SHOWN / 2;
                }
                print_run(out, b, i, outliers[i]);
        }
        free(outliers);
        return 0;
}

static int print_statistics(FILE *out, const struct bench *b, int command)
{
        fputs("\n  ", out);
        if (b->commands[1])
                fprintf(out, "%c: ", 'A' + command);
        text_print_safe(out, b->commands[command]);
        fprintf(out, "\n  %-10s %*s %*s %*s %*s %*s  95 %% confidence interval of the mean\n", "",
                CELL, "mean", CELL, "median", CELL, "deviation", CELL, "min", CELL, "max");
        for (int m = 0; m < BENCH_METRICS; m++) {
                const char *unit = bench_metric_unit((enum bench_metric)m);
                char low[TEXT_NUMBER_MAX], high[TEXT_NUMBER_MAX];
                struct statistics s;

                if (bench_statistics(b, command, (enum bench_metric)m, &s) < 0)
                        return -ENOMEM;
                fprintf(out, "  %-10s", bench_metric_text((enum bench_metric)m));
                print_cell(out, s.mean, unit);
                print_cell(out, s.median, unit);
                print_cell(out, s.deviation, unit);
                print_cell(out, s.min, unit);
                print_cell(out, s.max, unit);
                if (isnan(s.low))
                        fputs("  - (of two runs at least)\n", out);
                else
                        fprintf(out, "  %s to %s (+-%.1f %%)\n", text_quantity(low, s.low, unit),
                                text_quantity(high, s.high, unit),
                                s.mean != 0 ? 100 * (s.high - s.mean) / s.mean : 0);
        }
        return 0;
}

/* How surely, in words and in figures. */
static void print_verdict(FILE *out, const struct comparison *c, enum bench_metric metric,
                          bool rounded)
{
        const char *unit = bench_metric_unit(metric);
        char difference[TEXT_NUMBER_MAX], low[TEXT_NUMBER_MAX], high[TEXT_NUMBER_MAX];
        char ratio[64] = "";

        fprintf(out, "  %-10s ", bench_metric_text(metric));
        if (isnan(c->p)) {
                fputs(rounded && metric == BENCH_ATTRIBUTED
                              ? "cannot be told: it covers whole seconds, see below\n"
                              : "cannot be told from so few runs\n",
                      out);
                return;
        }
        /* of nothing there is no percentage */
        if (isfinite(c->ratio))
                snprintf(ratio, sizeof(ratio), "%.1f %% ", fabs(c->ratio - 1) * 100);
        text_quantity(difference, c->difference, unit);
        text_quantity(low, c->low, unit);
        text_quantity(high, c->high, unit);
        if (c->p < COMPARISON_ALPHA)
                fprintf(out, "B needs %s%s: %s%s (%s to %s), p = %.2g\n", ratio,
                        c->difference < 0 ? "less" : "more", c->difference < 0 ? "" : "+",
                        difference, low, high, c->p);
        else
                fprintf(out, "no difference can be shown: %s%s (%s to %s), p = %.2g\n",
                        c->difference < 0 ? "" : "+", difference, low, high, c->p);
}

static int print_comparison(FILE *out, const struct bench *b)
{
        struct comparison c;

        if (!b->commands[1])
                return 0;
        if (bench_compare(b, BENCH_SHARE, &c) < 0)
                return -ENOMEM;
        fprintf(out,
                "\n  B against A, by %s of %zu %s; in brackets the 95 %% confidence interval\n",
                c.paired ? "a paired t-test" : "Welch's t-test", c.count,
                c.paired ? "pairs" : "runs each");
        for (int m = 0; m < BENCH_METRICS; m++) {
                if (bench_compare(b, (enum bench_metric)m, &c) < 0)
                        return -ENOMEM;
                print_verdict(out, &c, (enum bench_metric)m, bench_is_rounded(b));
        }
        return 0;
}

static int print_notes(FILE *out, const struct bench *b)
{
        json_auto_t *warnings = bench_warnings(b);
        size_t failed = bench_failed(b), measured = bench_measured(b), i;
        const json_t *warning;

        if (!warnings)
                return -ENOMEM;
        if (b->cut_short || failed || json_array_size(warnings))
                fputc('\n', out);
        if (b->cut_short)
                fprintf(out, "  incomplete: %zu of %zu runs were measured\n", measured, b->wanted);
        if (failed)
                fprintf(out,
                        "  %zu of %zu runs failed, or were not measured whole, and are in no "
                        "statistics\n",
                        failed, measured);
        json_array_foreach(warnings, i, warning)
        {
                fputs("  warning: ", out);
                text_print_safe(out, json_string_value(warning));
                fputc('\n', out);
        }
        return 0;
}

int bench_print_text(FILE *out, const struct bench *b)
{
        fprintf(out, "energat: %zu runs (", bench_measured(b));
        text_print_safe(out, bench_source(b));
        fputs(")\n", out);
        if (bench_estimated(b))
                fputs("  estimated, no energy meter on this machine\n", out);
        if (print_runs(out, b) < 0)
                return -ENOMEM;
        for (int c = 0; c < BENCH_COMMANDS && b->commands[c]; c++)
                if (print_statistics(out, b, c) < 0)
                        return -ENOMEM;
        if (print_comparison(out, b) < 0)
                return -ENOMEM;
        return print_notes(out, b);
}
