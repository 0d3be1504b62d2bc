/* SPDX-License-Identifier: MIT */
/*
 * energat record: keep what a command, or the whole machine, uses over time in a file that
 * `energat report` shows.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "machine_deltas.h"
#include "measure.h"
#include "record.h"
#include "report.h"
#include "row_deltas.h"
#include "text.h"

#define DEFAULT_INTERVAL_S 1.0
/* Rows are taken from the daemon's last tick and need no measuring */
#define ROWS_TIMEOUT_NS (5 * NS_PER_S)
/* A command's signals wait meanwhile. */
#define COMMAND_ROWS_TIMEOUT_NS (2 * NS_PER_S)
/* What was not recorded before a daemon that began anew is worth a note from here on. */
#define GAP_WORTH_SAYING_S 0.1

#define OTHER_PIDS "energatd knows processes by other pids than this container does"

struct recorder {
        const struct options *options;
        struct record_writer file;
        struct signals signals;
        struct connection *connection; /* for rows; NULL: they are not to be had */
        struct row_deltas *rows;
        struct machine_deltas *machine;
        bool no_rows;      /* they are not to be had, and that was said */
        bool own_rows;     /* of all processes they are not */
        bool same_pids;    /* the daemon's pids are ours */
        double taken_at_s; /* when they were last taken, since 1970 */
};

static double interval_s(const struct options *o)
{
        return isnan(o->interval_s) ? DEFAULT_INTERVAL_S : o->interval_s;
}

/* Said on stderr, and in the file. */
__attribute__((format(printf, 2, 3))) static void note(struct recorder *r, const char *format, ...)
{
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        text_message("%s", text);
        record_write(&r->file, "note",
                     json_pack("{s:f, s:o}", "time", clock_realtime_s(), "text", text_json(text)));
}

/* Without rows, a recording has the program as a whole: that is said once. */
static void no_rows(struct recorder *r, const char *reason)
{
        note(r, "single processes are not recorded: %s", reason);
        r->no_rows = true;
        connection_close(r->connection);
        r->connection = NULL;
}

static const char *proc_of(const struct recorder *r)
{
        return r->same_pids ? "/proc" : NULL;
}

/* The daemon was started anew since the last look. */
static void note_gap(struct recorder *r, const struct row_window *window)
{
        double gap_s = clock_realtime_s() - r->taken_at_s - window->duration_s;

        if (window->anew && gap_s > GAP_WORTH_SAYING_S)
                note(r,
                     "energatd was started anew: what was used in the %.1f s before is not "
                     "recorded",
                     gap_s);
}

/* A call on the connection that is kept, or on a new one where the daemon has closed it: it was
 * idle, or the daemon has been started anew. */
static int call(struct recorder *r, const char *method, uint64_t timeout_ns, json_t **reply)
{
        int error;

        for (bool again = false;; again = true) {
                error = connection_refresh(&r->connection, r->options->socket, timeout_ns);
                if (error == 0)
                        error = connection_call(r->connection, method, NULL, timeout_ns, reply);
                if (error != -ECONNRESET || again)
                        return error;
                connection_close(r->connection);
                r->connection = NULL;
        }
}

static const char *call_error(const struct recorder *r, int error)
{
        return r->connection ? connection_strerror(r->connection, error) : strerror(-error);
}

/* ---- a command ---- */

/* Everybody may ask for their own processes, and administrators for all: a command can have become
 * another user. */
static int call_rows(struct recorder *r, json_t **reply)
{
        int error = -EREMOTEIO;

        if (!r->own_rows)
                error = call(r, "io.energat.GetRows", COMMAND_ROWS_TIMEOUT_NS, reply);
        if (error == -EREMOTEIO) {
                r->own_rows = true;
                error = call(r, "io.energat.GetOwnRows", COMMAND_ROWS_TIMEOUT_NS, reply);
        }
        return error;
}

static void take_rows(struct recorder *r, bool write)
{
        json_auto_t *reply = NULL, *rows = NULL;
        struct row_window window = {0};
        int error;

        if (r->no_rows)
                return;
        error = call_rows(r, &reply);
        if (error == 0)
                error = row_deltas_take(r->rows, reply, &window, &rows);
        if (error < 0) {
                no_rows(r, call_error(r, error));
                return;
        }
        if (write && window.duration_s > 0) /* else it is the same answer once more */
                record_write(&r->file, "processes",
                             json_pack("{s:f, s:f, s:O}", "time", clock_realtime_s(), "duration_s",
                                       window.duration_s, "rows", rows));
}

