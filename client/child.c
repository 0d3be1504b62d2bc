/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What shells add to the number of the signal that ended a command. */
#define STATUS_SIGNALLED 128

static void close_fd(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void close_both(int ends[2])
{
        close_fd(&ends[0]);
        close_fd(&ends[1]);
}

/* All descriptors here are close-on-exec: CMD inherits what the caller had and nothing of ours. */
__attribute__((noreturn)) static void become(char **arguments, int gate, int result,
                                             const struct signals *signals)
{
        ssize_t n;
        char go;
        int error;

        signals_restore(signals);
        do {
                n = read(gate, &go, 1);
        } while (n < 0 && errno == EINTR);
        if (n != 1) /* energat gave up, or has died */
                _exit(EXIT_FAILURE);

        execvp(arguments[0], arguments);
        error = errno;
        do {
                n = write(result, &error, sizeof(error));
        } while (n < 0 && errno == EINTR);
        _exit(EXIT_FAILURE);
}

int child_start(struct child *c, char **arguments, const struct signals *signals)
{
        int gate[2] = {-1, -1}, result[2] = {-1, -1};
        int r;

        /* the gate is a socket, for MSG_NOSIGNAL: the child may be killed while it waits there */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate) < 0 ||
            pipe2(result, O_CLOEXEC) < 0)
                goto failed;
        c->pid = fork();
        if (c->pid < 0)
                goto failed;
        if (c->pid == 0) {
                close(gate[1]); /* else the child itself would keep the gate from closing */
                close(result[0]);
                become(arguments, gate[0], result[1], signals);
        }
        c->gate_fd = gate[1];
        c->exec_fd = result[0];
        close(gate[0]);
        close(result[1]);
        return 0;

failed:
        r = -errno;
        c->pid = -1;
        close_both(gate);
        close_both(result);
        return r;
}

int child_release(struct child *c)
{
        ssize_t n;
        int r;

        do {
                n = send(c->gate_fd, "", 1, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        r = n < 0 ? -errno : 0;
        close_fd(&c->gate_fd);
        /* it was killed at the gate: SIGCHLD will say so, as it would of CMD */
        if (r == -EPIPE || r == -ECONNRESET)
                r = 0;
        c->released = r == 0;
        return r;
}

void child_read_exec(struct child *c)
{
        ssize_t n;
        int error = 0;

        do {
                n = read(c->exec_fd, &error, sizeof(error));
        } while (n < 0 && errno == EINTR);
        c->exec_error = n == (ssize_t)sizeof(error) ? error : 0;
        close_fd(&c->exec_fd);
}

void child_update(struct child *c)
{
        while (!c->exited) {
                siginfo_t info = {0};

                if (waitid(P_PID, (id_t)c->pid, &info, WNOHANG | WEXITED | WSTOPPED | WCONTINUED) <
                    0) {
                        if (errno == EINTR)
                                continue;
                        /* cannot be, with SIGCHLD at its default; to wait on would be for ever */
                        c->exited = true;
                        c->status = EXIT_FAILURE;
                        return;
                }
                if (info.si_pid == 0)
                        return;

                c->stopped = info.si_code == CLD_STOPPED;
                c->exited = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
                            info.si_code == CLD_DUMPED;
                if (c->exited)
                        c->status = info.si_code == CLD_EXITED ? info.si_status
                                                               : STATUS_SIGNALLED + info.si_status;
        }
}

bool child_catches(const struct child *c, int signal)
{
        char path[64], line[256];
        unsigned long long caught = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/status", c->pid);
        f = fopen(path, "re");
        if (!f)
                return false;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "SigCgt: %llx", &caught) == 1) /* proc(5): a mask in hex */
                        break;
        fclose(f);
        return caught >> (signal - 1) & 1;
}

void child_deinit(struct child *c)
{
        close_fd(&c->gate_fd);
        close_fd(&c->exec_fd);
        if (c->pid > 0 && !c->released && !c->exited) {
                /* it may be stopped by a signal; nothing of CMD has run */
                kill(c->pid, SIGKILL);
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        continue;
                c->exited = true;
        }
}
