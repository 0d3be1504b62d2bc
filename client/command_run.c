/* SPDX-License-Identifier: MIT */
/*
 * energat run: start CMD, count from its first instruction to the end of its last descendant, and
 * exit with its status.
 *
 * The child waits at a gate until the daemon follows it, and only then becomes CMD.  CMD stays in
 * energat's process group, so that the terminal's signals reach both; those that were sent to
 * energat alone are passed on.  Nothing here ever ends CMD.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "clock.h"
#include "command.h"
#include "follow.h"
#include "output_file.h"
#include "report.h"
#include "report_text.h"
#include "signals.h"
#include "text.h"

/* CMD has exited, its descendants have not: say what is being waited for. */
#define NOTICE_AFTER_NS NS_PER_S
/* With --no-wait: so much time for the daemon to see by itself that there are none.  It looks at
 * every tick, 10 ms by default. */
#define NO_WAIT_GRACE_NS (100 * NS_PER_MS)
/* A final report that came this much before CMD's end does not cover it. */
#define EARLY_FINAL_NS NS_PER_S

struct run {
        const struct options *options;
        struct follow follow;
        struct child child;
        struct signals signals;
        struct output_file output;
        uint64_t exited_ns;    /* CMD has exited */
        double exited_at_s;    /* the same in seconds since 1970, to compare with reports */
        uint64_t ended_ns;     /* the stream has ended, well or not */
        uint64_t detached_ns;  /* we asked for its end; 0: we did not */
        bool noticed;          /* the user knows what is waited for */
        bool suspended;        /* SIGTSTP has come: stop when CMD does */
        bool was_stopped;      /* this process has been stopped together with CMD */
        const char *cut_short; /* a warning: why descendants are not counted to their end */
};

static const char *title(const struct options *options)
{
        return options->name ? options->name : options->arguments[0];
}

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

static void update_child(struct run *r)
{
        struct timespec now;

        child_update(&r->child);
        if (!r->child.exited || r->exited_ns)
                return;
        clock_gettime(CLOCK_REALTIME, &now);
        r->exited_at_s = (double)now.tv_sec + (double)now.tv_nsec / (double)NS_PER_S;
        r->exited_ns = clock_now_ns();
}

static void note_end(struct run *r)
{
        if (!r->ended_ns)
                r->ended_ns = clock_now_ns();
}

static void give_up(struct run *r, const char *reason)
{
        follow_give_up(&r->follow, reason);
        note_end(r);
}

static void say_lost(const struct run *r)
{
        if (r->child.exited)
                text_message("lost energatd at %s: %s", r->follow.path, r->follow.lost);
        else
                text_message("lost energatd at %s: %s; %s runs on, but is not measured any more",
                             r->follow.path, r->follow.lost, r->options->arguments[0]);
}

/* Ask for the final report although descendants of CMD still run.  Asked twice: do without. */
static void cut_short(struct run *r, const char *why)
{
        int error;

        if (r->detached_ns) {
                give_up(r, "interrupted");
                return;
        }
        error = follow_detach(&r->follow);
        r->detached_ns = clock_now_ns();
        if (error == 0)
                r->cut_short = why;
        else if (error != -EREMOTEIO) { /* that one: it has ended meanwhile, the report is coming */
                give_up(r, error == -ETIMEDOUT ? "it does not answer" : strerror(-error));
                say_lost(r);
        }
}

static void forward(struct run *r, const struct signalfd_siginfo *info)
{
        if (signals_from_process(info) && !r->child.exited)
                kill(r->child.pid, (int)info->ssi_signo);
}

/* A shell that continues a job sends SIGCONT to both; then CMD has had it. */
static void on_continue(struct run *r, const struct signalfd_siginfo *info)
{
        r->suspended = false;
        update_child(r);
        if (r->child.stopped || !r->was_stopped)
                forward(r, info);
        r->was_stopped = false;
}

/* nohup: a shell that goes sends SIGHUP to its jobs, and this one shall stay. */
static bool hangup_ignored(const struct run *r, const struct signalfd_siginfo *info)
{
        return info->ssi_signo == SIGHUP && signals_ignored_before(&r->signals, SIGHUP);
}

static void on_signal(struct run *r, const struct signalfd_siginfo *info)
{
        switch ((int)info->ssi_signo) {
        case SIGCHLD:
                update_child(r);
                break;
        case SIGCONT:
                on_continue(r, info);
                break;
        case SIGTSTP:
                r->suspended = true;
                forward(r, info);
                break;
        case SIGINT:
        case SIGQUIT:
        case SIGTERM:
        case SIGHUP:
                if (r->child.exited && follow_fd(&r->follow) >= 0 && !hangup_ignored(r, info))
                        cut_short(r, "ended by a signal before the last descendant of the command; "
                                     "what they use later is not counted");
                else
                        forward(r, info);
                break;
        default:
                forward(r, info);
        }
}

/* The shell sees its job as stopped when this process is; so it follows CMD, which may handle
 * SIGTSTP, or ignore it. */
