/* SPDX-License-Identifier: MIT */
/*
 * energat --pid: follow a process that runs already, until it and its descendants have gone or the
 * user ends it; leave a trace in EnergAt's format and print a summary.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "follow.h"
#include "impact.h"
#include "power.h"
#include "report.h"
#include "report_text.h"
#include "signals.h"
#include "text.h"
#include "trace.h"

#define COMM_MAX 64

struct pid_run {
        const struct options *options;
        char name[COMM_MAX];
        struct follow follow;
        struct signals signals;
        struct trace *trace;
        bool has_trace; /* it is where it was asked for */
        struct power power;
        struct impact_factors factors;
        uint64_t attach_deadline_ns;
        uint64_t detached_ns; /* 0: the user has not ended it */
        int status;           /* once not STATUS_OK: stop, nothing was followed */
};

/* The process's own name, or as EnergAt names it when that cannot be read (hidepid). */
static void find_name(struct pid_run *p)
{
        char path[64];
        FILE *comm;

        snprintf(p->name, sizeof(p->name), "target-%lld", p->options->pid);
        if (p->options->name)
                return;
        snprintf(path, sizeof(path), "/proc/%lld/comm", p->options->pid);
        comm = fopen(path, "re");
        if (!comm)
                return;
        if (fgets(p->name, sizeof(p->name), comm))
                p->name[strcspn(p->name, "\n")] = '\0';
        fclose(comm);
}

static const char *name_of(const struct pid_run *p)
{
        return p->options->name ? p->options->name : p->name;
}

static void take_interval(struct pid_run *p, const json_t *report)
{
        trace_write(p->trace, report);
        power_add(&p->power, report_number(report, NULL, "duration_s"),
                  impact_total_j(report, "share"));
}

static void say_lost(const struct pid_run *p)
{
        text_message("lost energatd at %s: %s%s", p->follow.path, p->follow.lost,
                     follow_open(&p->follow)
                             ? "; following goes on when it is back (Ctrl-C ends it)"
                             : "");
}

/* Lost energatd may be back, or the process may have gone meanwhile. */
static void look_for_daemon(struct pid_run *p)
{
        if (follow_retry(&p->follow) == FOLLOW_RESUMED)
                text_message("energatd is back: %lld is followed again, %.3f s are not counted",
                             p->options->pid, p->follow.gap_s);
}

/* Asked once, the daemon ends the measurement; asked twice, we do without its last report. */
static void on_interrupt(struct pid_run *p, int number)
{
        int error;

        if (number == SIGHUP && signals_ignored_before(&p->signals, SIGHUP))
                return; /* nohup */
        if (!p->follow.attached) {
                p->status = STATUS_SIGNAL + number;
                return;
        }
        if (p->detached_ns || follow_fd(&p->follow) < 0) {
                follow_give_up(&p->follow, p->follow.lost[0] ? p->follow.lost : "interrupted");
                return;
        }
        error = follow_detach(&p->follow);
        p->detached_ns = clock_now_ns();
        if (error < 0 && error != -EREMOTEIO) { /* that one: it has ended by itself meanwhile */
                follow_give_up(&p->follow,
                               error == -ETIMEDOUT ? "it does not answer" : strerror(-error));
                say_lost(p);
        }
}

/* What came after the last whole interval is a row, too, as long as it was. */
static void write_last_interval(struct pid_run *p)
{
        json_auto_t *rest = follow_rest(&p->follow);

        if (rest)
                take_interval(p, rest);
}

static void on_event(struct pid_run *p, int event)
{
        switch (event) {
        case FOLLOW_ATTACHED:
                if (isatty(STDERR_FILENO))
                        text_message("following %lld (%s); Ctrl-C ends it", p->options->pid,
                                     name_of(p));
                break;
        case FOLLOW_INTERVAL:
                take_interval(p, p->follow.last);
                break;
        case FOLLOW_FINAL:
                write_last_interval(p);
                break;
        default:
                if (p->follow.attached)
                        say_lost(p);
                else
                        p->status = command_failed(p->follow.connection, p->options, event);
        }
}

static uint64_t next_deadline(const struct pid_run *p)
{
        if (!p->follow.attached)
                return p->attach_deadline_ns;
        if (p->follow.retry_ns)
                return p->follow.retry_ns;
        if (p->detached_ns)
                return p->detached_ns + FOLLOW_DETACH_NS;
        return p->follow.heard_ns + FOLLOW_SILENCE_NS;
}

static void on_deadline(struct pid_run *p)
{
        if (p->follow.retry_ns) {
                look_for_daemon(p);
                return;
        }
        if (follow_fd(&p->follow) < 0 || clock_now_ns() < next_deadline(p))
                return;
        if (!p->follow.attached) {
                p->status = command_failed(p->follow.connection, p->options, -ETIMEDOUT);
                return;
        }
        if (p->detached_ns)
                follow_give_up(&p->follow, "it does not answer");
        else
                follow_probe(&p->follow);
        if (follow_fd(&p->follow) < 0)
                say_lost(p);
}

