/* SPDX-License-Identifier: MIT */
#include "run_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wordexp.h>

#include "bench.h"
#include "bench_record.h"
#include "bench_text.h"
#include "clock.h"
#include "command.h"
#include "measure.h"
#include "output_file.h"
#include "progress.h"
#include "report.h"
#include "text.h"

#define COMMAND_LINE_MAX 1024 /* of what is shown */

struct repeated {
        const struct options *options;
        const struct impact_factors *factors;
        struct bench bench;
        struct signals signals;
        struct output_file output;
        struct record_writer raw;
        struct progress progress;
        char line[COMMAND_LINE_MAX];  /* CMD as one line */
        char *titles[BENCH_COMMANDS]; /* of both, as UTF-8 */
        char **arguments[BENCH_COMMANDS];
        wordexp_t words; /* of --compare */
        bool has_words;
        char *shell[4]; /* or it goes through the shell */
        int first_failure;
        int interrupted;
};

static void join_arguments(char line[COMMAND_LINE_MAX], char **arguments)
{
        size_t used = 0;

        line[0] = '\0';
        for (size_t i = 0; arguments[i] && used < COMMAND_LINE_MAX - 1; i++) {
                int n = snprintf(line + used, COMMAND_LINE_MAX - used, "%s%s", i ? " " : "",
                                 arguments[i]);

                if (n < 0)
                        return;
                used += (size_t)n;
        }
}

/*
 * CMD2 is one word of the command line and is split as a shell would, quotes and all.  What only a
 * shell can do goes to one, and is then measured with it.
 */
static int split_second(struct repeated *r)
{
        const char *second = r->options->compare;
        int error = wordexp(second, &r->words, WRDE_NOCMD);

        if (error == 0 && r->words.we_wordc > 0) {
                r->has_words = true;
                r->arguments[1] = r->words.we_wordv;
                return STATUS_OK;
        }
        if (error == 0 || error == WRDE_SYNTAX) {
                text_message("--compare '%s' is no command", second);
                return STATUS_USAGE;
        }
        if (error == WRDE_NOSPACE) {
                text_message("--compare: %s", strerror(ENOMEM));
                return STATUS_FAILED;
        }
        text_message("--compare '%s' needs a shell, which is measured with it", second);
        r->shell[0] = (char *)"/bin/sh";
        r->shell[1] = (char *)"-c";
        r->shell[2] = (char *)second;
        r->arguments[1] = r->shell;
        return STATUS_OK;
}

/* STATUS_OK: go on. */
static int one_run(struct repeated *r, int command, bool warmup)
{
        struct measure measure = {
                .options = r->options,
                .arguments = r->arguments[command],
                .name = measure_base_name(r->arguments[command][0]),
                .signals = &r->signals,
                .second_signal_quits = true,
        };
        struct measured m = {0};
        struct bench_run run;
        int status;

        progress_clear(&r->progress);
        status = measure_run(&m, &measure);
        r->interrupted = m.interrupted;
        if (status != STATUS_OK)
                return status;
        /* a run that a signal cut off is none: it would be told as a fast one */
        if (r->interrupted) {
                measured_deinit(&m);
                return STATUS_SIGNAL + r->interrupted;
        }
        run = (struct bench_run){
                .command = command,
                .warmup = warmup,
                .partial = m.partial,
                .status = m.status,
                .report = m.report,
        };
        if (!warmup && !r->first_failure)
                r->first_failure = m.status ? m.status : m.report && !m.partial ? 0 : STATUS_FAILED;
        if (bench_add(&r->bench, &run, m.wall_s) < 0) {
                text_message("%s", strerror(ENOMEM));
                return STATUS_FAILED;
        }
        if (r->options->raw)
                record_write(&r->raw, "run", bench_record_run(&r->bench));
        return STATUS_OK;
}

/* Who goes first in a pair is left to chance: else what grows in the course of a pair, heat for
 * one, would always be on the account of the second. */
