/* SPDX-License-Identifier: MIT */
/* energat status: what the daemon is and does. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "report.h"
#include "text.h"

#define LABEL "  %-10s "

static bool status_valid(const json_t *status)
{
        return json_is_string(json_object_get(status, "version")) &&
               json_is_string(json_object_get(status, "source")) &&
               json_is_string(json_object_get(status, "probe")) &&
               json_is_number(json_object_get(status, "period_s")) &&
               json_is_number(json_object_get(status, "uptime_s")) &&
               json_is_array(json_object_get(status, "domains")) &&
               json_is_array(json_object_get(status, "warnings"));
}

static void print_domain(const json_t *domain, int width)
{
        const char *name = report_string(domain, "name"), *fault = report_string(domain, "fault");
        double power_w = report_number(domain, NULL, "power_w");
        double base_w = report_number(domain, NULL, "base_w");
        long long faults = report_integer(domain, "faults");
        char now[TEXT_NUMBER_MAX], idle[TEXT_NUMBER_MAX], energy[TEXT_NUMBER_MAX];
        int padding = width - (int)strlen(name);

        text_print_safe(stdout, name);
        printf("%*s %9s now", padding > 0 ? padding : 0, "",
               isnan(power_w) ? "unknown" : text_quantity(now, power_w, "W"));
        printf(", %9s idle", isnan(base_w) ? "unknown" : text_quantity(idle, base_w, "W"));
        printf(", %9s in all", text_quantity(energy, report_number(domain, NULL, "energy_j"), "J"));
        if (faults > 0)
                printf(", %lld faulty readings", faults);
        putchar('\n');
        if (fault[0]) {
                printf(LABEL "  fault: ", "");
                text_print_safe(stdout, fault);
                putchar('\n');
        }
}

static void print_domains(const json_t *domains)
{
        const json_t *domain;
        size_t i, width = 0;

        json_array_foreach(domains, i, domain)
        {
                size_t length = strlen(report_string(domain, "name"));

                if (length > width)
                        width = length;
        }
        json_array_foreach(domains, i, domain)
        {
                printf(LABEL, i == 0 ? "domains" : "");
                print_domain(domain, (int)width);
        }
}

static void print_status(const json_t *status)
{
        char uptime[TEXT_NUMBER_MAX];
        const json_t *warning;
        size_t i;

        fputs("energatd ", stdout);
        text_print_safe(stdout, report_string(status, "version"));
        printf(", up %s\n", text_duration(uptime, report_number(status, NULL, "uptime_s")));
        printf(LABEL, "source");
        text_print_safe(stdout, report_string(status, "source"));
        puts(report_estimated(status) ? " (estimated, no energy meter on this machine)" : "");
        printf(LABEL, "probe");
        text_print_safe(stdout, report_string(status, "probe"));
        printf("\n" LABEL "every %g s, %lld ticks, %lld missed\n", "sampling",
               report_number(status, NULL, "period_s"), report_integer(status, "ticks"),
               report_integer(status, "missed_ticks"));
        printf(LABEL "%lld\n", "targets", report_integer(status, "targets"));
        print_domains(json_object_get(status, "domains"));
        json_array_foreach(json_object_get(status, "warnings"), i, warning)
        {
                const char *text = json_string_value(warning);

                if (!text)
                        continue;
                fputs("  warning: ", stdout);
                text_print_safe(stdout, text);
                putchar('\n');
        }
}

static int status(const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *reply = NULL;
        int r;

        r = command_connect(&c, options);
        if (r != STATUS_OK)
                return r;
        r = connection_call(c, "io.energat.GetStatus", NULL, CONNECTION_TIMEOUT_NS, &reply);
        if (r == 0 && !status_valid(reply))
                r = -EPROTO;
        if (r < 0)
                return command_failed(c, options, r);
        if (options->json)
                return command_print_json(reply);
        print_status(reply);
        return command_finish_output();
}

const struct command command_status = {
        .name = "status",
        .is_verb = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_RAPL_PERIOD,
        .usage = "status [--format text|json]",
        .summary = "say what energatd is and does",
        .example = "  energat status --format json | jq .domains\n",
        .run = status,
};
