/* SPDX-License-Identifier: MIT */
/*
 * energat calibrate: the machine's own exponents of EnergAt's model.
 *
 * Gamma: cores are made busy step by step, in every package alike; delta: memory is taken step by
 * step, on all nodes alike.  At each step the power of many short windows is read off a Follow
 * stream of this very process, which has the busy time and the energy of each socket at the same
 * ticks.  A curve is then fitted (power_fit.h).  Nothing is changed unless --write asks for it.
 */
#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "calibration_load.h"
#include "calibration_memory.h"
#include "clock.h"
#include "command.h"
#include "config_edit.h"
#include "follow.h"
#include "number.h"
#include "power_fit.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "statistics.h"
#include "text.h"

#define DEFAULT_CONFIG   "/etc/energat/energatd.conf"
#define DEFAULT_PERIOD_S 0.05 /* short, so that what others do in between shows in few of them */
#define DEFAULT_WINDOWS  40
#define MOST_WINDOWS     10000 /* options.c takes no more */
#define QUIET_PART       4     /* the quietest of so many windows count */
#define MOST_CORE_STEPS  17    /* none, and 16 more: enough for a curve with one bend */
#define PART_STEPS       7     /* eighths of a core */
#define MEMORY_STEPS     9     /* base, slope and exponent take three */
#define MAX_POINTS       ((MOST_CORE_STEPS + PART_STEPS) * POWER_FIT_MAX_GROUPS)
#define MAX_OTHERS       0.05 /* busy CPUs of others, of all CPUs, on average at rest */
#define WINDOW_TOLERANCE 0.02 /* between the time of the machine's values and of the window */
#define CONFIDENCE_95    0.975
#define MOST_HALF_WIDTH  0.1 /* of an exponent that is worth using */
#define SILENCE_S        30.0

/* What a window showed of one package, or of memory. */
struct window {
        double load, watts, others; /* others: busy CPUs beside ours */
};

struct calibration {
        const struct options *options;
        bool gamma; /* else delta */
        struct connection *connection;
        struct follow follow;
        struct signals signals;
        struct calibration_load *load;     /* gamma's */
        struct calibration_memory *memory; /* delta's */
        struct progress progress;
        double period_s;
        unsigned int windows, nsteps, step, window; /* the present ones, from 0 */
        double settled_s;           /* time of day when the present load was there */
        struct window *taken;       /* of the present step, by group and window */
        double others_s, rest_s;    /* at rest: CPU time of others, and for how long */
        struct power_point *points; /* medians: one a step and group */
        size_t npoints;
        int sockets[POWER_FIT_MAX_GROUPS]; /* by group */
        unsigned int ngroups;
        bool growing; /* the present step's memory is not all there yet */
};

/* ---- loads ---- */

/* None, parts of one, which tell the law, and then whole cores. */
static double cores_of_step(const struct calibration *k, unsigned int step)
{
        unsigned int whole = k->nsteps - PART_STEPS; /* steps with whole cores, none included */

        if (step > 0 && step < PART_STEPS + 1)
                return (double)step / (PART_STEPS + 1);
        if (step > PART_STEPS)
                step -= PART_STEPS;
        return round((double)calibration_load_cores(k->load) * step / (whole - 1));
}

static void begin_step(struct calibration *k)
{
        if (k->gamma)
                calibration_load_set(k->load, cores_of_step(k, k->step));
        k->growing = !k->gamma;
        k->window = 0;
        k->settled_s = k->growing ? INFINITY : clock_realtime_s();
}

static int say_memory_is_short(void)
{
        text_message(
                "others have taken memory meanwhile: less than a quarter of what was available "
                "is left; what calibration had taken is free again, and nothing was changed");
        return STATUS_FAILED;
}

/* A piece of the present step's memory: between two of them signals and the stream are looked at.
 */
static int grow(struct calibration *k)
{
        size_t bytes = calibration_memory_most(k->memory) / (k->nsteps - 1) * k->step;
        int r = calibration_memory_grow(k->memory, bytes);

        if (r < 0)
                return say_memory_is_short();
        if (r == 0) {
                k->growing = false;
                k->settled_s = clock_realtime_s();
        }
        return STATUS_OK;
}

/* ---- windows ---- */

static struct window *window_of(const struct calibration *k, unsigned int group)
{
        return &k->taken[(size_t)group * k->windows + k->window];
}

