/* SPDX-License-Identifier: MIT */
/* energat --basepower: have the daemon measure the power of the idle machine, and keep it. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "command.h"
#include "report.h"
#include "text.h"

/* A window takes its period and a little; the daemon's default period is not known here, but is of
 * seconds. */
#define WINDOW_SLACK_S 60.0

static json_t *calibrate_parameters(const struct options *o)
{
        json_auto_t *p = json_object();
        int r = 0;

        if (o->given & OPTION_BASE_PERIOD)
                r |= json_object_set_new(p, "period_s", json_real(o->base_period_s));
        if (o->given & OPTION_WINDOWS)
                r |= json_object_set_new(p, "windows", json_integer(o->windows));
        if (o->force)
                r |= json_object_set_new(p, "force", json_true());
        if (o->online)
                r |= json_object_set_new(p, "online", json_true());
        return r < 0 ? NULL : json_incref(p);
}

static bool reply_valid(const json_t *reply)
{
        return json_is_string(json_object_get(reply, "event")) &&
               json_is_array(json_object_get(reply, "package_w")) &&
               json_is_array(json_object_get(reply, "dram_w"));
}

/* The power of one socket, NAN when null. */
static double watts(const json_t *reply, const char *key, size_t socket)
{
        const json_t *value = json_array_get(json_object_get(reply, key), socket);

        return json_is_number(value) ? json_number_value(value) : NAN;
}

static double sum_watts(const json_t *reply, const char *key)
{
        size_t n = json_array_size(json_object_get(reply, key));
        double sum = n ? 0 : NAN;

        for (size_t i = 0; i < n; i++)
                sum += watts(reply, key, i);
        return sum;
}

static void show_progress(const json_t *reply)
{
        const char *back = "\r\033[K"; /* the same line again, cleared */
        char package[TEXT_NUMBER_MAX], dram[TEXT_NUMBER_MAX], width[TEXT_NUMBER_MAX];

        if (report_string(reply, "lacking")[0]) {
                fprintf(stderr, "%s%lld s of %lld: base power %s +- %s so far, needs %s", back,
                        report_integer(reply, "window"), report_integer(reply, "windows"),
                        text_quantity(package, sum_watts(reply, "package_w"), "W"),
                        text_quantity(width, sum_watts(reply, "package_half_width_w"), "W"),
                        report_string(reply, "lacking"));
                fflush(stderr);
                return;
        }
        fprintf(stderr, "%swindow %lld of %lld: package %s, dram %s, CPUs %.1f %% busy", back,
                report_integer(reply, "window"), report_integer(reply, "windows"),
                text_quantity(package, sum_watts(reply, "package_w"), "W"),
                text_quantity(dram, sum_watts(reply, "dram_w"), "W"),
                report_number(reply, NULL, "busy_percent"));
        fflush(stderr);
}

static void print_watts(const char *domain, double value, double half_width)
{
        char text[TEXT_NUMBER_MAX], width[TEXT_NUMBER_MAX];

        printf("   %s %s", domain, isnan(value) ? "not measured" : text_quantity(text, value, "W"));
        if (!isnan(half_width))
                printf(" +- %s", text_quantity(width, half_width, "W"));
}

static void print_result(const json_t *reply)
{
        size_t sockets = json_array_size(json_object_get(reply, "package_w"));

        if (isnan(report_number(reply, NULL, "busy_percent")))
                puts("power of the idle machine, told from the machine in use (95 % confidence)");
        else
                printf("power of the idle machine, %lld windows, CPUs %.1f %% busy meanwhile\n",
                       report_integer(reply, "windows"),
                       report_number(reply, NULL, "busy_percent"));
        for (size_t i = 0; i < sockets; i++) {
                printf("  socket %zu", i);
                print_watts("package", watts(reply, "package_w", i),
                            watts(reply, "package_half_width_w", i));
                print_watts("dram", watts(reply, "dram_w", i),
                            watts(reply, "dram_half_width_w", i));
                putchar('\n');
        }
        if (report_string(reply, "lacking")[0]) {
                fputs("  no power of dram: ", stdout);
                text_print_safe(stdout, report_string(reply, "lacking"));
                putchar('\n');
        }
        if (report_string(reply, "path")[0]) {
                fputs("  kept in ", stdout);
                text_print_safe(stdout, report_string(reply, "path"));
                putchar('\n');
        }
}

/* Waits for the stream's last reply: 0, or a negative error of connection.h. */
static int wait_for_result(struct connection *c, const struct options *o, json_t **ret)
{
        double period_s = o->given & OPTION_BASE_PERIOD ? o->base_period_s : 0;
        uint64_t limit_ns = (uint64_t)((2 * period_s + WINDOW_SLACK_S) * (double)NS_PER_S);
        bool terminal = isatty(STDERR_FILENO) == 1, shown = false, continues = true;
        int r = 0;

        while (continues && r == 0) {
                json_auto_t *reply = NULL;

                r = connection_wait(c, clock_now_ns() + limit_ns, &reply, &continues);
                if (r == 0 && !reply_valid(reply))
                        r = -EPROTO;
                if (r < 0)
                        break;
                if (continues && terminal) {
                        show_progress(reply);
                        shown = true;
                }
                if (!continues)
                        *ret = json_incref(reply);
        }
        if (shown)
                fputc('\n', stderr);
        return r;
}

static int basepower(const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        json_auto_t *parameters = NULL, *reply = NULL;
        int r;

        r = command_connect(&c, options);
        if (r != STATUS_OK)
                return r;
        parameters = calibrate_parameters(options);
        r = parameters ? connection_send(c, "io.energat.Calibrate", parameters, true) : -ENOMEM;
        if (r == 0)
                r = wait_for_result(c, options, &reply);
        if (r < 0)
                return command_failed(c, options, r);
        if (options->json)
                return command_print_json(reply);
        print_result(reply);
        return command_finish_output();
}

const struct command command_basepower = {
        .name = "basepower",
        .is_verb = true,
        .is_option = true,
        .options = OPTION_SOCKET | OPTION_FORMAT | OPTION_BASE_PERIOD | OPTION_WINDOWS |
                   OPTION_FORCE | OPTION_RAPL_PERIOD | OPTION_ONLINE,
        .usage = "basepower [--base-period S] [--windows N] [--force | --online]",
        .summary = "measure the idle machine's power, and keep it",
        .details =
                "The machine should be idle meanwhile: on no socket more than a twentieth of the\n"
                "CPUs busy, nor more than half a CPU.  With --online it need not be: base power "
                "is\n"
                "told from how power goes with use, and kept when it can be trusted, within\n"
                "--base-period (120 s).  For root and members of group energat.\n"
                "The same as energat --basepower.\n",
        .example = "  energat basepower                    now, on an idle machine\n"
                   "  energat basepower --online           told from the machine in use\n",
        .run = basepower,
};
