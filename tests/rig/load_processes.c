/* SPDX-License-Identifier: MIT */
/* Loads of many processes: short ones, orphans, chains of exec. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS_SPIN_NS      (20 * NS_PER_US) /* what each child of `forks` does */
#define FORKS_PERIOD_NS    (1 * NS_PER_MS)  /* how often the children that are due are started */
#define FORKS_AT_ONCE      256              /* children not yet reaped, at most */
#define DAEMON_SLICE_NS    (10 * NS_PER_MS) /* how often a daemon looks whether it is still wanted */
#define DAEMON_PATIENCE_NS (30 * NS_PER_S)  /* how much longer than asked daemons may take */

/* Fork a child that uses so much CPU time and exits, and that does not outlive us. */
static int start_child(uint64_t cpu_ns)
{
        pid_t parent = getpid(), child = fork();

        if (child < 0)
                return load_complain("fork", errno);
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(EXIT_FAILURE);
                load_spin_until_cpu(cpu_ns);
                _exit(EXIT_SUCCESS);
        }
        return 0;
}

/* Reap one child.  1: reaped; 0: none has exited yet (WNOHANG); -errno, also if it failed. */
static int reap(int flags)
{
        int status = 0;
        pid_t pid;

        do
                pid = waitpid(-1, &status, flags);
        while (pid < 0 && errno == EINTR);
        if (pid < 0)
                return load_complain("wait for a child", errno);
        if (pid == 0)
                return 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
                return load_complain("have a child exit in peace", ECHILD);
        return 1;
}

static int reap_all(unsigned int running)
{
        int r = 0;

        for (; running > 0; running--) {
                int one = reap(0);

                if (one < 0)
                        r = one;
        }
        return r;
}

int load_storm(const struct load_options *o, struct load_result *result)
{
        unsigned int running = 0;
        int r = 0;

        for (unsigned int i = 0; i < o->children && r >= 0; i++) {
                if (running == o->parallel) {
                        r = reap(0);
                        running--;
                }
                if (r >= 0)
                        r = start_child(o->each_ns);
                if (r >= 0) {
                        running++;
                        result->children++;
                }
        }
        return reap_all(running) < 0 || r < 0 ? -ECHILD : 0;
}

int load_forks(const struct load_options *o, struct load_result *result)
{
        uint64_t start_ns = load_now_ns();
        unsigned int running = 0;
        int r = 0;

        for (uint64_t at_ns = 0; at_ns < o->seconds_ns && r >= 0;
             at_ns = load_now_ns() - start_ns) {
                uint64_t due = (uint64_t)((double)at_ns / NS_PER_S * o->rate);

                while (running > 0 && (r = reap(WNOHANG)) > 0)
                        running--;
                while (r >= 0 && result->children < due && running < FORKS_AT_ONCE) {
                        r = start_child(FORKS_SPIN_NS);
                        if (r == 0) {
                                running++;
                                result->children++;
                        }
                }
                load_sleep_until(start_ns + at_ns + FORKS_PERIOD_NS);
        }
        return reap_all(running) < 0 || r < 0 ? -ECHILD : 0;
}

/* What a process that nobody of ours will reap says of itself just before it exits. */
struct record {
        uint64_t cpu_ns;
        uint64_t daemon; /* 1: the last of its chain; 0: a parent on the way */
};

/* A record is below PIPE_BUF: written whole or not at all. */
static int report_and_exit(int report_fd, uint64_t daemon)
{
        struct record record = {.cpu_ns = load_process_cpu_ns(), .daemon = daemon};

        _exit(write(report_fd, &record, sizeof(record)) == (ssize_t)sizeof(record) ? EXIT_SUCCESS
                                                                                   : EXIT_FAILURE);
}

/* Spin, but not for a reader that has gone: nothing is left running when loadgen is killed. */
static void spin_while_wanted(int report_fd, uint64_t wall_ns)
{
        uint64_t end_ns = load_now_ns() + wall_ns, now_ns;

        while ((now_ns = load_now_ns()) < end_ns) {
                struct pollfd reader = {.fd = report_fd};

                if (poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR))
                        return;
                load_spin_for(end_ns - now_ns < DAEMON_SLICE_NS ? end_ns - now_ns
                                                                : DAEMON_SLICE_NS);
        }
}