static int by_others(const void *a, const void *b)
{
        const struct window *x = a, *y = b;

        return (x->others > y->others) - (x->others < y->others);
}

/*
 * The step's windows are there: a point is the median of those in which others did least, a quarter
 * of all.  How a burst of somebody else's and a steady load add up is in neither law of the fit.
 */
static void end_step(struct calibration *k)
{
        size_t quiet = (k->windows + QUIET_PART - 1) / QUIET_PART;
        double loads[MOST_WINDOWS], watts[MOST_WINDOWS];

        k->window = 0;
        for (unsigned int group = 0; group < k->ngroups && k->npoints < MAX_POINTS; group++) {
                struct window *windows = window_of(k, group);

                qsort(windows, k->windows, sizeof(windows[0]), by_others);
                for (size_t i = 0; i < quiet; i++) {
                        loads[i] = windows[i].load;
                        watts[i] = windows[i].watts;
                }
                k->points[k->npoints++] = (struct power_point){
                        .group = group,
                        .load = statistics_median(loads, quiet),
                        .watts = statistics_median(watts, quiet)};
        }
}

/* false: a package was not read. */
static bool add_packages(struct calibration *k, const json_t *report, double seconds)
{
        json_t *sockets = json_object_get(report, "sockets"), *socket;
        size_t i;

        json_array_foreach(sockets, i, socket)
        {
                double joules = report_number(socket, "machine", "package_j"), busy;

                if (i == POWER_FIT_MAX_GROUPS || isnan(joules))
                        return false;
                k->sockets[i] = (int)report_integer(socket, "socket");
                busy = report_number(socket, NULL, "busy_s");
                *window_of(k, (unsigned int)i) = (struct window){
                        .load = busy / seconds,
                        .watts = joules / seconds,
                        .others = (busy - report_number(socket, NULL, "cpu_s")) / seconds};
        }
        k->ngroups = (unsigned int)i;
        return i > 0;
}

/* The sockets with a dram domain and memory behind it, which have to be the same throughout. */
static bool add_dram(struct calibration *k, const json_t *report, double seconds)
{
        json_t *sockets = json_object_get(report, "sockets"), *socket;
        bool first = k->npoints == 0 && k->window == 0;
        unsigned int group = 0;
        size_t i;

        json_array_foreach(sockets, i, socket)
        {
                double joules = report_number(socket, "machine", "dram_j");
                int number = (int)report_integer(socket, "socket");
                double gib = calibration_memory_used_gib(k->memory, number);

                if (isnan(joules) || isnan(gib))
                        continue;
                if (group == POWER_FIT_MAX_GROUPS || (!first && k->sockets[group] != number))
                        return false;
                k->sockets[group] = number;
                *window_of(k, group++) = (struct window){
                        .load = gib,
                        .watts = joules / seconds,
                        .others = (report_number(socket, NULL, "busy_s") -
                                   report_number(socket, NULL, "cpu_s")) /
                                  seconds};
        }
        if (first)
                k->ngroups = group;
        return group > 0 && group == k->ngroups;
}

/* At rest: what do others use? */
static void count_others(struct calibration *k, const json_t *report, double seconds)
{
        json_t *sockets = json_object_get(report, "sockets"), *socket;
        size_t i;

        k->rest_s += seconds;
        k->others_s -= report_number(report, NULL, "cpu_s");
        json_array_foreach(sockets, i, socket) k->others_s += report_number(socket, NULL, "busy_s");
}

static int check_others(const struct calibration *k)
{
        double others = k->others_s / k->rest_s, cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

        if (others <= MAX_OTHERS * cpus || k->options->force)
                return STATUS_OK;
        text_message("the machine is not at rest: others keep %.2f of %.0f CPUs busy (at most %.0f "
                     "%%); see 'energat top', stop what runs, or use --force",
                     others, cpus, 100 * MAX_OTHERS);
        return STATUS_FAILED;
}

static int say_who_may(void)
{
        text_message("calibration needs the machine's energy in short windows, which only root and "
                     "members of the group in access.group (energat) may see: run it with sudo, or "
                     "have an administrator add you to that group");
        return STATUS_FAILED;
}

