/* SPDX-License-Identifier: MIT */
/*
 * Signals as something to read: those asked for are blocked and come out of a descriptor, so that
 * one poll() waits for them and for the daemon, without a race between the two.
 *
 * A signal that the caller had ignored (nohup, `&` in a script) stays ignored when a terminal sends
 * it, but not when a process does: that one means us, and a CMD that handles the signal would have
 * got it, too, had it been started without us.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>

struct signals {
        int fd;
        sigset_t mask_before, ignored_before;
        struct sigaction sigchld_before;
};

#define SIGNALS_NONE ((struct signals){.fd = -1})

int signals_open(struct signals *s, const int *wanted, size_t count);

/* Forget what is still unread, and put everything back as it was. */
void signals_close(struct signals *s);

/* 1: *ret is the next signal; 0: none waits; -errno. */
int signals_read(const struct signals *s, struct signalfd_siginfo *ret);

/* In a child, before exec: mask and dispositions as the caller had them.  Async-signal-safe. */
void signals_restore(const struct signals *s);

/* Did the caller ignore it? */
bool signals_ignored_before(const struct signals *s, int number);

/* Was it sent by a process (kill, sigqueue), rather than by the kernel for a terminal, which
 * sends it to the whole foreground process group? */
bool signals_from_process(const struct signalfd_siginfo *info);
