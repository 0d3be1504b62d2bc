/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "text.h"

/* Periods below this much apart are the same one, typed differently. */
#define SAME_PERIOD_S 1e-6

static int say_no_daemon(const char *path, const char *reason)
{
        text_message("no energatd at %s: %s; start it with 'systemctl start energatd'", path,
                     reason);
        return STATUS_NO_DAEMON;
}

int command_no_daemon(const struct options *options, int error)
{
        return say_no_daemon(options->socket,
                             error == -ETIMEDOUT ? "it does not answer" : strerror(-error));
}

int command_failed(const struct connection *c, const struct options *options, int error)
{
        const char *path = options->socket;

        switch (error) {
        case -ECONNRESET:
        case -ETIMEDOUT:
                return say_no_daemon(path, connection_strerror(c, error));
        case -EREMOTEIO:
                text_message("%s", connection_error_text(c));
                return STATUS_FAILED;
        case -EPROTO:
                text_message("%s: %s", path, connection_strerror(c, error));
                return STATUS_FAILED;
        default:
                text_message("talking to energatd at %s: %s", path, strerror(-error));
                return STATUS_FAILED;
        }
}

static int warn_of_rapl_period(struct connection *c, const struct options *options)
{
        json_auto_t *status = NULL;
        const json_t *period;
        int r;

        r = connection_call(c, "io.energat.GetStatus", NULL, CONNECTION_TIMEOUT_NS, &status);
        if (r < 0)
                return command_failed(c, options, r);
        period = json_object_get(status, "period_s");
        if (!json_is_number(period))
                return command_failed(c, options, -EPROTO);
        if (fabs(json_number_value(period) - options->rapl_period_s) > SAME_PERIOD_S)
                text_message("--rapl-period %g is not used: energatd samples every %g s (see "
                             "sampling.period in its configuration)",
                             options->rapl_period_s, json_number_value(period));
        return STATUS_OK;
}

int command_connect(struct connection **ret, const struct options *options)
{
        __attribute__((cleanup(connection_closep))) struct connection *c = NULL;
        const char *path = options->socket;
        int r;

        r = connection_open(&c, path, CONNECTION_TIMEOUT_NS);
        if (r < 0)
                return command_no_daemon(options, r);
        if (options->given & OPTION_RAPL_PERIOD) {
                r = warn_of_rapl_period(c, options);
                if (r != STATUS_OK)
                        return r;
        }
        *ret = c;
        c = NULL;
        return STATUS_OK;
}

int command_cannot_write(const char *path, int error)
{
        text_message("cannot write %s: %s", path, strerror(-error));
        return STATUS_FAILED;
}

int command_print_json(const json_t *object)
{
        int r = report_print_json(stdout, object);

        if (r < 0 && !ferror(stdout)) {
                text_message("the result could not be written: %s", strerror(-r));
                return STATUS_FAILED;
        }
        return command_finish_output();
}

static int print_to(FILE *out, const struct options *options, int (*write)(void *data, FILE *out),
                    void *data)
{
        if (out == stderr &&
            !options->json) /* apart from what CMD printed there, and from the "^C" */
                fputc('\n', out);
        return write(data, out);
}

int command_print_result(const struct options *options, struct output_file *output,
                         int (*write)(void *data, FILE *out), void *data)
{
        FILE *usual = options->json ? stdout : stderr, *out = output->stream;
        int error = print_to(out ? out : usual, options, write, data);

        if (out && error == 0)
                error = output_file_commit(output);
        if (error < 0 && out) {
                text_message("the result could not be written to %s: %s; it goes to %s instead",
                             options->output, strerror(-error),
                             options->json ? "stdout" : "stderr");
                print_to(usual, options, write, data);
                command_finish_output();
                return STATUS_FAILED;
        }
        if (error < 0 && !ferror(usual)) {
                text_message("the result could not be written: %s", strerror(-error));
                return STATUS_FAILED;
        }
        return command_finish_output();
}

int command_finish_output(void)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return STATUS_OK;
        text_message("the result could not be written: %s", strerror(errno));
        return STATUS_FAILED;
}