static void stop_with_child(struct run *r)
{
        if (!r->suspended || !r->child.stopped)
                return;
        r->suspended = false;
        r->was_stopped = true;
        kill(getpid(), SIGSTOP);
}

/* Returns whether the outcome of exec is there to be read. */
static bool wait_for_events(struct run *r, uint64_t deadline_ns)
{
        struct pollfd fds[] = {
                {.fd = r->signals.fd, .events = POLLIN},
                {.fd = follow_fd(&r->follow), .events = POLLIN},
                {.fd = r->child.exec_fd, .events = POLLIN},
        };

        poll(fds, sizeof(fds) / sizeof(fds[0]), clock_poll_timeout_ms(deadline_ns));
        return fds[2].revents != 0;
}

/* Wait until nothing of CMD can be missed, and let it go.  STATUS_OK, or the exit status. */
static int attach(struct run *r)
{
        uint64_t deadline_ns = clock_now_ns() + FOLLOW_ATTACH_NS;
        int error;

        for (;;) {
                struct signalfd_siginfo info;
                int event;

                wait_for_events(r, deadline_ns);
                while (signals_read(&r->signals, &info) > 0) {
                        int number = (int)info.ssi_signo;

                        if (number == SIGINT || number == SIGQUIT || number == SIGTERM ||
                            (number == SIGHUP && !hangup_ignored(r, &info)))
                                return STATUS_SIGNAL + number;
                        on_signal(r, &info);
                }
                if (r->child.exited) {
                        text_message("%s was ended by a signal before it was started",
                                     r->options->arguments[0]);
                        return r->child.status;
                }
                stop_with_child(r);

                event = follow_next(&r->follow);
                if (event == FOLLOW_ATTACHED)
                        break;
                if (event == FOLLOW_NOTHING && clock_now_ns() >= deadline_ns)
                        event = -ETIMEDOUT;
                if (event < 0)
                        return command_failed(r->follow.connection, r->options, event);
        }
        error = child_release(&r->child);
        if (error < 0) {
                text_message("%s: cannot be started: %s", r->options->arguments[0],
                             strerror(-error));
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static void notice(struct run *r)
{
        const json_t *last = r->follow.last;
        char count[32] = "some";
        bool one;

        r->noticed = true;
        /* in an interval that began before its end, CMD itself is counted, too */
        if (last && report_number(last, NULL, "time") - report_number(last, NULL, "duration_s") >=
                            r->exited_at_s)
                snprintf(count, sizeof(count), "%lld", report_integer(last, "processes"));
        if (strcmp(count, "0") == 0) /* the final report is on its way */
                return;
        one = strcmp(count, "1") == 0;
        text_message("%s has exited; %s of its descendants still run%s, waiting for %s (Ctrl-C "
                     "ends the measurement, --no-wait does not wait)",
                     r->options->arguments[0], count, one ? "s" : "", one ? "it" : "them");
}

/* When something has to be done though nothing happens; UINT64_MAX: never. */
static uint64_t next_deadline(const struct run *r)
{
        uint64_t heard_ns = r->follow.heard_ns, deadline_ns;

        if (!r->child.exited || follow_fd(&r->follow) < 0)
                return UINT64_MAX;
        if (r->detached_ns)
                return r->detached_ns + FOLLOW_DETACH_NS;
        if (r->options->no_wait)
                return r->exited_ns + NO_WAIT_GRACE_NS;
        deadline_ns = (heard_ns > r->exited_ns ? heard_ns : r->exited_ns) + FOLLOW_SILENCE_NS;
        if (!r->noticed && r->exited_ns + NOTICE_AFTER_NS < deadline_ns)
                deadline_ns = r->exited_ns + NOTICE_AFTER_NS;
        return deadline_ns;
}

static void on_deadline(struct run *r)
{
        if (clock_now_ns() < next_deadline(r))
                return;
        if (r->detached_ns) {
                give_up(r, "it does not answer");
                say_lost(r);
        } else if (r->options->no_wait) {
                cut_short(r, "ended by --no-wait before the last descendant of the command; what "
                             "they use later is not counted");
        } else if (!r->noticed) {
                notice(r);
        } else {
                follow_probe(&r->follow);
                if (follow_fd(&r->follow) < 0) {
                        note_end(r);
                        say_lost(r);
                }
        }
}

static void take_replies(struct run *r)
{
        int event;

        do {
                event = follow_next(&r->follow);
                if (event < 0)
                        say_lost(r);
                if (event < 0 || event == FOLLOW_FINAL)
                        note_end(r);
        } while (event > 0);
}

static int exec_failed(const struct run *r)
{
        text_message("%s: %s", r->options->arguments[0], strerror(r->child.exec_error));
        return r->child.exec_error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

/* Until CMD has exited and its stream has ended.  STATUS_OK, or the exit status for a failed exec.
 */
static int supervise(struct run *r)
{
        while (!r->child.exited || follow_fd(&r->follow) >= 0) {
                bool exec_known = wait_for_events(r, next_deadline(r));
                struct signalfd_siginfo info;

                take_replies(r);
                while (signals_read(&r->signals, &info) > 0)
                        on_signal(r, &info);
                if (r->child.exec_fd >= 0 && (exec_known || r->child.exited))
                        child_read_exec(&r->child);
                if (r->child.exec_error)
                        return exec_failed(r);
                stop_with_child(r);
                on_deadline(r);
        }
        return STATUS_OK;
}

static int add_warnings(const struct run *r, json_t *report)
{
        char early[128];

        /* it may have been asked for in the very moment in which the last of them went */
        if (r->cut_short && report_integer(report, "threads") != 0 &&
            report_warn(report, r->cut_short) < 0)
                return -ENOMEM;
        if (!r->follow.final || r->ended_ns + EARLY_FINAL_NS > r->exited_ns)
                return 0;
        snprintf(early, sizeof(early), "energatd ended the measurement %.3f s before the command",
                 (double)(r->exited_ns - r->ended_ns) / (double)NS_PER_S);
        return report_warn(report, early);
}

/* The result goes to -o FILE, else JSON to stdout and text, as with time(1), to stderr. */
static int print_result(struct run *r, const json_t *report)
{
        json_auto_t *object = NULL;
        FILE *out = r->output.stream;
        int error = 0;

        if (!out)
                out = r->options->json ? stdout : stderr;
        if (r->options->json) {
                object = report_for_output(report, json_integer(r->child.status));
                error = object ? report_print_json(out, object) : -ENOMEM;
        } else {
                if (out == stderr) /* apart from what CMD printed there, and from the "^C" */
                        fputc('\n', out);
                report_print_text(out, report, title(r->options));
        }
        if (r->output.stream && error == 0)
                error = output_file_commit(&r->output);
        if (error < 0) {
                text_message("the result could not be written%s%s: %s",
                             r->options->output ? " to " : "",
                             r->options->output ? r->options->output : "", strerror(-error));
                return STATUS_FAILED;
        }
        return command_finish_output();
}

/* CMD's status is ours; a result that is lost while CMD went well is a failure of ours. */
static int finish(struct run *r)
{
        json_auto_t *report = follow_result(&r->follow);
        int status = r->child.status;

        signals_close(&r->signals);
        if (!report) {
                text_message("there is no result for %s", title(r->options));
                return status;
        }
        if (add_warnings(r, report) < 0 || print_result(r, report) != STATUS_OK)
                return status ? status : STATUS_FAILED;
        return status;
}

static void run_deinit(struct run *r)
{
        child_deinit(&r->child);
        follow_deinit(&r->follow);
        signals_close(&r->signals);
        output_file_deinit(&r->output);
}

/* The child is forked before the call, because its pid is what is followed. */
static int start(struct run *r)
{
        static const int wanted[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,   SIGUSR1,
                                     SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH, SIGCHLD};
        __attribute__((cleanup(connection_closep))) struct connection *connection = NULL;
        const struct options *o = r->options;
        const struct follow_options follow = {
                .name = o->name ? o->name : base_name(o->arguments[0]),
                .interval_s = o->interval_s,
                .gamma = o->gamma,
                .delta = o->delta,
        };
        int status, error;

        status = command_connect(&connection, o);
        if (status != STATUS_OK)
                return status;
        if (o->output) {
                error = output_file_open(&r->output, o->output, true);
                if (error < 0) {
                        text_message("cannot write %s: %s", o->output, strerror(-error));
                        return STATUS_FAILED;
                }
        }
        error = signals_open(&r->signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
        if (error == 0)
                error = child_start(&r->child, o->arguments, &r->signals);
        if (error < 0) {
                text_message("%s: cannot be started: %s", o->arguments[0], strerror(-error));
                return STATUS_FAILED;
        }
        error = follow_start(&r->follow, &connection, connection_path(o->socket), r->child.pid,
                             &follow);
        if (error < 0)
                return command_failed(r->follow.connection, o, error);
        return attach(r);
}

static int run(const struct options *options)
{
        __attribute__((cleanup(run_deinit))) struct run r = {
                .options = options,
                .child = CHILD_NONE,
                .signals = SIGNALS_NONE,
        };
        int status;

        status = start(&r);
        if (status == STATUS_OK)
                status = supervise(&r);
        return status == STATUS_OK ? finish(&r) : status;
}

const struct command command_run = {
        .name = "run",
        .is_verb = true,
        .takes_arguments = true,
        .options = OPTION_SOCKET | OPTION_NAME | OPTION_OUTPUT | OPTION_FORMAT | OPTION_INTERVAL |
                   OPTION_GAMMA | OPTION_DELTA | OPTION_NO_WAIT | OPTION_RAPL_PERIOD,
        .usage = "run [options] -- CMD ARGS...",
        .summary = "run CMD and say what it cost",
        .run = run,
};