/* One interval of the stream. */
static int take_window(struct calibration *k)
{
        const json_t *report = k->follow.last;
        double seconds = report_number(report, NULL, "duration_s");
        bool complete;

        if (report_estimated(report)) {
                text_message("there is no energy meter to calibrate: energy is estimated");
                return STATUS_FAILED;
        }
        if (!(seconds > 0) || report_number(report, NULL, "time") - seconds < k->settled_s)
                return STATUS_OK; /* the load changed in it */
        if (fabs(report_machine_s(report) - seconds) > WINDOW_TOLERANCE * seconds)
                return say_who_may();
        if (k->step == 0)
                count_others(k, report, seconds);
        if (!k->gamma && calibration_memory_check(k->memory) < 0)
                return say_memory_is_short();
        complete = k->gamma ? add_packages(k, report, seconds) : add_dram(k, report, seconds);
        if (!complete) {
                const char *reason = report_string(json_object_get(report, "reasons"), "dram");

                text_message("%s could not be read: %s", k->gamma ? "a package" : "dram",
                             k->gamma || !reason[0] ? "see 'energat check'" : reason);
                return STATUS_FAILED;
        }
        progress_show(&k->progress, k->step * (size_t)k->windows + ++k->window);
        if (k->window < k->windows)
                return STATUS_OK;
        end_step(k);
        if (k->gamma && k->step == 0) {
                int r = check_others(k);

                if (r != STATUS_OK)
                        return r;
        }
        if (++k->step < k->nsteps)
                begin_step(k);
        return STATUS_OK;
}

/* The stream did not begin. */
static int refused(const struct calibration *k, int error)
{
        if (error == -EREMOTEIO &&
            strcmp(connection_error_name(k->follow.connection), "io.energat.Denied") == 0)
                return say_who_may();
        return command_failed(k->follow.connection, k->options, error);
}

/* All windows.  STATUS_SIGNAL + number: interrupted. */
static int take_all(struct calibration *k)
{
        struct pollfd fds[2] = {{.events = POLLIN}, {.fd = k->signals.fd, .events = POLLIN}};

        while (k->step < k->nsteps) {
                uint64_t limit_ns = k->follow.heard_ns +
                                    (uint64_t)((SILENCE_S + 2 * k->period_s) * (double)NS_PER_S);
                struct signalfd_siginfo info;
                int r;

                fds[0].fd = follow_fd(&k->follow);
                if (poll(fds, 2, k->growing ? 0 : clock_poll_timeout_ms(limit_ns)) < 0 &&
                    errno != EINTR)
                        return STATUS_FAILED;
                if (signals_read(&k->signals, &info) > 0)
                        return STATUS_SIGNAL + (int)info.ssi_signo;
                r = follow_next(&k->follow);
                if (r == FOLLOW_INTERVAL) {
                        r = take_window(k);
                        if (r != STATUS_OK)
                                return r;
                } else if (r == FOLLOW_FINAL || (r < 0 && r != -EAGAIN)) {
                        if (k->follow.attached)
                                text_message("energatd has gone away: %s", k->follow.lost);
                        return k->follow.attached ? STATUS_NO_DAEMON : refused(k, r);
                } else if (clock_now_ns() > limit_ns) {
                        text_message("energatd says nothing any more");
                        return STATUS_NO_DAEMON;
                } else if (k->growing && r != FOLLOW_ATTACHED) { /* all that came is read */
                        r = grow(k);
                        if (r != STATUS_OK)
                                return r;
                }
        }
        return STATUS_OK;
}

/* ---- the result ---- */

/* Half-width of a 95 % confidence interval. */
static double half_width(const struct power_fit *fit, double error)
{
        return fit->freedom >= 1 ? error * gsl_cdf_tdist_Pinv(CONFIDENCE_95, fit->freedom) : NAN;
}

