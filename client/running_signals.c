/* SPDX-License-Identifier: MIT */
/* Signals during a run: to CMD what is CMD's, and the end when the user wants out. */
#include <signal.h>
#include <unistd.h>

#include "clock.h"
#include "running.h"
#include "text.h"

/* Two SIGINT within that time are one wish: to get out. */
#define DOUBLE_INTERRUPT_NS (2 * NS_PER_S)

const char *running_name(const struct running *r)
{
        return r->measure->arguments[0];
}

void running_update_child(struct running *r)
{
        child_update(&r->child);
        if (!r->child.exited || r->exited_ns)
                return;
        r->exited_at_s = clock_realtime_s();
        r->exited_ns = clock_now_ns();
}

static void forward(struct running *r, const struct signalfd_siginfo *info)
{
        if (signals_from_process(info) && !r->child.exited)
                kill(r->child.pid, (int)info->ssi_signo);
}

/* A shell that continues a job sends SIGCONT to both; then CMD has had it. */
static void on_continue(struct running *r, const struct signalfd_siginfo *info)
{
        r->suspended = false;
        running_update_child(r);
        if (r->child.stopped || !r->was_stopped)
                forward(r, info);
        r->was_stopped = false;
}

/* nohup: a shell that goes sends SIGHUP to its jobs, and this one shall stay. */
bool running_hangup_ignored(const struct running *r, const struct signalfd_siginfo *info)
{
        return info->ssi_signo == SIGHUP && signals_ignored_before(r->signals, SIGHUP);
}

/*
 * Does this signal end us though CMD runs on?  The second does, where the caller wants that.  Else
 * Ctrl-C twice does; but a program that handles it (a shell, an interpreter) may be told so again
 * and again, and then only a double one is meant for us.
 */
static bool quits(struct running *r, const struct signalfd_siginfo *info)
{
        uint64_t now_ns = clock_now_ns(), before_ns = r->interrupt_ns;

        if (info->ssi_signo == SIGINT)
                r->interrupt_ns = now_ns;
        if (r->interrupted && r->measure->second_signal_quits)
                return true;
        return info->ssi_signo == SIGINT && before_ns &&
               (now_ns - before_ns <= DOUBLE_INTERRUPT_NS || !child_catches(&r->child, SIGINT));
}

/* What ends a program.  CMD gets it, and its end is ours. */
static void on_end_signal(struct running *r, const struct signalfd_siginfo *info)
{
        bool quit = !r->child.exited && quits(r, info);

        if (!running_hangup_ignored(r, info))
                r->interrupted = (int)info->ssi_signo;
        if (!r->child.exited && !quit) {
                forward(r, info);
                return;
        }
        if (!follow_open(&r->follow) || running_hangup_ignored(r, info))
                return;
        if (!r->child.exited) {
                r->abandoned = true;
                text_message("%s runs on, and is not measured any more", running_name(r));
        }
        running_cut_short(r,
                          "ended by a signal before the last process of the command; what they use "
                          "later is not counted");
}

void running_on_signal(struct running *r, const struct signalfd_siginfo *info)
{
        switch ((int)info->ssi_signo) {
        case SIGCHLD:
                running_update_child(r);
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
                on_end_signal(r, info);
                break;
        default:
                forward(r, info);
        }
}

/* The shell sees its job as stopped when this process is; so it follows CMD, which may handle
 * SIGTSTP, or ignore it. */
void running_stop_with_child(struct running *r)
{
        if (!r->suspended || !r->child.stopped)
                return;
        r->suspended = false;
        r->was_stopped = true;
        kill(getpid(), SIGSTOP);
}
