/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define BAR_COLUMNS 30
/* Between two lines of a log */
#define LINE_EVERY_NS (10 * NS_PER_S)

void progress_begin(struct progress *p, const char *what, size_t total)
{
        const char *terminal = getenv("TERM");

        *p = (struct progress){
                .what = what,
                .total = total,
                .terminal = isatty(STDERR_FILENO) == 1 && terminal && strcmp(terminal, "dumb") != 0,
                .begin_ns = clock_now_ns(),
                .line_ns = clock_now_ns(),
        };
}

/* By what the work so far took; NAN before the first step. */
static double left_s(const struct progress *p, size_t done)
{
        double taken_s = (double)(clock_now_ns() - p->begin_ns) / (double)NS_PER_S;

        return done ? taken_s / (double)done * (double)(p->total - done) : NAN;
}

static void show_bar(struct progress *p, size_t done)
{
        char bar[BAR_COLUMNS + 1], left[TEXT_NUMBER_MAX];
        size_t full = p->total ? BAR_COLUMNS * done / p->total : 0;

        memset(bar, '#', full);
        memset(bar + full, '-', BAR_COLUMNS - full);
        bar[BAR_COLUMNS] = '\0';
        fprintf(stderr, "\r\033[K[%s] %s %zu of %zu", bar, p->what,
                done < p->total ? done + 1 : done, p->total);
        if (done > 0)
                fprintf(stderr, ", %s left", text_duration(left, left_s(p, done)));
        fflush(stderr);
        p->shown = true;
}

static void show_line(struct progress *p, size_t done)
{
        char left[TEXT_NUMBER_MAX];

        if (done == 0 || clock_now_ns() - p->line_ns < LINE_EVERY_NS)
                return;
        p->line_ns = clock_now_ns();
        text_message("%zu of %zu done, %s left", done, p->total,
                     text_duration(left, left_s(p, done)));
}

void progress_show(struct progress *p, size_t done)
{
        if (p->terminal)
                show_bar(p, done);
        else
                show_line(p, done);
}

void progress_clear(struct progress *p)
{
        if (!p->shown)
                return;
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->shown = false;
}
