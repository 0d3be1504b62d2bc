/* SPDX-License-Identifier: MIT */
/*
 * Holds empty.bpf.c attached to sched_switch until SIGTERM or SIGINT.  Says "ready" on stdout when
 * it is attached.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "empty.skel.h"

static void destroy(struct empty **skel)
{
        empty__destroy(*skel);
}

static int fail(const char *step, int error)
{
        fprintf(stderr, "empty_probe: cannot %s: %s\n", step, strerror(error));
        return EXIT_FAILURE;
}

int main(void)
{
        __attribute__((cleanup(destroy))) struct empty *skel = NULL;
        sigset_t ends;
        int r, got;

        sigemptyset(&ends);
        sigaddset(&ends, SIGTERM);
        sigaddset(&ends, SIGINT);
        sigprocmask(SIG_BLOCK, &ends, NULL);
        skel = empty__open_and_load();
        if (!skel)
                return fail("load the program", errno);
        r = empty__attach(skel);
        if (r < 0)
                return fail("attach it to sched_switch", -r);
        puts("ready");
        if (fflush(stdout) != 0)
                return fail("say that it is ready", errno);
        r = sigwait(&ends, &got);
        return r == 0 ? EXIT_SUCCESS : fail("wait for a signal", r);
}
