/* SPDX-License-Identifier: MIT */
/*
 * One page that needs nothing else: report_page.html with the document in it.  The page's script
 * makes every text node from it as text; here it only has to be kept from ending the element that
 * it stands in, so that "<", ">" and "&" are written as escapes of JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report_forms.h"
#include "report_page.h"

#define PLACE       "@REPORT_JSON@"
#define PAGE_DIGITS 12 /* times since 1970 to 10 ms */

static void write_escaped(FILE *out, const char *json)
{
        for (; *json; json++) {
                if (*json == '<' || *json == '>' || *json == '&')
                        fprintf(out, "\\u%04x", (unsigned char)*json);
                else
                        fputc(*json, out);
        }
}

/* A new reference, NULL without memory.  Repeated runs have no document of their own: what
 * --format json prints of them, with the recording's header. */
static json_t *page_document(const struct report_source *source)
{
        json_auto_t *bench = NULL, *document = NULL;

        if (!source->bench)
                return json_deep_copy(source->document);
        bench = bench_json(source->bench, source->factors);
        document = json_deep_copy(source->reader->header);
        if (!bench || !document || json_object_update(document, bench) < 0)
                return NULL;
        return json_incref(document);
}

int report_write_html(FILE *out, const struct report_source *source)
{
        const char *place = strstr(report_page, PLACE);
        json_auto_t *document = NULL;
        char *json;

        if (!place)
                return -EINVAL;
        document = page_document(source);
        json = document ? json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(PAGE_DIGITS))
                        : NULL;
        if (!json)
                return -ENOMEM;
        fwrite(report_page, 1, (size_t)(place - report_page), out);
        write_escaped(out, json);
        free(json);
        fputs(place + strlen(PLACE), out);
        return ferror(out) ? -EIO : 0;
}
