/* SPDX-License-Identifier: MIT */
#include "machine_deltas.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "report.h"

struct machine_deltas {
        struct row_deltas *rows;
        json_t *sums;    /* of the answer before: machine, unattributed, exited, cpu_s */
        json_t *domains; /* of the status before */
};

struct machine_deltas *machine_deltas_new(const char *proc)
{
        struct machine_deltas *d = calloc(1, sizeof(*d));

        if (d)
                d->rows = row_deltas_new(0, proc);
        if (d && !d->rows) {
                free(d);
                d = NULL;
        }
        return d;
}

void machine_deltas_free(struct machine_deltas *d)
{
        if (!d)
                return;
        row_deltas_free(d->rows);
        json_decref(d->sums);
        json_decref(d->domains);
        free(d);
}

/* Without a sum before, all of it is since then. */
static json_t *difference(double now, double before)
{
        if (isnan(now))
                return json_null();
        return json_real(isnan(before) ? now : fmax(0, now - before));
}

static json_t *part_difference(const json_t *now, const json_t *before, const char *part)
{
        const json_t *values = json_object_get(now, part), *value;
        json_t *result = json_object();
        const char *key;

        json_object_foreach((json_t *)values, key, value)
        {
                if (!json_is_number(value) && !json_is_null(value))
                        continue;
                if (json_object_set_new(result, key,
                                        difference(report_number(now, part, key),
                                                   report_number(before, part, key))) < 0)
                        break;
        }
        return result;
}

static const json_t *domain_before(const struct machine_deltas *d, const char *name)
{
        const json_t *domain;
        size_t i;

        json_array_foreach(d->domains, i, domain)
        {
                if (strcmp(report_string(domain, "name"), name) == 0)
                        return domain;
        }
        return NULL;
}

static json_t *sockets_difference(const struct machine_deltas *d, const json_t *rows)
{
        const json_t *socket;
        json_t *list = json_array();
        size_t i;

        json_array_foreach(json_object_get(rows, "sockets"), i, socket)
        {
                long long number = report_integer(socket, "socket");
                const json_t *before = report_socket(json_object_get(d->sums, "sockets"), number);

                json_array_append_new(
                        list, json_pack("{s:I, s:o, s:o}", "socket", (json_int_t)number, "machine",
                                        part_difference(socket, before, "machine"), "unattributed",
                                        part_difference(socket, before, "unattributed")));
        }
        return list;
}

/* The daemon tells energy of a domain at whole seconds: over a window of 0.1 s it may be 0 or that
 * of a second.  The sum is right. */
static json_t *domains_difference(const struct machine_deltas *d, const json_t *status)
{
        const json_t *domains = json_object_get(status, "domains"), *domain;
        json_t *list = json_array();
        size_t i;

        json_array_foreach(domains, i, domain)
        {
                const json_t *before = domain_before(d, report_string(domain, "name"));
                json_t *socket = json_object_get(domain, "socket");

                json_array_append_new(
                        list, json_pack("{s:s, s:s, s:O?, s:o, s:O?}", "name",
                                        report_string(domain, "name"), "kind",
                                        report_string(domain, "kind"), "socket", socket, "energy_j",
                                        difference(report_number(domain, NULL, "energy_j"),
                                                   report_number(before, NULL, "energy_j")),
                                        "base_w", json_object_get(domain, "base_w")));
        }
        return list;
}

static json_t *line_of(const struct machine_deltas *d, const json_t *rows, const json_t *status,
                       json_t *processes, double duration_s)
{
        long long exited = report_integer(d->sums, "exited_count");

        return json_pack(
                "{s:f, s:f, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:O}", "time",
                clock_realtime_s(), "duration_s", duration_s, "source",
                report_string(status, "source"), "estimated", report_estimated(status), "machine",
                part_difference(rows, d->sums, "machine"), "unattributed",
                part_difference(rows, d->sums, "unattributed"), "sockets",
                sockets_difference(d, rows), "domains", domains_difference(d, status), "cpu_s",
                difference(report_number(rows, NULL, "cpu_s"),
                           report_number(d->sums, NULL, "cpu_s")),
                "exited_count",
                json_integer(report_integer(rows, "exited_count") - (exited > 0 ? exited : 0)),
                "rows", processes, "warnings", json_object_get(rows, "warnings"));
}

/* Nothing of a daemon that has gone can be taken from what the next one tells. */
static void forget(struct machine_deltas *d)
{
        json_object_clear(d->sums);
        json_decref(d->domains);
        d->domains = NULL;
}

int machine_deltas_take(struct machine_deltas *d, const json_t *rows, const json_t *status,
                        struct row_window *window, json_t **ret)
{
        json_auto_t *processes = NULL, *line = NULL;
        int r;

        if (!json_is_object(json_object_get(rows, "machine")) ||
            !json_is_array(json_object_get(rows, "warnings")) ||
            !json_is_array(json_object_get(rows, "sockets")) ||
            !json_is_number(json_object_get(rows, "uptime_s")) ||
            !json_is_array(json_object_get(status, "domains")))
                return -EPROTO;
        r = row_deltas_take(d->rows, rows, window, &processes);
        if (r < 0)
                return r;
        if (window->anew)
                forget(d);
        line = d->sums ? line_of(d, rows, status, processes, window->duration_s) : json_object();
        json_decref(d->sums);
        json_decref(d->domains);
        d->sums = json_pack(
                "{s:O, s:O, s:O, s:O, s:O}", "sockets", json_object_get(rows, "sockets"), "machine",
                json_object_get(rows, "machine"), "unattributed",
                json_object_get(rows, "unattributed"), "cpu_s", json_object_get(rows, "cpu_s"),
                "exited_count", json_object_get(rows, "exited_count"));
        d->domains = json_incref(json_object_get(status, "domains"));
        if (!line || !d->sums)
                return -ENOMEM;
        *ret = json_incref(line);
        return 0;
}
