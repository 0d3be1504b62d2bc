/* SPDX-License-Identifier: MIT */
/* The machine as it is now: a new baseline's, or against the baseline that is in force. */
#include <math.h>
#include <numa.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "calibrate.h"
#include "clock.h"
#include "log.h"
#include "memory_nodes.h"

/* tuned and cpupower set the governor after the daemon's start, and when they are told to. */
#define DOUBT_NS (60 * NS_PER_S)

void baseline_blank(struct baseline *b, unsigned int nsockets)
{
        *b = (struct baseline){.nsockets = nsockets};
        for (unsigned int i = 0; i < TOPOLOGY_MAX_SOCKETS; i++) {
                b->package_w[i] = b->package_mad_w[i] = b->package_half_width_w[i] = NAN;
                b->dram_w[i] = b->dram_mad_w[i] = b->dram_half_width_w[i] = NAN;
                b->package_percent[i] = b->dram_percent[i] = NAN;
        }
}

void baseline_begin(struct baseline *b, const struct server *s, enum baseline_method method)
{
        const struct topology *t = s->topology;
        time_t now = time(NULL);
        struct tm utc;

        baseline_blank(b, sampler_accounts(s->sampler)->nsockets);
        b->method = method;
        baseline_describe_machine(b);
        snprintf(b->source, sizeof(b->source), "%s", meter_source_name(sampler_meter(s->sampler)));
        strftime(b->date, sizeof(b->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
        for (unsigned int i = 0; i < b->nsockets; i++)
                b->dram_percent[i] = memory_nodes_percent(t, t->sockets[i], numa_node_size64);
}

const char *server_baseline_doubt(struct server *s)
{
        uint64_t now_ns = monotonic_ns();
        struct baseline now;
        char changes[256], before[sizeof(s->baseline_doubt)];

        if (!s->baseline || now_ns < s->doubt_until_ns)
                return s->baseline_doubt;
        s->doubt_until_ns = now_ns + DOUBT_NS;
        memcpy(before, s->baseline_doubt, sizeof(before));
        s->baseline_doubt[0] = '\0';
        baseline_describe_machine(&now);
        baseline_changes(s->baseline, &now, changes, sizeof(changes));
        if (changes[0])
                snprintf(s->baseline_doubt, sizeof(s->baseline_doubt),
                         "the baseline is of other circumstances: %s; measure it again with "
                         "'energat --basepower'",
                         changes);
        if (changes[0] && strcmp(before, s->baseline_doubt) != 0)
                log_warning("%s", s->baseline_doubt);
        return s->baseline_doubt;
}
