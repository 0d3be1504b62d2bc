/* SPDX-License-Identifier: MIT */
#include "measure.h"

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
#include "report.h"
#include "running.h"
#include "text.h"

/* CMD has exited, its descendants have not: say what is being waited for. */
#define NOTICE_AFTER_NS NS_PER_S
/* With --no-wait: so much time for the daemon to see by itself that there are none.  It looks at
 * every tick, 10 ms by default. */
#define NO_WAIT_GRACE_NS (100 * NS_PER_MS)
/* A final report that came this much before CMD's end does not cover it. */
#define EARLY_FINAL_NS NS_PER_S

static void note_end(struct running *r)
{
        if (!r->ended_ns)
                r->ended_ns = clock_now_ns();
}

static void give_up(struct running *r, const char *reason)
{
        follow_give_up(&r->follow, reason);
        follow_give_up(&r->fine, reason);
        note_end(r);
}

static void say_lost(const struct running *r)
{
        if (r->child.exited || r->abandoned)
                text_message("lost energatd at %s: %s", r->follow.path, r->follow.lost);
        else if (follow_open(&r->follow))
                text_message("lost energatd at %s: %s; %s runs on, and is measured again when "
                             "energatd is back",
                             r->follow.path, r->follow.lost, running_name(r));
        else
                text_message("lost energatd at %s: %s; %s runs on, but is not measured any more",
                             r->follow.path, r->follow.lost, running_name(r));
}

/* Ask for the final report although descendants of CMD still run.  Asked twice: do without. */
void running_cut_short(struct running *r, const char *why)
{
        int error;

        if (r->detached_ns || follow_fd(&r->follow) < 0) {
                give_up(r, r->follow.lost[0] ? r->follow.lost : "interrupted");
                return;
        }
        error = follow_detach(&r->follow);
        if (follow_fd(&r->fine) >= 0 && follow_detach(&r->fine) < 0)
                follow_give_up(&r->fine, "it could not be ended");
        r->detached_ns = clock_now_ns();
        if (error == 0)
                r->cut_short = why;
        else if (error != -EREMOTEIO) { /* that one: it has ended meanwhile, the report is coming */
                give_up(r, error == -ETIMEDOUT ? "it does not answer" : strerror(-error));
                say_lost(r);
        }
}

/* Returns whether the outcome of exec is there to be read. */
static bool wait_for_events(struct running *r, uint64_t deadline_ns)
{
        struct pollfd fds[] = {
                {.fd = r->signals->fd, .events = POLLIN},
                {.fd = follow_fd(&r->follow), .events = POLLIN},
                {.fd = follow_fd(&r->fine), .events = POLLIN},
                {.fd = r->child.exec_fd, .events = POLLIN},
        };

        poll(fds, sizeof(fds) / sizeof(fds[0]), clock_poll_timeout_ms(deadline_ns));
        return fds[3].revents != 0;
}

/* The stream of short intervals is a luxury: without it, the usual intervals take its place. */
static void fine_refused(struct running *r, int error)
{
        text_message("intervals of %g s are not to be had (%s): %s keeps the usual ones",
                     r->measure->fine_interval_s, connection_strerror(r->fine.connection, error),
                     "the record");
        follow_deinit(&r->fine);
}

/* Returns whether both streams are attached, or a negative error of connection.h. */
static int take_attached(struct running *r)
{
        int event = FOLLOW_NOTHING;

        if (!r->follow.attached)
                event = follow_next(&r->follow);
        if (event < 0)
                return event;
        if (r->fine.connection && !r->fine.attached) {
                event = follow_next(&r->fine);
                if (event < 0)
                        fine_refused(r, event);
        }
        return r->follow.attached && (!r->fine.connection || r->fine.attached);
}

/* Wait until nothing of CMD can be missed, and let it go.  STATUS_OK, or the exit status. */
static int attach(struct running *r)
{
        uint64_t deadline_ns = clock_now_ns() + FOLLOW_ATTACH_NS;
        int error;

        for (;;) {
                struct signalfd_siginfo info;
                int event;

                wait_for_events(r, deadline_ns);
                while (signals_read(r->signals, &info) > 0) {
                        int number = (int)info.ssi_signo;

                        if (number == SIGINT || number == SIGQUIT || number == SIGTERM ||
                            (number == SIGHUP && !running_hangup_ignored(r, &info)))
                                return STATUS_SIGNAL + (r->interrupted = number);
                        running_on_signal(r, &info);
                }
                if (r->child.exited) {
                        text_message("%s was ended by a signal before it was started",
                                     running_name(r));
                        return r->child.status;
                }
                running_stop_with_child(r);

                event = take_attached(r);
                if (event > 0)
                        break;
                if (event == 0 && clock_now_ns() >= deadline_ns)
                        event = -ETIMEDOUT;
                if (event < 0)
                        return command_failed(r->follow.connection, r->options, event);
        }
        r->released_ns = clock_now_ns();
        error = child_release(&r->child);
        if (error < 0) {
                text_message("%s: cannot be started: %s", running_name(r), strerror(-error));
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static void notice(struct running *r)
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
                     running_name(r), count, one ? "s" : "", one ? "it" : "them");
}