static void on_started(void *data, pid_t pid)
{
        struct recorder *r = data;

        if (!r->same_pids) { /* the row of that pid is of a stranger */
                no_rows(r, OTHER_PIDS);
                return;
        }
        r->rows = row_deltas_new(pid, proc_of(r));
        if (r->rows)
                take_rows(r, false); /* those that the first interval counts from */
        else
                no_rows(r, strerror(ENOMEM));
}

static void on_interval(void *data, const json_t *report)
{
        struct recorder *r = data;

        record_write(&r->file, "interval", json_deep_copy(report));
        take_rows(r, true);
}

static int record_command(struct recorder *r)
{
        const struct options *o = r->options;
        const struct measure measure = {
                .options = o,
                .arguments = o->arguments,
                .name = o->name ? o->name : measure_base_name(o->arguments[0]),
                .signals = &r->signals,
                .second_signal_quits = true,
                .data = r,
                .started = on_started,
                .interval = on_interval,
        };
        __attribute__((cleanup(measured_deinit))) struct measured m = {0};
        int status = measure_run(&m, &measure);

        if (status != STATUS_OK)
                return status;
        record_write(&r->file, "end", record_end(&m));
        return m.status;
}

/* ---- the machine ---- */

static int take_machine(struct recorder *r, bool first)
{
        json_auto_t *rows = NULL, *status = NULL, *line = NULL;
        struct row_window window = {0};
        int error;

        error = call(r, "io.energat.GetRows", ROWS_TIMEOUT_NS, &rows);
        if (error == 0)
                error = connection_call(r->connection, "io.energat.GetStatus", NULL,
                                        ROWS_TIMEOUT_NS, &status);
        if (error == 0)
                error = machine_deltas_take(r->machine, rows, status, &window, &line);
        if (error < 0 && !r->connection)
                return command_no_daemon(r->options, error);
        if (error < 0)
                return command_failed(r->connection, r->options, error);
        if (!first)
                note_gap(r, &window);
        r->taken_at_s = clock_realtime_s();
        if (!first)
                record_write(&r->file, "machine", json_incref(line));
        return STATUS_OK;
}

/* Before the file is made: not everybody may see the machine. */
static int begin_machine(struct recorder *r)
{
        r->machine = machine_deltas_new(proc_of(r));
        if (r->machine)
                return take_machine(r, true);
        text_message("%s", strerror(ENOMEM));
        return STATUS_FAILED;
}

/* The signal that ended it, or 0. */
static int wait_until(struct recorder *r, uint64_t deadline_ns)
{
        struct pollfd fd = {.fd = r->signals.fd, .events = POLLIN};

        while (clock_now_ns() < deadline_ns) {
                struct signalfd_siginfo info;

                if (poll(&fd, 1, clock_poll_timeout_ms(deadline_ns)) <= 0)
                        continue;
                while (signals_read(&r->signals, &info) > 0) {
                        int number = (int)info.ssi_signo;

                        if (number == SIGINT || number == SIGTERM || number == SIGQUIT ||
                            (number == SIGHUP && !signals_ignored_before(&r->signals, SIGHUP)))
                                return number;
                }
        }
        return 0;
}

static void show_recording(uint64_t begin_ns)
{
        char duration[TEXT_NUMBER_MAX];

        if (isatty(STDERR_FILENO) != 1)
                return;
        fprintf(stderr, "\r\033[Krecording %s, Ctrl-C ends it",
                text_duration(duration, (double)(clock_now_ns() - begin_ns) / (double)NS_PER_S));
        fflush(stderr);
}

