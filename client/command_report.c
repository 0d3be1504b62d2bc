/* SPDX-License-Identifier: MIT */
/* energat report, energat export: show a recording, or turn it into another format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "bench_record.h"
#include "command.h"
#include "output_file.h"
#include "record.h"
#include "recording.h"
#include "report.h"
#include "report_forms.h"
#include "text.h"

struct shown {
        const char *path;
        struct impact_factors factors;
        struct record_reader reader;
        json_t *document;
        struct bench_record bench;
        struct report_source source;
};

static void shown_deinit(struct shown *s)
{
        bench_record_deinit(&s->bench);
        json_decref(s->document);
        record_reader_close(&s->reader);
}

/* STATUS_OK, or it was said what is wrong. */
static int load(struct shown *s, const struct options *o)
{
        char why[256];
        int r;

        s->path = o->files[0];
        s->factors = impact_factors_of(o->settings);
        r = record_read(&s->reader, s->path, why, sizeof(why));
        if (r < 0) {
                text_message("%s cannot be read: %s", s->path, why[0] ? why : strerror(-r));
                return STATUS_FAILED;
        }
        s->source = (struct report_source){.factors = &s->factors, .reader = &s->reader};
        if (strcmp(report_string(s->reader.header, "kind"), "bench") == 0) {
                r = bench_record_read(&s->bench, &s->reader);
                s->source.bench = &s->bench.bench;
        } else {
                r = recording_document(&s->reader, &s->factors, &s->document);
                s->source.document = s->document;
        }
        if (r < 0) {
                text_message("%s: %s", s->path,
                             r == -ENODATA ? "nothing was recorded in it" : strerror(-r));
                return STATUS_FAILED;
        }
        if (s->reader.cut[0])
                text_message("%s: %s; it is shown up to there", s->path, s->reader.cut);
        return STATUS_OK;
}

static int say_failed(const struct shown *s, const char *form, const char *to, int error)
{
        if (error == -ENOTSUP)
                text_message("%s has no form '%s': it is a recording of %s", s->path, form,
                             s->source.bench ? "repeated runs" : "a whole machine");
        else
                text_message("%s could not be written: %s", to, strerror(-error));
        return STATUS_FAILED;
}

static int write_stdout(const struct shown *s, const struct report_form *form)
{
        int r = form->write(stdout, &s->source);

        if (r < 0 && !ferror(stdout))
                return say_failed(s, form->name, "stdout", r);
        return command_finish_output();
}

static int write_file(const struct shown *s, const struct report_form *form, const char *path)
{
        struct output_file out = OUTPUT_FILE_NONE;
        int r = output_file_open(&out, path, true);

        if (r == 0)
                r = form->write(out.stream, &s->source);
        if (r == 0)
                r = output_file_commit(&out);
        output_file_deinit(&out);
        return r < 0 ? say_failed(s, form->name, path, r) : STATUS_OK;
}

static int report(const struct options *o)
{
        __attribute__((cleanup(shown_deinit))) struct shown s = {0};
        const struct report_form *form = report_form(o->format ? o->format : "text");
        int status = load(&s, o);

        if (status != STATUS_OK)
                return status;
        return o->output ? write_file(&s, form, o->output) : write_stdout(&s, form);
}

/* HDF5 seeks in its file, and opens it by name: that of the file that was made for it. */
static int write_hdf5(const struct shown *s, const char *path)
{
        struct output_file out = OUTPUT_FILE_NONE;
        char why[256] = "";
        int r = output_file_open(&out, path, false);

        if (r == 0)
                r = report_write_hdf5(out.temporary, &s->source, why);
        if (r == 0)
                r = output_file_commit(&out);
        output_file_deinit(&out);
        if (r == -ENOSYS) {
                text_message("no HDF5 can be written: %s", why);
                return STATUS_FAILED;
        }
        return r < 0 ? say_failed(s, "hdf5", path, r) : STATUS_OK;
}

/* What OUT's name says that it will be: JSON where it says nothing. */
static const char *format_of_name(const char *path)
{
        static const struct {
                const char *ending, *format;
        } endings[] = {{".json", "json"}, {".csv", "csv"}, {".h5", "hdf5"}, {".hdf5", "hdf5"}};
        const char *dot = strrchr(path, '.');

        for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
                if (strcasecmp(dot, endings[i].ending) == 0)
                        return endings[i].format;
        return "json";
}

static int export_recording(const struct options *o)
{
        __attribute__((cleanup(shown_deinit))) struct shown s = {0};
        const char *out = o->files[1];
        /* The format of the settings is for results in general, the name for this one. */
        const char *format = o->given & OPTION_FORMAT ? o->format : format_of_name(out);
        int status = load(&s, o);

        if (status != STATUS_OK)
                return status;
        if (strcmp(format, "hdf5") == 0)
                return write_hdf5(&s, out);
        if (strcmp(out, "-") == 0)
                return write_stdout(&s, report_form(format));
        return write_file(&s, report_form(format), out);
}

const struct command command_report = {
        .name = "report",
        .is_verb = true,
        .takes_files = 1,
        .options = OPTION_FORMAT | OPTION_OUTPUT | OPTION_COST,
        .formats = "text json csv html",
        .usage = "report FILE [--format text|json|csv|html] [-o OUT]",
        .summary = "show a recording, as text or as a page with charts",
        .example = "  energat report --format html -o build.html build.energat\n",
        .run = report,
};

const struct command command_export = {
        .name = "export",
        .is_verb = true,
        .takes_files = 2,
        .options = OPTION_FORMAT | OPTION_COST,
        .formats = "json csv bench hdf5",
        .usage = "export IN OUT [--format json|csv|bench|hdf5]",
        .summary = "turn a recording into another format",
        .details =
                "Without --format OUT's name says it: .csv, .h5 and .hdf5; any other gets JSON.\n"
                "OUT may be - for stdout (not for hdf5).  bench is the format that\n"
                "github-action-benchmark calls customSmallerIsBetter.\n",
        .example = "  energat export build.energat build.csv\n"
                   "  energat export --format bench runs.energat benchmark.json\n",
        .run = export_recording,
};
