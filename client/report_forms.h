/* SPDX-License-Identifier: MIT */
/* The forms in which a recording is shown.  A new one is one function, and one row in the table of
 * report_forms.c. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "bench.h"
#include "impact.h"
#include "record.h"

/* What is shown: a document (recording.h), or repeated runs. */
struct report_source {
        const struct impact_factors *factors;
        struct record_reader *reader;
        const json_t *document;    /* NULL: of repeated runs */
        const struct bench *bench; /* NULL: it has a document */
};

struct report_form {
        const char *name;
        /* 0 or -errno; -ENOTSUP: what this source holds has no such form */
        int (*write)(FILE *out, const struct report_source *source);
};

extern const struct report_form report_forms[]; /* ends with a NULL name */
const struct report_form *report_form(const char *name);

int report_write_csv(FILE *out, const struct report_source *source);
int report_write_html(FILE *out, const struct report_source *source);
/* customSmallerIsBetter of github-action-benchmark, as perun's format "bench" */
int report_write_bench(FILE *out, const struct report_source *source);

/*
 * An HDF5 file at `path`.  -ENOSYS: this build has no HDF5, or its module is not installed; `why`
 * (256 bytes) says more.
 */
int report_write_hdf5(const char *path, const struct report_source *source, char *why);
