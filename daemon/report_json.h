/* SPDX-License-Identifier: MIT */
/* Reports as the JSON of io.energat.  Microjoules become joules here, and unknown becomes null. */
#pragma once

#include <jansson.h>

#include "sampler.h"
#include "target.h"

struct report_header {
        const struct sampler *sampler;
        const struct fault *faults; /* of each domain */
        const struct topology *topology;
        pid_t pid; /* as the peer calls it */
        const char *name;
        const char *model; /* as model.model calls it */
        double gamma, delta;
        const char *baseline; /* as io.energat calls it */
        const char *lacking;  /* what is missing for it to be learned; NULL: nothing */
};

/* A new reference to a Report, or NULL when out of memory. */
json_t *report_json(const struct report_header *header, const struct report *report);

/*
 * Warnings that hold for everything that is measured now; appended to `warnings`.  lacking: what
 * the learner of the baseline misses, or NULL.
 */
void warnings_of_source(json_t *warnings, const struct sampler *sampler, const struct fault *faults,
                        const char *lacking);
/* The same from what happened in a window. */
void warnings_of_window(json_t *warnings, const struct sampler *sampler, const uint64_t *machine);

/* Numbers that may not be known, and are null then */
json_t *json_joules(bool known, uint64_t uj);
json_t *json_number_if(bool known, double value);
/* By socket; NAN: not known */
json_t *json_watts(const double *w, unsigned int nsockets);
/* A process's name: any bytes, cut at 15.  What is no UTF-8 is shown as '?'. */
json_t *json_name(const char *name);
