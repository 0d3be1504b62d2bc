/* SPDX-License-Identifier: MIT */
#include "usage.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

#define KEY_MAX 128

int usage_init(struct usage *u)
{
        *u = (struct usage){.processes = json_object(), .programs = json_object()};
        return u->processes && u->programs ? 0 : -ENOMEM;
}

void usage_deinit(struct usage *u)
{
        json_decref(u->processes);
        json_decref(u->programs);
        u->processes = u->programs = NULL;
}

const char *usage_name(const json_t *row)
{
        const char *name = report_string(row, "comm");

        return name[0] ? name : "?";
}

static double known(double value)
{
        return isnan(value) ? 0 : value;
}

double usage_joules(const json_t *row)
{
        return known(report_number(row, NULL, "package_j")) +
               known(report_number(row, NULL, "dram_j"));
}

static int add(json_t *sum, const json_t *row, const char *key)
{
        double before = report_number(sum, NULL, key), more = report_number(row, NULL, key);
        double value = isnan(before) ? more : before + known(more);

        return json_object_set_new(sum, key, isfinite(value) ? json_real(value) : json_null());
}

static int add_all(json_t *sum, const json_t *row)
{
        return add(sum, row, "cpu_s") < 0 || add(sum, row, "package_j") < 0 ||
                               add(sum, row, "dram_j") < 0
                       ? -ENOMEM
                       : 0;
}

static json_t *program_of(const struct usage *u, const json_t *row)
{
        char key[KEY_MAX];

        snprintf(key, sizeof(key), "%s %s", report_string(row, "user"), usage_name(row));
        return json_object_get(u->programs, key);
}

/* A process counts for the program that it became last. */
static int rename_process(struct usage *u, json_t *sum, const json_t *row)
{
        json_t *program = program_of(u, sum);

        if (program &&
            json_object_set_new(program, "processes",
                                json_integer(report_integer(program, "processes") - 1)) < 0)
                return -ENOMEM;
        return json_object_set_new(sum, "comm", json_string(usage_name(row))) < 0 ||
                               json_object_set_new(sum, "user",
                                                   json_string(report_string(row, "user"))) < 0
                       ? -ENOMEM
                       : 1;
}

/* Returns 1 when the process is new to its program, else 0, or -ENOMEM. */
static int add_process(struct usage *u, const json_t *row)
{
        long long pid = report_integer(row, "pid");
        char key[KEY_MAX];
        json_t *sum;

        snprintf(key, sizeof(key), "%lld %.6f", pid, report_number(row, NULL, "start_s"));
        sum = json_object_get(u->processes, key);
        if (sum) {
                int renamed = 0;

                if (strcmp(usage_name(sum), usage_name(row)) != 0 ||
                    strcmp(report_string(sum, "user"), report_string(row, "user")) != 0)
                        renamed = rename_process(u, sum, row);
                return renamed < 0 || add_all(sum, row) < 0 ? -ENOMEM : renamed;
        }
        if (json_object_size(u->processes) >= USAGE_MAX_PROCESSES) {
                u->full = true; /* whether it is new is not known any more */
                return 0;
        }
        sum = json_pack("{s:I, s:s, s:s}", "pid", (json_int_t)pid, "comm", usage_name(row), "user",
                        report_string(row, "user"));
        if (!sum || json_object_set_new(u->processes, key, sum) < 0)
                return -ENOMEM;
        return add_all(sum, row) < 0 ? -ENOMEM : 1;
}

int usage_add(struct usage *u, const json_t *row)
{
        char key[KEY_MAX];
        json_t *sum;
        int added = add_process(u, row);

        if (added < 0)
                return added;
        sum = program_of(u, row);
        if (!sum) {
                snprintf(key, sizeof(key), "%s %s", report_string(row, "user"), usage_name(row));
                sum = json_pack("{s:s, s:s, s:i}", "comm", usage_name(row), "user",
                                report_string(row, "user"), "processes", 0);
                if (!sum || json_object_set_new(u->programs, key, sum) < 0)
                        return -ENOMEM;
        }
        if (json_object_set_new(sum, "processes",
                                json_integer(report_integer(sum, "processes") + added)) < 0)
                return -ENOMEM;
        return add_all(sum, row);
}

static int by_joules(const void *a, const void *b)
{
        double x = usage_joules(*(json_t *const *)a), y = usage_joules(*(json_t *const *)b);

        return (x < y) - (x > y);
}

json_t *usage_list(const json_t *sums, size_t limit)
{
        size_t count = json_object_size(sums), n = 0;
        json_t **all = calloc(count ? count : 1, sizeof(json_t *)), *sum;
        json_auto_t *list = json_array();
        const char *key;

        if (!all || !list) {
                free(all);
                return NULL;
        }
        json_object_foreach((json_t *)sums, key, sum) all[n++] = sum;
        qsort(all, n, sizeof(json_t *), by_joules);
        for (size_t i = 0; i < n && i < limit; i++)
                if (json_array_append(list, all[i]) < 0)
                        break;
        free(all);
        return json_incref(list);
}
