/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <unistd.h>

static bool is_ignored(int number)
{
        struct sigaction now;

        return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_open(struct signals *s, const int *wanted, size_t count)
{
        const struct sigaction standard = {.sa_handler = SIG_DFL};
        sigset_t set;

        sigemptyset(&set);
        sigemptyset(&s->ignored_before);
        for (size_t i = 0; i < count; i++) {
                sigaddset(&set, wanted[i]);
                if (is_ignored(wanted[i]))
                        sigaddset(&s->ignored_before, wanted[i]);
        }

        s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (s->fd < 0)
                return -errno;
        /* with SIG_IGN the kernel would reap children itself, and their status would be lost */
        sigaction(SIGCHLD, &standard, &s->sigchld_before);
        sigprocmask(SIG_BLOCK, &set, &s->mask_before);
        return 0;
}

void signals_close(struct signals *s)
{
        struct signalfd_siginfo info;

        if (s->fd < 0)
                return;
        while (signals_read(s, &info) > 0)
                continue;
        signals_restore(s);
        close(s->fd);
        s->fd = -1;
}

int signals_read(const struct signals *s, struct signalfd_siginfo *ret)
{
        for (;;) {
                ssize_t n = read(s->fd, ret, sizeof(*ret));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                if (n != (ssize_t)sizeof(*ret))
                        return -EIO;
                if (ret->ssi_signo == SIGCHLD || signals_from_process(ret) ||
                    !signals_ignored_before(s, (int)ret->ssi_signo))
                        return 1;
        }
}

bool signals_ignored_before(const struct signals *s, int number)
{
        return sigismember(&s->ignored_before, number) == 1;
}

void signals_restore(const struct signals *s)
{
        sigaction(SIGCHLD, &s->sigchld_before, NULL);
        sigprocmask(SIG_SETMASK, &s->mask_before, NULL);
}

bool signals_from_process(const struct signalfd_siginfo *info)
{
        return info->ssi_code <= 0; /* SI_FROMUSER in the kernel: SI_USER is 0, SI_QUEUE -1, ... */
}
