/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#include "number.h"

/* Enough for microjoules up to 10^9 J, and 79.9 stays 79.9 (with 17 it is 79.900000000000006). */
#define OUTPUT_DIGITS 15

/* From here on the machine's window is said to be longer than the target's: less changes no digit
 * that anybody reads. */
#define WINDOW_LONGER_PART 0.02
#define WINDOW_LONGER_S    0.05

static const char *const energies[] = {"attributed", "share", "tracer", "machine"};
static const char *const energy_keys[] = {"package_j", "dram_j", "static_package_j",
                                          "static_dram_j"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_number_or_null(const json_t *value)
{
        return !value || json_is_null(value) || json_is_number(value);
}

static bool energies_valid(const json_t *object)
{
        for (size_t i = 0; i < COUNT(energies); i++) {
                const json_t *part = json_object_get(object, energies[i]);

                if (!json_is_object(part))
                        return false;
                for (size_t j = 0; j < COUNT(energy_keys); j++)
                        if (!is_number_or_null(json_object_get(part, energy_keys[j])))
                                return false;
        }
        return true;
}

bool report_valid(const json_t *report)
{
        const json_t *sockets = json_object_get(report, "sockets"), *socket;
        size_t i;

        if (!json_is_string(json_object_get(report, "source")) ||
            !json_is_boolean(json_object_get(report, "estimated")) ||
            !json_is_integer(json_object_get(report, "pid")) ||
            !json_is_string(json_object_get(report, "name")) ||
            !json_is_number(json_object_get(report, "time")) ||
            !json_is_number(json_object_get(report, "duration_s")) ||
            !json_is_number(json_object_get(report, "cpu_s")) || !json_is_array(sockets) ||
            !json_is_array(json_object_get(report, "warnings")) || !energies_valid(report))
                return false;
        json_array_foreach(sockets, i, socket)
        {
                if (!json_is_integer(json_object_get(socket, "socket")) ||
                    !json_is_number(json_object_get(socket, "cpu_s")) || !energies_valid(socket))
                        return false;
        }
        return true;
}

double report_number(const json_t *report, const char *part, const char *key)
{
        return number_of(json_object_get(part ? json_object_get(report, part) : report, key));
}

double report_machine_s(const json_t *report)
{
        double s = report_number(report, NULL, "machine_s");

        return isnan(s) ? report_number(report, NULL, "duration_s") : s;
}

bool report_is_rounded(const json_t *report)
{
        double duration_s = report_number(report, NULL, "duration_s");
        double longer_s = report_machine_s(report) - duration_s;

        return longer_s > WINDOW_LONGER_S && longer_s > WINDOW_LONGER_PART * duration_s;
}

long long report_integer(const json_t *report, const char *key)
{
        const json_t *value = json_object_get(report, key);

        return json_is_integer(value) ? (long long)json_integer_value(value) : -1;
}

const char *report_string(const json_t *report, const char *key)
{
        const char *s = json_string_value(json_object_get(report, key));

        return s ? s : "";
}

static bool is_additive(const json_t *report)
{
        return strcmp(report_string(report, "model"), "additive") == 0;
}

const char *report_answer(const json_t *report)
{
        return is_additive(report) ? "share" : "attributed";
}

const char *report_other_answer(const json_t *report)
{
        return is_additive(report) ? "attributed" : "share";
}

bool report_estimated(const json_t *report)
{
        return json_is_true(json_object_get(report, "estimated"));
}

static int set_real(json_t *object, const char *key, double value)
{
        return json_object_set_new(object, key, number_json(value)) < 0 ? -ENOMEM : 0;
}

static int add_number(json_t *total, const json_t *more, const char *key)
{
        return set_real(total, key,
                        number_plus(number_of(json_object_get(total, key)),
                                    number_of(json_object_get(more, key))));
}

static int add_energies(json_t *total, const json_t *more)
{
        for (size_t i = 0; i < COUNT(energies); i++) {
                json_t *sum = json_object_get(total, energies[i]);
                const json_t *part = json_object_get(more, energies[i]);

                for (size_t j = 0; j < COUNT(energy_keys); j++)
                        if (json_object_get(part, energy_keys[j]) &&
                            add_number(sum, part, energy_keys[j]) < 0)
                                return -ENOMEM;
        }
        return 0;
}

/* Mean of the known ones, weighted by the time that they cover. */
static double weighted_mean(double a, double a_s, double b, double b_s)
{
        if (isnan(a) || isnan(b))
                return isnan(a) ? b : a;
        return a_s + b_s > 0 ? (a * a_s + b * b_s) / (a_s + b_s) : b;
}

static double credit(double cpu_s, double busy_s)
{
        if (!isfinite(cpu_s) || !isfinite(busy_s))
                return NAN;
        return busy_s > 0 ? fmin(1, cpu_s / busy_s) : 0;
}

static int add_socket(json_t *sum, const json_t *more, double sum_s, double more_s)
{
        double dram_credit = weighted_mean(number_of(json_object_get(sum, "dram_credit")), sum_s,
                                           number_of(json_object_get(more, "dram_credit")), more_s);

        if (add_number(sum, more, "cpu_s") < 0 || add_number(sum, more, "busy_s") < 0 ||
            add_energies(sum, more) < 0)
                return -ENOMEM;
        if (set_real(sum, "package_credit",
                     credit(report_number(sum, NULL, "cpu_s"),
                            report_number(sum, NULL, "busy_s"))) < 0)
                return -ENOMEM;
        return set_real(sum, "dram_credit", dram_credit);
}

json_t *report_socket(const json_t *sockets, long long number)
{
        json_t *socket;
        size_t i;

        json_array_foreach(sockets, i, socket)
        {
                if (report_integer(socket, "socket") == number)
                        return socket;
        }
        return NULL;
}

static int add_sockets(json_t *total, const json_t *report)
{
        double total_s = report_number(total, NULL, "duration_s");
        double report_s = report_number(report, NULL, "duration_s");
        json_t *sums = json_object_get(total, "sockets"), *more;
        size_t i;

        json_array_foreach(json_object_get(report, "sockets"), i, more)
        {
                json_t *sum = report_socket(sums, report_integer(more, "socket"));
                int r;

                if (sum)
                        r = add_socket(sum, more, total_s, report_s);
                else
                        r = json_array_append_new(sums, json_deep_copy(more)) < 0 ? -ENOMEM : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What the last window says holds for the sum: where it ended, and who was still there. */
static int take_over_latest(json_t *total, const json_t *report)
{
        static const char *const latest[] = {"time", "processes", "threads", "reasons"};

        for (size_t i = 0; i < COUNT(latest); i++) {
                json_t *value = json_object_get(report, latest[i]);

                if (value && json_object_set(total, latest[i], value) < 0)
                        return -ENOMEM;
        }
        if (report_estimated(report) && json_object_set_new(total, "estimated", json_true()) < 0)
                return -ENOMEM;
        return 0;
}

int report_add(json_t *total, const json_t *report)
{
        const json_t *warning;
        size_t i;

        if (json_object_size(total) == 0) {
                json_auto_t *first = json_deep_copy(report);

                return !first || json_object_update(total, first) < 0 ? -ENOMEM : 0;
        }
        if (add_sockets(total, report) < 0 || add_energies(total, report) < 0 ||
            add_number(total, report, "duration_s") < 0 ||
            add_number(total, report, "machine_s") < 0 || add_number(total, report, "cpu_s") < 0 ||
            take_over_latest(total, report) < 0)
                return -ENOMEM;
        json_array_foreach(json_object_get(report, "warnings"), i, warning)
        {
                if (json_is_string(warning) && report_warn(total, json_string_value(warning)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Sums in floating point can leave a rest of -1e-16; energy and time are never negative. */
static int subtract_number(json_t *whole, const json_t *part, const char *key)
{
        double rest = number_of(json_object_get(whole, key));
        double less = number_of(json_object_get(part, key));

        if (!isnan(less))
                rest = fmax(0, rest - less);
        return set_real(whole, key, rest);
}

static int subtract_energies(json_t *whole, const json_t *less)
{
        for (size_t i = 0; i < COUNT(energies); i++) {
                json_t *rest = json_object_get(whole, energies[i]);
                const json_t *part = json_object_get(less, energies[i]);

                for (size_t j = 0; j < COUNT(energy_keys); j++)
                        if (!isnan(number_of(json_object_get(rest, energy_keys[j]))) &&
                            subtract_number(rest, part, energy_keys[j]) < 0)
                                return -ENOMEM;
        }
        return 0;
}

static int subtract_socket(json_t *socket, const json_t *less)
{
        if (subtract_number(socket, less, "cpu_s") < 0 ||
            subtract_number(socket, less, "busy_s") < 0 || subtract_energies(socket, less) < 0)
                return -ENOMEM;
        if (set_real(socket, "package_credit",
                     credit(report_number(socket, NULL, "cpu_s"),
                            report_number(socket, NULL, "busy_s"))) < 0)
                return -ENOMEM;
        /* a mean over the whole says nothing of its last part */
        return set_real(socket, "dram_credit", NAN);
}

json_t *report_rest(const json_t *whole, const json_t *total)
{
        json_auto_t *rest = json_deep_copy(whole);
        json_t *socket;
        size_t i;

        if (!rest || json_object_size(total) == 0)
                return json_incref(rest);
        if (subtract_number(rest, total, "duration_s") < 0 ||
            subtract_number(rest, total, "machine_s") < 0 ||
            subtract_number(rest, total, "cpu_s") < 0 || subtract_energies(rest, total) < 0)
                return NULL;
        json_array_foreach(json_object_get(rest, "sockets"), i, socket)
        {
                const json_t *less = report_socket(json_object_get(total, "sockets"),
                                                   report_integer(socket, "socket"));

                if (less && subtract_socket(socket, less) < 0)
                        return NULL;
        }
        return json_incref(rest);
}

/* A word that is a number: a count, a time.  Those in names ("package-0") are none. */
static size_t count_length(const char *text, const char *from)
{
        size_t n = strspn(from, "0123456789.");

        return from == text || from[-1] == ' ' || from[-1] == '(' ? n : 0;
}

/* Do they say the same, but for counts? */
static bool same_warning(const char *a, const char *b)
{
        for (const char *p = a, *q = b;; p++, q++) {
                size_t n = count_length(a, p), m = count_length(b, q);

                if (n > 0 && m > 0) {
                        p += n;
                        q += m;
                }
                if (*p != *q)
                        return false;
                if (!*p)
                        return true;
        }
}

int report_warn(json_t *report, const char *warning)
{
        json_t *warnings = json_object_get(report, "warnings"), *other;
        size_t i;

        json_array_foreach(warnings, i, other)
        {
                const char *text = json_string_value(other);

                if (!text || !same_warning(text, warning))
                        continue;
                if (strcmp(text, warning) == 0)
                        return 0;
                return json_array_set_new(warnings, i, text_json(warning)) < 0 ? -ENOMEM : 0;
        }
        if (json_array_size(warnings) >= REPORT_WARNINGS_MAX)
                return 0;
        if (json_array_size(warnings) == REPORT_WARNINGS_MAX - 1)
                warning = "there were more warnings than are told here";
        return json_array_append_new(warnings, text_json(warning)) < 0 ? -ENOMEM : 0;
}

json_t *report_for_output(const json_t *report, json_t *exit_status)
{
        json_auto_t *status = exit_status, *object = json_object();
        const char *key;
        json_t *value;

        if (!status || !object)
                return NULL;
        json_object_foreach((json_t *)report, key, value)
        {
                if (json_object_set(object, key, value) < 0)
                        return NULL;
                if (strcmp(key, "name") == 0 && json_object_set(object, "exit_status", status) < 0)
                        return NULL;
        }
        return json_incref(object);
}

int report_print_json(FILE *out, const json_t *object)
{
        size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(OUTPUT_DIGITS);

        if (isatty(fileno(out)) == 1) /* for people: no name of a process may steer the terminal */
                flags |= JSON_ENSURE_ASCII;
        if (json_dumpf(object, out, flags) < 0)
                return -EIO;
        return fputc('\n', out) == EOF ? -EIO : 0;
}