static json_t *result_json(const struct calibration *k, const struct power_fit *fit,
                           const char *written)
{
        json_t *points = json_array(), *domains = json_array();

        for (unsigned int i = 0; i < fit->ngroups; i++)
                json_array_append_new(domains,
                                      json_pack("{s:o, s:o, s:o, s:o}", "socket",
                                                json_integer(k->sockets[i]), "base_w",
                                                number_json(fit->base_w[i]), "base_half_width_w",
                                                number_json(half_width(fit, fit->base_error_w[i])),
                                                "slope_w", number_json(fit->slope_w[i])));
        for (size_t i = 0; i < k->npoints; i++) {
                const struct power_point *p = &k->points[i];

                json_array_append_new(points,
                                      json_pack("{s:i, s:f, s:f, s:f}", "domain", (int)p->group,
                                                "load", p->load, "power_w", p->watts, "fitted_w",
                                                power_fit_watts(fit, p->group, p->load)));
        }
        return json_pack("{s:s, s:f, s:o, s:s, s:f, s:o, s:o, s:o}", "exponent",
                         k->gamma ? "gamma" : "delta", "value", fit->exponent, "half_width",
                         number_json(half_width(fit, fit->exponent_error)), "law",
                         fit->law == POWER_SMOOTH ? "smooth" : "polygon", "residual_w",
                         fit->residual_w, "domains", domains, "points", points, "written",
                         written ? json_string(written) : json_null());
}

static void print_points(const struct calibration *k, const struct power_fit *fit)
{
        char measured[TEXT_NUMBER_MAX], fitted[TEXT_NUMBER_MAX];

        printf("  %-8s %12s %12s %12s\n", "socket", k->gamma ? "busy CPUs" : "GiB", "measured",
               "fitted");
        for (size_t i = 0; i < k->npoints; i++) {
                const struct power_point *p = &k->points[i];

                printf("  %-8d %12.2f %12s %12s\n", k->sockets[p->group], p->load,
                       text_quantity(measured, p->watts, "W"),
                       text_quantity(fitted, power_fit_watts(fit, p->group, p->load), "W"));
        }
}

/* Is the fit good enough to be used? */
static bool is_trusted(const struct power_fit *fit)
{
        for (unsigned int i = 0; i < fit->ngroups; i++)
                if (fit->base_w[i] < 0)
                        return false;
        return half_width(fit, fit->exponent_error) <= MOST_HALF_WIDTH;
}

static void print_result(const struct calibration *k, const struct power_fit *fit,
                         const char *written)
{
        const char *name = k->gamma ? "gamma" : "delta";
        char base[TEXT_NUMBER_MAX], width[TEXT_NUMBER_MAX];

        print_points(k, fit);
        printf("\n%s %.3f", name, fit->exponent);
        if (isfinite(half_width(fit, fit->exponent_error)))
                printf(" +- %.3f (95 %% confidence)", half_width(fit, fit->exponent_error));
        printf("\n");
        for (unsigned int i = 0; i < fit->ngroups; i++) {
                printf("base power of %ssocket %d %s", k->gamma ? "" : "the dram of ",
                       k->sockets[i], text_quantity(base, fit->base_w[i], "W"));
                if (isfinite(half_width(fit, fit->base_error_w[i])))
                        printf(" +- %s",
                               text_quantity(width, half_width(fit, fit->base_error_w[i]), "W"));
                printf("\n");
        }
        if (k->gamma)
                printf("between whole cores the curve is %s\n",
                       fit->law == POWER_SMOOTH ? "smooth" : "straight");
        printf("off the curve by %s on average\n", text_quantity(base, fit->residual_w, "W"));
        if (written) {
                fputs("written to ", stdout);
                text_print_safe(stdout, written);
                puts("; in force after 'systemctl reload energatd'");
        } else if (is_trusted(fit)) {
                printf("nothing was changed: --write puts it into the configuration, or --%s %.3f "
                       "uses it once\n",
                       name, fit->exponent);
        }
}

static int finish(const struct calibration *k)
{
        const char *written = NULL;
        struct power_fit fit;
        char value[32], why[512];
        int r = k->gamma ? power_fit_cores(&fit, k->points, k->npoints)
                         : power_fit(&fit, k->points, k->npoints, POWER_SMOOTH, NULL);

        if (r < 0) {
                text_message(r == -ERANGE
                                     ? "power does not grow with the load: there is no curve to fit"
                                     : "too few loads that differ: a curve needs three, so at "
                                       "least two cores, at rest to begin with");
                return STATUS_FAILED;
        }
        if (!is_trusted(&fit)) {
                text_message("the fit is too uncertain to be used (at most +- %.1f); calibrate a "
                             "machine that is at rest, or with more --windows",
                             MOST_HALF_WIDTH);
                r = -ERANGE;
        } else if (k->options->write_config) {
                written = k->options->output ? k->options->output : DEFAULT_CONFIG;
                snprintf(value, sizeof(value), "%.3f", fit.exponent);
                if (config_edit(written, "model", k->gamma ? "gamma" : "delta", value, why,
                                sizeof(why)) < 0) {
                        text_message("%s; the result follows", why);
                        written = NULL;
                        r = -EIO;
                }
        }
        if (k->options->json) {
                json_auto_t *result = result_json(k, &fit, written);
                int status = command_print_json(result);

                return r < 0 ? STATUS_FAILED : status;
        }
        print_result(k, &fit, written);
        return r < 0 ? STATUS_FAILED : command_finish_output();
}

