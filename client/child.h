/* SPDX-License-Identifier: MIT */
/*
 * CMD of `energat run`: a child that waits at a gate until it is being followed, and then becomes
 * CMD, with the signals and descriptors that energat itself was started with.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "signals.h"

struct child {
        pid_t pid;
        int gate_fd; /* to open the gate; closing it unopened ends the child */
        int exec_fd; /* readable when exec has succeeded or failed; -1 once known */
        int exec_error;
        bool released, exited, stopped;
        int status; /* as a shell has it: exit status, or 128 + signal */
};

#define CHILD_NONE ((struct child){.pid = -1, .gate_fd = -1, .exec_fd = -1})

/* Fork.  `arguments` is CMD and its arguments, ended by NULL. */
int child_start(struct child *c, char **arguments, const struct signals *signals);

/* Open the gate. */
int child_release(struct child *c);

/* To be called when exec_fd is readable: exec_error is then 0 or the errno of execvp(3). */
void child_read_exec(struct child *c);

/* To be called on SIGCHLD: brings exited, stopped and status up to date, and reaps. */
void child_update(struct child *c);

/* Has CMD a handler of its own for that signal?  False when that cannot be known. */
bool child_catches(const struct child *c, int signal);

/* A child still at the gate is ended and reaped; CMD is never touched. */
void child_deinit(struct child *c);
