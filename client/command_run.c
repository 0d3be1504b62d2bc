/* SPDX-License-Identifier: MIT */
/* energat run: run CMD, say what it cost, and exit with its status. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "impact.h"
#include "measure.h"
#include "output_file.h"
#include "power.h"
#include "record.h"
#include "report.h"
#include "report_text.h"
#include "run_bench.h"
#include "text.h"

struct run {
        const struct options *options;
        struct impact_factors factors;
        struct signals signals;
        struct output_file output;
        struct record_writer raw;
        double tick_s; /* the daemon's sampling period, for --raw */
        struct power power;
        const struct measured *measured; /* what is written */
};

static const char *title(const struct options *options)
{
        return options->name ? options->name : options->arguments[0];
}

static void on_interval(void *data, const json_t *report)
{
        struct run *r = data;

        power_add(&r->power, report_number(report, NULL, "duration_s"),
                  impact_total_j(report, "share"));
}

static void on_fine_interval(void *data, const json_t *report)
{
        struct run *r = data;

        record_write(&r->raw, "interval", json_deep_copy(report));
}

/* What `run` adds to a report: its members are those of design and schema. */
static json_t *result_json(const struct run *r, const json_t *report, int status)
{
        json_auto_t *object = report_for_output(report, json_integer(status));
        json_auto_t *power = power_json(&r->power), *impact = impact_json(&r->factors, report);

        if (!object || json_object_set(object, "power", power) < 0 ||
            json_object_set(object, "impact", impact) < 0)
                return NULL;
        return json_incref(object);
}

static int write_result(void *data, FILE *out)
{
        const struct run *r = data;
        const struct measured *m = r->measured;
        json_auto_t *object = NULL;

        if (!r->options->json) {
                report_print_text(out, m->report, title(r->options));
                report_print_power(out, "power (share)", &r->power);
                report_print_impact(out, &r->factors, m->report);
                report_print_notes(out, m->report);
                return 0;
        }
        object = result_json(r, m->report, m->status);
        return object ? report_print_json(out, object) : -ENOMEM;
}

/* CMD's status is ours; a result that is lost while CMD went well is a failure of ours. */
static int finish(struct run *r, const struct measured *m)
{
        int status = m->status;

        signals_close(&r->signals);
        if (!m->report) {
                text_message("there is no result for %s", title(r->options));
                return status;
        }
        r->measured = m;
        if (command_print_result(r->options, &r->output, write_result, r) != STATUS_OK ||
            record_close(&r->raw) < 0)
                return status ? status : STATUS_FAILED;
        return status;
}

static void run_deinit(struct run *r)
{
        signals_close(&r->signals);
        output_file_deinit(&r->output);
        record_close(&r->raw);
}

static int ask_tick(struct run *r)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *reply = NULL;
        int error, status = command_connect(&c, r->options);

        if (status != STATUS_OK)
                return status;
        error = connection_call(c, "io.energat.GetStatus", NULL, CONNECTION_TIMEOUT_NS, &reply);
        if (error < 0)
                return command_failed(c, r->options, error);
        r->tick_s = report_number(reply, NULL, "period_s");
        return r->tick_s > 0 ? STATUS_OK : command_failed(c, r->options, -EPROTO);
}

static int start_raw(struct run *r)
{
        const struct options *o = r->options;
        int error, status = ask_tick(r);

        if (status != STATUS_OK)
                return status;
        error = record_open(&r->raw, o->raw,
                            record_header("command", title(o), o->arguments, r->tick_s));
        if (error == 0)
                return STATUS_OK;
        return command_cannot_write(o->raw, error);
}

static int start(struct run *r)
{
        const struct options *o = r->options;
        int error;

        if (o->output) {
                error = output_file_open(&r->output, o->output, true);
                if (error < 0)
                        return command_cannot_write(o->output, error);
        }
        if (o->raw) {
                int status = start_raw(r);

                if (status != STATUS_OK)
                        return status;
        }
        error = measure_open_signals(&r->signals);
        if (error < 0) {
                text_message("%s: cannot be started: %s", o->arguments[0], strerror(-error));
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static int run(const struct options *options)
{
        __attribute__((cleanup(run_deinit))) struct run r = {
                .options = options,
                .factors = impact_factors_of(options->settings),
                .signals = SIGNALS_NONE,
        };
        struct measure measure = {
                .options = options,
                .arguments = options->arguments,
                .name = options->name ? options->name : measure_base_name(options->arguments[0]),
                .signals = &r.signals,
                .data = &r,
                .interval = on_interval,
        };
        __attribute__((cleanup(measured_deinit))) struct measured m = {0};
        int status;

        if (options->given & (OPTION_REPEAT | OPTION_WARMUP | OPTION_COMPARE))
                return run_bench(options, &r.factors);
        status = start(&r);
        if (options->raw) {
                measure.fine_interval_s = r.tick_s;
                measure.fine = on_fine_interval;
        }
        if (status == STATUS_OK)
                status = measure_run(&m, &measure);
        if (status == STATUS_OK && options->raw)
                record_write(&r.raw, "end", record_end(&m));
        return status == STATUS_OK ? finish(&r, &m) : status;
}

const struct command command_run = {
        .name = "run",
        .is_verb = true,
        .takes_arguments = true,
        .options = OPTION_SOCKET | OPTION_NAME | OPTION_OUTPUT | OPTION_FORMAT | OPTION_INTERVAL |
                   OPTION_MODEL | OPTION_GAMMA | OPTION_DELTA | OPTION_NO_WAIT |
                   OPTION_RAPL_PERIOD | OPTION_RAW | OPTION_REPEAT | OPTION_WARMUP |
                   OPTION_COMPARE | OPTION_COST,
        .usage = "run [options] -- CMD ARGS...",
        .summary = "run CMD and say how many joules it used",
        .details =
                "Counts from CMD's first instruction to the end of its last descendant.  The exit\n"
                "status is CMD's; of --repeat that of the first run that failed, or 0.  The "
                "result\n"
                "goes to stderr, with --format json to stdout, which CMD shares: -o parts them.\n",
        .example = "  energat run -- make -j8               what a build costs\n"
                   "  energat run --format json -- ./bench  the same for a program to read\n"
                   "  energat run --repeat 10 --compare './new' -- ./old\n",
        .run = run,
};
