/* SPDX-License-Identifier: MIT */
/*
 * How far long work has come, on stderr: a bar with the time left on a terminal, else a line now
 * and then, so that a log shows that it goes on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
        const char *what; /* "run" */
        size_t total;
        bool terminal, shown;
        uint64_t begin_ns, line_ns;
};

void progress_begin(struct progress *p, const char *what, size_t total);
/* `done` of the total are done. */
void progress_show(struct progress *p, size_t done);
/* Take the bar off the terminal, before something else is printed there. */
void progress_clear(struct progress *p);