static bool second_goes_first(void)
{
        unsigned char byte = 0;

        if (getrandom(&byte, sizeof(byte), 0) != (ssize_t)sizeof(byte))
                byte = (unsigned char)(clock_now_ns() / NS_PER_MS);
        return byte & 1;
}

static int one_round(struct repeated *r, bool warmup)
{
        int first = r->options->compare && second_goes_first();
        int status = one_run(r, first, warmup);

        if (status == STATUS_OK && r->options->compare)
                status = one_run(r, !first, warmup);
        return status;
}

/* STATUS_OK, or why it ended before all rounds were done. */
static int all_rounds(struct repeated *r, size_t warmups, size_t rounds)
{
        int status = STATUS_OK;

        progress_begin(&r->progress, "round", warmups + rounds);
        for (size_t i = 0; i < warmups + rounds && status == STATUS_OK; i++) {
                progress_show(&r->progress, i);
                status = one_round(r, i < warmups);
        }
        progress_clear(&r->progress);
        return status;
}

static int write_result(void *data, FILE *out)
{
        const struct repeated *r = data;
        json_auto_t *object = NULL;

        if (!r->options->json)
                return bench_print_text(out, &r->bench);
        object = bench_json(&r->bench, r->factors);
        return object ? report_print_json(out, object) : -ENOMEM;
}

/* They go into JSON, and an argument need not be UTF-8, nor a line that was cut. */
static int set_titles(struct repeated *r)
{
        const struct options *o = r->options;
        const char *given[BENCH_COMMANDS] = {o->name ? o->name : r->line, o->compare};

        for (int c = 0; c < BENCH_COMMANDS && given[c]; c++) {
                r->titles[c] = text_to_utf8(given[c]);
                if (!r->titles[c]) {
                        text_message("%s", strerror(ENOMEM));
                        return STATUS_FAILED;
                }
                r->bench.commands[c] = r->titles[c];
        }
        return STATUS_OK;
}

static int prepare(struct repeated *r)
{
        const struct options *o = r->options;
        int error, status;

        r->arguments[0] = o->arguments;
        join_arguments(r->line, o->arguments);
        status = set_titles(r);
        if (status != STATUS_OK)
                return status;
        if (o->compare) {
                status = split_second(r);
                if (status != STATUS_OK)
                        return status;
        }
        if (o->output) {
                error = output_file_open(&r->output, o->output, true);
                if (error < 0)
                        return command_cannot_write(o->output, error);
        }
        if (o->raw) {
                error = record_open(&r->raw, o->raw,
                                    record_header("bench", r->bench.commands[0], o->arguments, 0));
                if (error < 0)
                        return command_cannot_write(o->raw, error);
        }
        error = measure_open_signals(&r->signals);
        if (error < 0) {
                text_message("signals cannot be waited for: %s", strerror(-error));
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static void repeated_deinit(struct repeated *r)
{
        signals_close(&r->signals);
        output_file_deinit(&r->output);
        record_close(&r->raw);
        bench_deinit(&r->bench);
        for (int c = 0; c < BENCH_COMMANDS; c++)
                free(r->titles[c]);
        if (r->has_words)
                wordfree(&r->words);
}

int run_bench(const struct options *o, const struct impact_factors *factors)
{
        __attribute__((cleanup(repeated_deinit))) struct repeated r = {
                .options = o,
                .factors = factors,
                .signals = SIGNALS_NONE,
        };
        size_t rounds = o->repeat ? (size_t)o->repeat : RUN_BENCH_DEFAULT_REPEAT;
        int status, printed;

        status = prepare(&r);
        if (status != STATUS_OK)
                return status;
        r.bench.wanted = rounds * (o->compare ? 2 : 1);
        status = all_rounds(&r, (size_t)o->warmup, rounds);
        r.bench.cut_short = status != STATUS_OK;
        if (o->raw)
                record_write(&r.raw, "end", bench_record_end(&r.bench));
        signals_close(&r.signals);
        if (r.bench.count == 0) /* it was said why */
                return status;
        printed = command_print_result(o, &r.output, write_result, &r);
        if (status == STATUS_OK)
                status = r.first_failure;
        return status == STATUS_OK ? printed : status;
}
