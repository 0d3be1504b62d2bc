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

int report_write_html(FILE *out, const struct report_source *source)
{
        const char *place = strstr(report_page, PLACE);
        char *json;

        if (source->bench)
                return -ENOTSUP;
        if (!place)
                return -EINVAL;
        json = json_dumps(source->document, JSON_COMPACT | JSON_REAL_PRECISION(PAGE_DIGITS));
        if (!json)
                return -ENOMEM;
        fwrite(report_page, 1, (size_t)(place - report_page), out);
        write_escaped(out, json);
        free(json);
        fputs(place + strlen(PLACE), out);
        return ferror(out) ? -EIO : 0;
}