/* When something has to be done though nothing happens; UINT64_MAX: never. */
static uint64_t next_deadline(const struct running *r)
{
        uint64_t heard_ns = r->follow.heard_ns, deadline_ns;

        if (r->follow.retry_ns)
                return r->follow.retry_ns;
        if (follow_fd(&r->follow) < 0 && follow_fd(&r->fine) >= 0)
                return r->ended_ns + FOLLOW_DETACH_NS;
        if ((!r->child.exited && !r->abandoned) || follow_fd(&r->follow) < 0)
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

/* Lost energatd may be back, or what was followed may have ended meanwhile. */
static void look_for_daemon(struct running *r)
{
        int event = follow_retry(&r->follow);

        if (event == FOLLOW_RESUMED)
                text_message("energatd is back: %s is measured again, %.3f s are not counted",
                             running_name(r), r->follow.gap_s);
        if (!follow_open(&r->follow))
                note_end(r);
}

static void on_deadline(struct running *r)
{
        if (r->follow.retry_ns) {
                look_for_daemon(r);
                return;
        }
        if (follow_fd(&r->follow) < 0 || clock_now_ns() < next_deadline(r))
                return;
        if (r->detached_ns) {
                give_up(r, "it does not answer");
                say_lost(r);
        } else if (r->options->no_wait) {
                running_cut_short(
                        r, "ended by --no-wait before the last descendant of the command; what "
                           "they use later is not counted");
        } else if (!r->noticed) {
                notice(r);
        } else {
                follow_probe(&r->follow);
                if (follow_fd(&r->follow) < 0) {
                        if (!follow_open(&r->follow))
                                note_end(r);
                        say_lost(r);
                }
        }
}

/* An interval of the stream that the record is made from: the fine one, where there is one. */
static void tell_fine(struct running *r, const json_t *report)
{
        if (r->measure->fine)
                r->measure->fine(r->measure->data, report);
}

static void tell_interval(struct running *r, const json_t *report, bool also_fine)
{
        if (r->measure->interval)
                r->measure->interval(r->measure->data, report);
        if (also_fine)
                tell_fine(r, report);
}

static void take_replies(struct running *r)
{
        bool also_fine = !r->fine_taken;
        int event;

        do {
                json_auto_t *rest = NULL;

                event = follow_next(&r->follow);
                if (event < 0)
                        say_lost(r);
                if ((event < 0 || event == FOLLOW_FINAL) && !follow_open(&r->follow))
                        note_end(r);
                if (event == FOLLOW_INTERVAL)
                        tell_interval(r, r->follow.last, also_fine);
                else if (event == FOLLOW_FINAL && (rest = follow_rest(&r->follow)))
                        tell_interval(r, rest, also_fine);
        } while (event > 0);
}

static void take_fine_replies(struct running *r)
{
        int event;

        do {
                json_auto_t *rest = NULL;

                event = follow_next(&r->fine);
                if (event == FOLLOW_INTERVAL)
                        tell_fine(r, r->fine.last);
                else if (event == FOLLOW_FINAL && (rest = follow_rest(&r->fine)))
                        tell_fine(r, rest);
                else if (event < 0)
                        text_message("the record's short intervals end early: %s", r->fine.lost);
        } while (event > 0);
        /* once the main stream has ended, so must this one */
        if (follow_fd(&r->follow) < 0 && follow_fd(&r->fine) >= 0 &&
            clock_now_ns() > r->ended_ns + FOLLOW_DETACH_NS)
                follow_give_up(&r->fine, "no last report came");
}

static int exec_failed(const struct running *r)
{
        text_message("%s: %s", running_name(r), strerror(r->child.exec_error));
        return r->child.exec_error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

static bool is_over(const struct running *r)
{
        return (r->child.exited || r->abandoned) && !follow_open(&r->follow) &&
               follow_fd(&r->fine) < 0;
}

/* Until CMD has exited and its streams have ended.  STATUS_OK, or the exit status for a failed
 * exec. */
static int supervise(struct running *r)
{
        while (!is_over(r)) {
                bool exec_known = wait_for_events(r, next_deadline(r));
                struct signalfd_siginfo info;

                take_replies(r);
                take_fine_replies(r);
                while (signals_read(r->signals, &info) > 0)
                        running_on_signal(r, &info);
                if (r->child.exec_fd >= 0 && (exec_known || r->child.exited))
                        child_read_exec(&r->child);
                if (r->child.exec_error)
                        return exec_failed(r);
                running_stop_with_child(r);
                on_deadline(r);
        }
        return STATUS_OK;
}

/* The daemon ended it while CMD ran on. */
static bool ended_early(const struct running *r)
{
        return r->follow.final && !r->abandoned && r->ended_ns + EARLY_FINAL_NS <= r->exited_ns;
}

static int add_warnings(const struct running *r, json_t *report)
{
        char early[128];

        /* it may have been asked for in the very moment in which the last of them went */
        if (r->cut_short && report_integer(report, "threads") != 0 &&
            report_warn(report, r->cut_short) < 0)
                return -ENOMEM;
        if (!ended_early(r))
                return 0;
        snprintf(early, sizeof(early), "energatd ended the measurement %.3f s before the command",
                 (double)(r->exited_ns - r->ended_ns) / (double)NS_PER_S);
        return report_warn(report, early);
}

/* A second connection, and on it the same process in shorter intervals. */
static int start_fine(struct running *r, const struct follow_options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *connection = NULL;
        struct follow_options fine = *options;
        int status, error;

        if (!(r->measure->fine_interval_s > 0))
                return STATUS_OK;
        status = command_connect(&connection, r->options);
        if (status != STATUS_OK)
                return status;
        fine.interval_s = r->measure->fine_interval_s;
        fine.resume = false; /* the usual intervals go on */
        error = follow_start(&r->fine, &connection, r->options->socket, r->child.pid, &fine);
        return error < 0 ? command_failed(r->fine.connection, r->options, error) : STATUS_OK;
}

/* The child is forked before the call, because its pid is what is followed. */
static int start(struct running *r)
{
        __attribute__((cleanup(connection_closep))) struct connection *connection = NULL;
        const struct options *o = r->options;
        const struct follow_options follow = {
                .resume = true,
                .name = r->measure->name,
                .interval_s = o->interval_s,
                .model = o->model,
                .gamma = o->gamma,
                .delta = o->delta,
        };
        int status, error;

        status = command_connect(&connection, o);
        if (status != STATUS_OK)
                return status;
        error = child_start(&r->child, r->measure->arguments, r->signals);
        if (error < 0) {
                text_message("%s: cannot be started: %s", running_name(r), strerror(-error));
                return STATUS_FAILED;
        }
        error = follow_start(&r->follow, &connection, o->socket, r->child.pid, &follow);
        if (error < 0)
                return command_failed(r->follow.connection, o, error);
        status = start_fine(r, &follow);
        if (status != STATUS_OK)
                return status;
        status = attach(r);
        r->fine_taken = r->fine.connection != NULL;
        return status;
}

static void run_deinit(struct running *r)
{
        child_deinit(&r->child);
        follow_deinit(&r->follow);
        follow_deinit(&r->fine);
}

int measure_run(struct measured *ret, const struct measure *m)
{
        __attribute__((cleanup(run_deinit))) struct running r = {
                .measure = m,
                .options = m->options,
                .signals = m->signals,
                .child = CHILD_NONE,
        };
        int status;

        *ret = (struct measured){0};
        status = start(&r);
        if (status == STATUS_OK) {
                if (m->started)
                        m->started(m->data, r.child.pid);
                status = supervise(&r);
        }
        ret->interrupted = r.interrupted;
        if (status != STATUS_OK)
                return status;
        ret->status = r.abandoned ? STATUS_SIGNAL + r.interrupted : r.child.status;
        ret->wall_s = r.abandoned ? NAN : (double)(r.exited_ns - r.released_ns) / (double)NS_PER_S;
        ret->partial = !r.follow.final || r.follow.breaks || r.abandoned || ended_early(&r);
        ret->report = follow_result(&r.follow);
        if (ret->report && add_warnings(&r, ret->report) < 0) {
                json_decref(ret->report);
                ret->report = NULL;
        }
        return STATUS_OK;
}

const char *measure_base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

void measured_deinit(struct measured *m)
{
        json_decref(m->report);
        m->report = NULL;
}

int measure_open_signals(struct signals *s)
{
        static const int wanted[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,   SIGUSR1,
                                     SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH, SIGCHLD};

        return signals_open(s, wanted, sizeof(wanted) / sizeof(wanted[0]));
}
