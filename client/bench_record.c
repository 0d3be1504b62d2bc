/* SPDX-License-Identifier: MIT */
#include "bench_record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

json_t *bench_record_run(const struct bench *b)
{
        const struct bench_run *run = &b->runs[b->count - 1];

        return json_pack("{s:i, s:s, s:b, s:i, s:b, s:f, s:o}", "command", run->command, "line",
                         b->commands[run->command], "warmup", run->warmup, "exit_status",
                         run->status, "partial", run->partial, "wall_s",
                         run->values[BENCH_DURATION], "report",
                         run->report ? json_incref(run->report) : json_null());
}

json_t *bench_record_end(const struct bench *b)
{
        return json_pack("{s:b, s:I}", "cut_short", b->cut_short, "runs_wanted",
                         (json_int_t)b->wanted);
}

static int take_run(struct bench_record *b, const json_t *run)
{
        long long command = report_integer(run, "command");
        json_t *report = json_object_get(run, "report");
        double wall_s = report_number(run, NULL, "wall_s");

        if (command < 0 || command >= BENCH_COMMANDS)
                return 0;
        if (!b->commands[command]) {
                b->commands[command] = strdup(report_string(run, "line"));
                if (!b->commands[command])
                        return -ENOMEM;
        }
        return bench_add(&b->bench,
                         &(struct bench_run){
                                 .command = (int)command,
                                 .warmup = json_is_true(json_object_get(run, "warmup")),
                                 .partial = json_is_true(json_object_get(run, "partial")),
                                 .status = (int)report_integer(run, "exit_status"),
                                 .report = report_valid(report) ? json_incref(report) : NULL,
                         },
                         wall_s);
}

int bench_record_read(struct bench_record *b, struct record_reader *reader)
{
        const char *what;
        json_t *line, *body;
        bool ended = false;
        int r = 0;

        while (r == 0 && record_next(reader, &line, &what, &body) > 0) {
                if (strcmp(what, "run") == 0)
                        r = take_run(b, body);
                if (strcmp(what, "end") == 0) {
                        ended = true;
                        b->bench.cut_short = json_is_true(json_object_get(body, "cut_short"));
                        b->bench.wanted = (size_t)fmax(0, report_number(body, NULL, "runs_wanted"));
                }
                json_decref(line);
        }
        if (!ended) {
                b->bench.cut_short = true;
                b->bench.wanted = bench_measured(&b->bench);
        }
        if (r == 0 && b->bench.count > 0 && !b->commands[0]) /* cut before its first run */
                b->commands[0] = strdup("A");
        for (int c = 0; c < BENCH_COMMANDS; c++)
                b->bench.commands[c] = b->commands[c];
        return r < 0 ? -ENOMEM : b->bench.count == 0 ? -ENODATA : 0;
}

void bench_record_deinit(struct bench_record *b)
{
        bench_deinit(&b->bench);
        for (int c = 0; c < BENCH_COMMANDS; c++)
                free(b->commands[c]);
}