static void follow_to_the_end(struct pid_run *p)
{
        while (p->status == STATUS_OK && follow_open(&p->follow)) {
                struct pollfd fds[] = {
                        {.fd = p->signals.fd, .events = POLLIN},
                        {.fd = follow_fd(&p->follow), .events = POLLIN},
                };
                struct signalfd_siginfo info;
                int event;

                poll(fds, sizeof(fds) / sizeof(fds[0]), clock_poll_timeout_ms(next_deadline(p)));
                do {
                        event = follow_next(&p->follow);
                        if (event != FOLLOW_NOTHING)
                                on_event(p, event);
                } while (event > 0);
                while (p->status == STATUS_OK && follow_open(&p->follow) &&
                       signals_read(&p->signals, &info) > 0)
                        on_interrupt(p, (int)info.ssi_signo);
                if (p->status == STATUS_OK)
                        on_deadline(p);
        }
}

static int print_json(const struct pid_run *p, json_t *report)
{
        json_auto_t *path = NULL, *object = NULL;

        path = p->has_trace ? json_string(trace_path(p->trace)) : json_null();
        if (!path) { /* JSON is UTF-8, file names need not be */
                text_message("%s is not UTF-8 and cannot be named in JSON", trace_path(p->trace));
                path = json_null();
        }
        object = report_for_output(report, json_null());
        if (!object || json_object_set(object, "traces", path) < 0 ||
            json_object_set_new(object, "power", power_json(&p->power)) < 0 ||
            json_object_set_new(object, "impact", impact_json(&p->factors, report)) < 0) {
                text_message("the result could not be written: %s", strerror(ENOMEM));
                return STATUS_FAILED;
        }
        return command_print_json(object);
}

static int print_text(const struct pid_run *p, const json_t *report)
{
        report_print_text(stdout, report, name_of(p));
        report_print_power(stdout, "power (share)", &p->power);
        report_print_impact(stdout, &p->factors, report);
        report_print_notes(stdout, report);
        if (p->has_trace) {
                fputs("  intervals in ", stdout);
                text_print_safe(stdout, trace_path(p->trace));
                putchar('\n');
        }
        return command_finish_output();
}

/* A trace that ends early because the daemon was lost is valid, but not what was asked for. */
static int finish(struct pid_run *p)
{
        json_auto_t *report = follow_result(&p->follow);
        int r;

        if (!report) {
                signals_close(&p->signals);
                text_message("there is no result for %s", name_of(p));
                return STATUS_FAILED;
        }
        r = trace_commit(p->trace);
        signals_close(&p->signals);
        p->has_trace = r == 0;
        if (r < 0) /* what took hours to measure is told all the same */
                text_message("%s could not be written: %s; the result follows",
                             trace_path(p->trace), strerror(-r));
        r = p->options->json ? print_json(p, report) : print_text(p, report);
        return p->follow.final && p->has_trace ? r : STATUS_FAILED;
}

static int start(struct pid_run *p)
{
        static const int wanted[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
        __attribute__((cleanup(connection_closep))) struct connection *connection = NULL;
        const struct options *o = p->options;
        const char *directory = o->output ? o->output : ".";
        const struct follow_options follow = {
                .resume = true,
                .name = name_of(p),
                .interval_s = o->interval_s,
                .model = o->model,
                .gamma = o->gamma,
                .delta = o->delta,
        };
        int r;

        r = command_connect(&connection, o);
        if (r != STATUS_OK)
                return r;
        r = signals_open(&p->signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
        if (r == 0)
                r = trace_open(&p->trace, directory, name_of(p));
        if (r < 0) {
                text_message(
                        "no trace can be written to %s: %s; --output DIR chooses another folder",
                        directory, strerror(-r));
                return STATUS_FAILED;
        }
        r = follow_start(&p->follow, &connection, o->socket, (pid_t)o->pid, &follow);
        if (r < 0)
                return command_failed(p->follow.connection, o, r);
        p->attach_deadline_ns = clock_now_ns() + FOLLOW_ATTACH_NS;
        return STATUS_OK;
}

static void pid_run_deinit(struct pid_run *p)
{
        follow_deinit(&p->follow);
        trace_free(p->trace);
        signals_close(&p->signals);
}

static int pid(const struct options *options)
{
        __attribute__((cleanup(pid_run_deinit))) struct pid_run p = {
                .options = options,
                .factors = impact_factors_of(options->settings),
                .signals = SIGNALS_NONE,
        };

        find_name(&p);
        p.status = start(&p);
        follow_to_the_end(&p);
        return p.status == STATUS_OK ? finish(&p) : p.status;
}

const struct command command_pid = {
        .name = "pid",
        .is_verb = true,
        .is_option = true,
        .takes_pid = true,
        .options = OPTION_SOCKET | OPTION_NAME | OPTION_OUTPUT | OPTION_FORMAT | OPTION_INTERVAL |
                   OPTION_MODEL | OPTION_GAMMA | OPTION_DELTA | OPTION_RAPL_PERIOD | OPTION_COST,
        .usage = "--pid PID [options]",
        .summary = "follow a process that runs, with a trace as EnergAt's",
        .details = "Follows PID and its descendants until they have ended, or Ctrl-C; leaves\n"
                   "energat_traces_NAME.csv, one line per socket and interval.\n",
        .example = "  energat --pid 1234 --name db --output /tmp   /tmp/energat_traces_db.csv\n",
        .run = pid,
};