/* ---- life ---- */

static int prepare(struct calibration *k)
{
        const struct options *o = k->options;
        static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
        int r;

        k->period_s = o->given & OPTION_BASE_PERIOD ? o->base_period_s : DEFAULT_PERIOD_S;
        k->windows = o->given & OPTION_WINDOWS ? (unsigned int)o->windows : DEFAULT_WINDOWS;
        k->points = calloc(MAX_POINTS, sizeof(k->points[0]));
        k->taken = calloc((size_t)k->windows * POWER_FIT_MAX_GROUPS, sizeof(k->taken[0]));
        r = !k->points || !k->taken ? -ENOMEM
            : k->gamma              ? calibration_load_new(&k->load)
                                    : calibration_memory_new(&k->memory, "");
        if (r == 0)
                r = signals_open(&k->signals, wanted, sizeof(wanted) / sizeof(wanted[0]));
        if (r < 0) {
                text_message("cannot %s: %s",
                             k->gamma ? "make the load"
                                      : "reserve half of the available memory, on all nodes alike",
                             strerror(-r));
                return STATUS_FAILED;
        }
        if (k->gamma) {
                k->nsteps = calibration_load_cores(k->load) + 1;
                if (k->nsteps > MOST_CORE_STEPS)
                        k->nsteps = MOST_CORE_STEPS;
                k->nsteps += PART_STEPS;
        } else {
                k->nsteps = MEMORY_STEPS;
        }
        return STATUS_OK;
}

static int measure(struct calibration *k)
{
        struct follow_options follow = {
                .name = "calibrate", .interval_s = k->period_s, .gamma = NAN, .delta = NAN};
        int r;

        r = command_connect(&k->connection, k->options);
        if (r != STATUS_OK)
                return r;
        r = follow_start(&k->follow, &k->connection, k->options->socket, getpid(), &follow);
        if (r < 0)
                return command_failed(k->connection, k->options, r);
        progress_begin(&k->progress, "window", (size_t)k->nsteps * k->windows);
        begin_step(k);
        r = take_all(k);
        progress_clear(&k->progress);
        if (r > STATUS_SIGNAL)
                text_message("interrupted: nothing was changed");
        return r;
}

static int calibrate(const struct options *options)
{
        struct calibration k = {
                .options = options, .gamma = options->fit_gamma, .signals = SIGNALS_NONE};
        int r;

        if (options->fit_gamma == options->fit_delta) {
                text_message("calibrate what: --gamma or --delta?");
                return STATUS_USAGE;
        }
        r = prepare(&k);
        if (r == STATUS_OK)
                r = measure(&k);
        calibration_load_free(k.load);
        calibration_memory_free(k.memory);
        if (r == STATUS_OK)
                r = finish(&k);
        follow_deinit(&k.follow);
        connection_close(k.connection);
        signals_close(&k.signals);
        free(k.points);
        free(k.taken);
        return r;
}

const struct command command_calibrate = {
        .name = "calibrate",
        .is_verb = true,
        .options = OPTION_FIT_GAMMA | OPTION_FIT_DELTA | OPTION_SOCKET | OPTION_FORMAT |
                   OPTION_BASE_PERIOD | OPTION_WINDOWS | OPTION_FORCE | OPTION_WRITE |
                   OPTION_OUTPUT | OPTION_RAPL_PERIOD,
        .usage = "calibrate --gamma|--delta [--base-period S] [--windows N] [--force] [--write]",
        .summary = "fit this machine's own gamma or delta",
        .details = "--gamma makes core after core busy, --delta takes memory step by step; a curve "
                   "is\n"
                   "then fitted to the power of packages or dram.  The machine should be at rest.\n"
                   "Nothing is changed unless --write puts the result into " DEFAULT_CONFIG ",\n"
                   "or into the file of --output.\n",
        .example = "  sudo energat calibrate --gamma\n",
        .run = calibrate,
};