/*
 * The first of a chain of `depth` processes, of which all but the last exit as soon as they have
 * a child.  It is the only one that loadgen reaps; the others tell their CPU time over the pipe.
 */
static void run_chain(unsigned int depth, uint64_t wall_ns, int report_fd)
{
        setsid();
        for (unsigned int level = 0; level < depth; level++) {
                pid_t child = fork();

                if (child < 0)
                        _exit(EXIT_FAILURE);
                if (child > 0) {
                        if (level == 0)
                                _exit(EXIT_SUCCESS);
                        report_and_exit(report_fd, 0);
                }
        }
        spin_while_wanted(report_fd, wall_ns);
        report_and_exit(report_fd, 1);
}

/* Read records until every holder of the pipe's other end has exited. */
static int collect(int fd, uint64_t deadline_ns, uint64_t *daemons, struct load_result *result)
{
        for (;;) {
                struct pollfd in = {.fd = fd, .events = POLLIN};
                struct record record;
                uint64_t now_ns = load_now_ns();
                ssize_t n;

                if (now_ns >= deadline_ns)
                        return load_complain("wait any longer for the daemons", ETIMEDOUT);
                if (poll(&in, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1) <= 0)
                        continue;
                n = read(fd, &record, sizeof(record));
                if (n == 0)
                        return 0;
                if (n != (ssize_t)sizeof(record))
                        return load_complain("read a daemon's report", n < 0 ? errno : EPROTO);
                result->children++;
                result->elsewhere_ns += record.cpu_ns;
                *daemons += record.daemon;
        }
}

int load_daemon(const struct load_options *o, struct load_result *result)
{
        uint64_t daemons = 0;
        int fds[2], r = 0;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return load_complain("make a pipe", errno);
        for (unsigned int i = 0; i < o->count && r >= 0; i++) {
                pid_t child = fork();

                if (child < 0) {
                        r = load_complain("fork", errno);
                } else if (child == 0) {
                        close(fds[0]);
                        run_chain(o->depth, o->seconds_ns, fds[1]);
                } else {
                        result->children++;
                        r = reap(0);
                }
        }
        close(fds[1]);
        if (r >= 0)
                r = collect(fds[0], load_now_ns() + o->seconds_ns + DAEMON_PATIENCE_NS, &daemons,
                            result);
        close(fds[0]);
        if (r >= 0 && daemons != o->count)
                r = load_complain("account for every daemon", ECHILD);
        return r < 0 ? r : 0;
}

static int exec_link(const struct load_options *o)
{
        char done[32], depth[32], ms[32], started[32], threads[32];
        /* CPU time and children survive exec; only the time of the start must be handed on. */
        char *arguments[] = {"loadgen",
                             "exec-chain",
                             "--depth",
                             depth,
                             "--ms",
                             ms,
                             "--done",
                             done,
                             "--started-ns",
                             started,
                             "--threads",
                             threads,
                             o->truth ? "--truth" : NULL,
                             (char *)o->truth,
                             NULL};

        load_spin_for(o->each_ns);
        if (o->done >= o->depth)
                return 0;
        snprintf(done, sizeof(done), "%u", o->done + 1);
        snprintf(depth, sizeof(depth), "%u", o->depth);
        snprintf(ms, sizeof(ms), "%.6f", (double)o->each_ns / NS_PER_MS);
        snprintf(started, sizeof(started), "%llu", (unsigned long long)o->started_ns);
        snprintf(threads, sizeof(threads), "%u", o->threads);
        execv("/proc/self/exe", arguments);
        return load_complain("execute itself again", errno);
}

static void *exec_link_thread(void *argument)
{
        return exec_link(argument) < 0 ? argument : NULL;
}

int load_exec_chain(const struct load_options *o, struct load_result *result)
{
        void *failed = NULL;
        pthread_t thread;
        int r;

        (void)result;
        if (o->threads <= 1)
                return exec_link(o);
        /* The new program takes the first thread's place, and its number, while that one waits. */
        r = pthread_create(&thread, NULL, exec_link_thread, (void *)o);
        if (r != 0)
                return load_complain("start a thread", r);
        pthread_join(thread, &failed);
        return failed ? -ECHILD : 0;
}
