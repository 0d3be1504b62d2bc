/* SPDX-License-Identifier: MIT */
/* energat sensors: every energy counter of this machine, and how it behaves. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "text.h"

/* A second for each source that works, and some for a busy machine. */
#define SURVEY_TIMEOUT_NS (20 * 1000000000ull)

static bool sensors_valid(const json_t *reply)
{
        return json_is_array(json_object_get(reply, "sources"));
}

static const char *quantity(char text[TEXT_NUMBER_MAX], const json_t *sensor, const char *name,
                            const char *unit)
{
        double value = report_number(sensor, NULL, name);

        return isnan(value) ? "-" : text_quantity(text, value, unit);
}

static void print_sensor(const json_t *sensor)
{
        char range[TEXT_NUMBER_MAX], step[TEXT_NUMBER_MAX], refresh[TEXT_NUMBER_MAX];
        char power[TEXT_NUMBER_MAX];
        const char *fault = report_string(sensor, "fault");

        printf("  %-24s %-10s %9s %9s %9s %9s", report_string(sensor, "name"),
               json_is_true(json_object_get(sensor, "attributed")) ? "attributed" : "shown",
               quantity(range, sensor, "range_j", "J"), quantity(step, sensor, "step_j", "J"),
               quantity(refresh, sensor, "refresh_s", "s"),
               quantity(power, sensor, "power_w", "W"));
        if (fault[0]) {
                fputs("  fault: ", stdout);
                text_print_safe(stdout, fault);
        }
        putchar('\n');
}

static void print_source(const json_t *source)
{
        const json_t *domains = json_object_get(source, "domains"), *sensor;
        size_t i;

        fputs(report_string(source, "name"), stdout);
        if (json_is_true(json_object_get(source, "used")))
                fputs(", in use", stdout);
        else if (json_is_true(json_object_get(source, "works")))
                fputs(", works, not in use", stdout);
        else
                fputs(": ", stdout);
        text_print_safe(stdout, report_string(source, "reason"));
        putchar('\n');
        if (json_array_size(domains) > 0)
                printf("  %-24s %-10s %9s %9s %9s %9s\n", "domain", "", "range", "step", "refresh",
                       "power");
        json_array_foreach(domains, i, sensor) print_sensor(sensor);
}

static int sensors(const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *reply = NULL;
        const json_t *source;
        size_t i;
        int r;

        r = command_connect(&c, options);
        if (r != STATUS_OK)
                return r;
        r = connection_call(c, "io.energat.GetSensors", NULL, SURVEY_TIMEOUT_NS, &reply);
        if (r == 0 && !sensors_valid(reply))
                r = -EPROTO;
        if (r < 0)
                return command_failed(c, options, r);
        if (options->json)
                return command_print_json(reply);
        json_array_foreach(json_object_get(reply, "sources"), i, source) print_source(source);
        return command_finish_output();
}

const struct command command_sensors = {
        .name = "sensors",
        .is_verb = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_RAPL_PERIOD,
        .usage = "sensors [--format text|json]",
        .summary = "show every energy counter of this machine, used or not",
        .example = "  energat sensors                      all domains of all sources\n",
        .run = sensors,
};