/* Ctrl-C is how it is meant to end, so its status is 0. */
static int record_machine(struct recorder *r)
{
        double step_s = interval_s(r->options), limit_s = r->options->duration_s;
        uint64_t step_ns = (uint64_t)(step_s * (double)NS_PER_S);
        uint64_t begin_ns = clock_now_ns(), end_ns = UINT64_MAX, next_ns;
        int status = STATUS_OK, number = 0;

        if (!isnan(limit_s))
                end_ns = begin_ns + (uint64_t)(limit_s * (double)NS_PER_S);
        for (next_ns = begin_ns + step_ns; status == STATUS_OK && !number; next_ns += step_ns) {
                show_recording(begin_ns);
                number = wait_until(r, next_ns < end_ns ? next_ns : end_ns);
                status = take_machine(r, false);
                if (clock_now_ns() >= end_ns)
                        break;
                if (clock_now_ns() > next_ns + step_ns) /* stopped, or asleep: no rush after it */
                        next_ns = clock_now_ns();
        }
        if (isatty(STDERR_FILENO) == 1)
                fputs("\r\033[K", stderr);
        if (status == STATUS_OK) /* else it has no end, and that shows */
                record_write(&r->file, "end",
                             json_pack("{s:f, s:s}", "time", clock_realtime_s(), "reason",
                                       number ? "ended by a signal" : "the time was over"));
        else
                note(r, "energatd was lost");
        return status;
}

/* ---- both ---- */

static int start(struct recorder *r)
{
        const struct options *o = r->options;
        const char *name = o->all    ? "machine"
                           : o->name ? o->name
                                     : measure_base_name(o->arguments[0]);
        json_t *header;
        int error, status;

        status = command_connect(&r->connection, o);
        r->same_pids = r->connection && connection_same_pids(r->connection);
        if (status == STATUS_OK && o->all)
                status = begin_machine(r);
        if (status != STATUS_OK)
                return status;
        header = record_header(o->all ? "machine" : "command", name, o->all ? NULL : o->arguments,
                               interval_s(o));
        error = record_open(&r->file, o->output, header);
        if (error < 0)
                return command_cannot_write(o->output, error);
        if (o->all && !r->same_pids)
                note(r, "users are not known: %s", OTHER_PIDS);
        error = measure_open_signals(&r->signals);
        if (error < 0) {
                text_message("signals cannot be waited for: %s", strerror(-error));
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static int check_options(const struct options *o)
{
        if (!o->output)
                text_message("'record' needs a file to write: -o FILE");
        else if (o->all && o->argument_count > 0)
                text_message("'record' takes a command or --all, not both");
        else if (!o->all && o->argument_count == 0)
                text_message("'record' needs a command to start, or --all");
        else if (!o->all && (o->given & OPTION_DURATION))
                text_message("--duration goes with --all; a command is recorded to its end");
        else
                return STATUS_OK;
        return STATUS_USAGE;
}

static void recorder_deinit(struct recorder *r)
{
        signals_close(&r->signals);
        connection_close(r->connection);
        row_deltas_free(r->rows);
        machine_deltas_free(r->machine);
        record_close(&r->file);
}

static int record(const struct options *options)
{
        __attribute__((cleanup(recorder_deinit))) struct recorder r = {
                .options = options,
                .signals = SIGNALS_NONE,
        };
        char path[4096];
        int status = check_options(options);

        if (status == STATUS_OK)
                status = start(&r);
        else
                return status;
        if (status != STATUS_OK)
                return status;
        status = options->all ? record_machine(&r) : record_command(&r);
        snprintf(path, sizeof(path), "%s", r.file.path);
        if (record_close(&r.file) < 0 && status == STATUS_OK)
                status = STATUS_FAILED;
        text_message("recorded in %s ('energat report %s' shows it)", path, path);
        return status;
}

const struct command command_record = {
        .name = "record",
        .is_verb = true,
        .takes_arguments = true,
        .arguments_optional = true,
        .options = OPTION_SOCKET | OPTION_NAME | OPTION_OUTPUT | OPTION_INTERVAL | OPTION_GAMMA |
                   OPTION_MODEL | OPTION_DELTA | OPTION_NO_WAIT | OPTION_RAPL_PERIOD | OPTION_ALL |
                   OPTION_DURATION,
        .usage = "record -o FILE [options] (-- CMD ARGS... | --all [--duration S])",
        .summary = "record a command or the machine over time, for 'report'",
        .details = "Keeps every interval, and what each process used in it (of the machine: root\n"
                   "and group energat).  The exit status is CMD's.  A recording that was cut off\n"
                   "is good up to there.\n",
        .example = "  energat record -o build.energat -- make -j8\n"
                   "  energat report --format html -o build.html build.energat\n"
                   "  energat record -o night.energat --all --interval 10 --duration 28800\n",
        .run = record,
};
