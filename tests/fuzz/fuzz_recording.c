/* SPDX-License-Identifier: MIT */
/* A recording that was copied, cut or made up: read, and shown in every form but HDF5. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_record.h"
#include "fuzz_tree.h"
#include "recording.h"
#include "report_forms.h"

#define INPUT_MAX 65536

static const struct impact_factors factors = {
        .pue = 1.5, .emissions_g_per_kwh = 400, .price_per_kwh = 0.3, .price_unit = "EUR"};

/* The whole input is the file. */
static const char *make_file(const uint8_t *data, size_t size)
{
        static const char head[] = "@file recording\n";
        static uint8_t text[INPUT_MAX + sizeof(head)];
        static char path[4096];

        if (size > INPUT_MAX)
                size = INPUT_MAX;
        memcpy(text, head, sizeof(head) - 1);
        memcpy(text + sizeof(head) - 1, data, size);
        snprintf(path, sizeof(path), "%s/recording", fuzz_tree(text, sizeof(head) - 1 + size));
        return path;
}

static void show(const struct report_source *source)
{
        for (const struct report_form *form = report_forms; form->name; form++) {
                char *text = NULL;
                size_t size = 0;
                FILE *out = open_memstream(&text, &size);
                int r;

                FUZZ_CHECK(out != NULL);
                r = form->write(out, source);
                fclose(out);
                FUZZ_CHECK(r == 0 || r == -ENOTSUP);
                if (r == 0 && strcmp(form->name, "json") == 0) {
                        json_t *again = json_loadb(text, size, 0, NULL);

                        FUZZ_CHECK(json_is_object(again));
                        json_decref(again);
                }
                free(text);
        }
}

static void read_bench(struct record_reader *reader)
{
        struct bench_record bench = {0};
        struct report_source source = {
                .factors = &factors, .reader = reader, .bench = &bench.bench};

        if (bench_record_read(&bench, reader) == 0) {
                FUZZ_CHECK(bench_measured(&bench.bench) <= bench.bench.count);
                show(&source);
        }
        bench_record_deinit(&bench);
}

static void read_document(struct record_reader *reader)
{
        struct report_source source = {.factors = &factors, .reader = reader};
        json_t *document = NULL;
        int r = recording_document(reader, &factors, &document);

        FUZZ_CHECK(r <= 0);
        if (r < 0)
                return;
        FUZZ_CHECK(json_is_object(document));
        source.document = document;
        show(&source);
        json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct record_reader reader;
        char why[256];
        int r = record_read(&reader, make_file(data, size), why, sizeof(why));
        const char *kind;

        FUZZ_CHECK(r <= 0);
        if (r < 0) {
                FUZZ_CHECK(r != -EBADMSG || why[0] != '\0');
                return 0;
        }
        kind = json_string_value(json_object_get(reader.header, "kind"));
        FUZZ_CHECK(kind != NULL);
        if (strcmp(kind, "bench") == 0)
                read_bench(&reader);
        else
                read_document(&reader);
        record_reader_close(&reader);
        return 0;
}
