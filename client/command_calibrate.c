/* SPDX-License-Identifier: MIT */
/*
 * energat calibrate: the machine's own exponents of EnergAt's model.
 *
 * Gamma: cores are made busy step by step, in every package alike; delta: memory is taken step by
 * step, on all nodes alike.  At each step the power of many short windows is read off a Follow
 * stream of this very process, which has the busy time and the energy of each socket at the same
 * ticks.  A curve is then fitted to them (calibration_windows.h, power_fit.h).  Of cores all steps
 * are gone through again and again, up and down, so that what drifts meanwhile is in all of them
 * alike, until the curve is exact.  Nothing is changed unless --write asks for it.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "calibration_load.h"
#include "calibration_memory.h"
#include "calibration_result.h"
#include "calibration_windows.h"
#include "clock.h"
#include "command.h"
#include "config_edit.h"
#include "follow.h"
#include "power_fit.h"
#include "progress.h"
#include "report.h"
#include "signals.h"
#include "text.h"
#include "utilisation.h"

#define DEFAULT_CONFIG     "/etc/energat/energatd.conf"
#define DEFAULT_PERIOD_S   0.05 /* short, so that what others do in between shows in few of them */
#define ROUND_WINDOWS      40   /* at each load, before the next */
#define FEWEST_ROUNDS      3    /* few points can agree by chance */
#define DEFAULT_ROUNDS     16   /* at most */
#define MOST_CORE_STEPS    17   /* none, and 16 more: enough for a curve with one bend */
#define PART_STEPS         4    /* parts of a core, which tell the law and the base */
#define MEMORY_STEPS       9    /* base, slope and exponent take three */
#define MAX_OTHERS_PERCENT 5.0  /* of a socket's CPUs, kept busy by others on average at rest, */
#define MAX_OTHERS         0.5  /* and busy CPUs of a socket, however many it has */
#define WINDOW_TOLERANCE   0.02 /* between the time of the machine's values and of the window */
#define SILENCE_S          30.0

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
        unsigned int nsteps, most_windows, round_windows; /* of each step: in all, in a round */
        unsigned int round, turn, window;                 /* the present ones, from 0 */
        bool growing;        /* the present step's memory is not all there yet */
        uint64_t settled_ns; /* when the present load was there, CLOCK_MONOTONIC */
        struct calibration_windows *windows;
        struct calibration_window seen[POWER_FIT_MAX_GROUPS]; /* the last one, by group */
        double others_s[POWER_FIT_MAX_GROUPS], rest_s; /* at rest: others' CPU time, in that time */
        int sockets[POWER_FIT_MAX_GROUPS];             /* by group */
        unsigned int ngroups;
        struct power_point *points; /* what the curve is fitted to, and room for them */
        struct power_fit fit;
        int fitted; /* 0, or why there is none */
};

/* ---- loads ---- */

/* None, parts of one, and then whole cores. */
static double cores_of_step(const struct calibration *k, unsigned int step)
{
        static const double parts[PART_STEPS] = {0.125, 0.25, 0.5, 0.75};
        unsigned int whole = k->nsteps - PART_STEPS; /* steps with whole cores, none included */

        if (step == 0)
                return 0;
        if (step <= PART_STEPS)
                return parts[step - 1];
        return round((double)calibration_load_cores(k->load) * (step - PART_STEPS) / (whole - 1));
}

/* Up in one round, down in the next: the machine warms up and cools down evenly. */
static unsigned int present_step(const struct calibration *k)
{
        return k->round % 2 ? k->nsteps - 1 - k->turn : k->turn;
}

static void begin_step(struct calibration *k)
{
        if (k->gamma)
                calibration_load_set(k->load, cores_of_step(k, present_step(k)));
        k->growing = !k->gamma;
        k->window = 0;
        k->settled_ns = clock_now_ns();
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
        size_t bytes = calibration_memory_most(k->memory) / (k->nsteps - 1) * present_step(k);
        int r = calibration_memory_grow(k->memory, bytes);

        if (r < 0)
                return say_memory_is_short();
        if (r == 0) {
                k->growing = false;
                k->settled_ns = clock_now_ns();
        }
        return STATUS_OK;
}

/* ---- windows ---- */

/* The sockets that have cores for us.  false: a package was not read. */
static bool add_packages(struct calibration *k, const json_t *report, double seconds)
{
        json_t *sockets = json_object_get(report, "sockets"), *socket;
        unsigned int group = 0;
        size_t i;

        json_array_foreach(sockets, i, socket)
        {
                double joules = report_number(socket, "machine", "package_j"), busy;
                int number = (int)report_integer(socket, "socket");

                if (!calibration_load_has(k->load, number)) {
                        if (!k->windows)
                                text_message("socket %d is left out: none of its CPUs may be used "
                                             "here (taskset, cpuset)",
                                             number);
                        continue;
                }
                if (group == POWER_FIT_MAX_GROUPS || isnan(joules) ||
                    (k->windows && k->sockets[group] != number))
                        return false;
                k->sockets[group] = number;
                busy = report_number(socket, NULL, "busy_s");
                k->seen[group++] = (struct calibration_window){
                        .load = busy / seconds,
                        .watts = joules / seconds,
                        .others = (busy - report_number(socket, NULL, "cpu_s")) / seconds};
        }
        if (!k->windows)
                k->ngroups = group;
        return group > 0 && group == k->ngroups;
}

/* The sockets with a dram domain and memory behind it, which have to be the same throughout. */
static bool add_dram(struct calibration *k, const json_t *report, double seconds)
{
        json_t *sockets = json_object_get(report, "sockets"), *socket;
        unsigned int group = 0;
        size_t i;

        json_array_foreach(sockets, i, socket)
        {
                double joules = report_number(socket, "machine", "dram_j");
                int number = (int)report_integer(socket, "socket");
                double gib = calibration_memory_used_gib(k->memory, number);

                if (isnan(joules) || isnan(gib))
                        continue;
                if (group == POWER_FIT_MAX_GROUPS || (k->windows && k->sockets[group] != number))
                        return false;
                k->sockets[group] = number;
                k->seen[group++] = (struct calibration_window){
                        .load = gib,
                        .watts = joules / seconds,
                        .others = (report_number(socket, NULL, "busy_s") -
                                   report_number(socket, NULL, "cpu_s")) /
                                  seconds};
        }
        if (!k->windows)
                k->ngroups = group;
        return group > 0 && group == k->ngroups;
}

/* At rest: what do others use? */
static void count_others(struct calibration *k, double seconds)
{
        k->rest_s += seconds;
        for (unsigned int i = 0; i < k->ngroups; i++)
                k->others_s[i] += k->seen[i].others * seconds;
}

static int check_others(const struct calibration *k)
{
        struct utilisation *machine = NULL;
        int status = STATUS_OK;

        if (k->options->force)
                return STATUS_OK;
        if (utilisation_new(&machine, "/sys") < 0)
                machine = NULL; /* then by the number alone */
        for (unsigned int i = 0; i < k->ngroups && status == STATUS_OK; i++) {
                double busy = k->others_s[i] / k->rest_s;
                double percent = machine ? utilisation_cpu_percent(machine, k->sockets[i],
                                                                   k->others_s[i], k->rest_s)
                                         : NAN;

                if (busy <= MAX_OTHERS && !(percent > MAX_OTHERS_PERCENT))
                        continue;
                text_message("the machine is not at rest: others keep %.2f CPUs of socket %d busy "
                             "(at most %.1f, and %.0f %% of the socket); see 'energat top', stop "
                             "what runs, or use --force",
                             busy, k->sockets[i], MAX_OTHERS, MAX_OTHERS_PERCENT);
                status = STATUS_FAILED;
        }
        utilisation_free(machine);
        return status;
}

static int say_who_may(void)
{
        text_message("calibration needs the machine's energy in short windows, which only root and "
                     "members of the group in access.group (energat) may see: run it with sudo, or "
                     "have an administrator add you to that group");
        return STATUS_FAILED;
}

/* The number of domains is known with the first window. */
static int keep_window(struct calibration *k)
{
        if (!k->windows) {
                size_t points = (size_t)k->nsteps * k->ngroups * k->most_windows / k->round_windows;
                int r = calibration_windows_new(&k->windows, k->nsteps, k->ngroups,
                                                k->most_windows);

                k->points = r < 0 ? NULL : calloc(points, sizeof(k->points[0]));
                if (!k->points) {
                        text_message("cannot keep %u windows: out of memory", k->most_windows);
                        return STATUS_FAILED;
                }
        }
        calibration_windows_add(k->windows, present_step(k), k->seen);
        return STATUS_OK;
}

static void fit_curve(struct calibration *k)
{
        size_t n = calibration_windows_points(k->windows, k->round + 1, k->points);

        k->fitted = k->gamma ? power_fit_cores(&k->fit, k->points, n)
                             : power_fit(&k->fit, k->points, n, POWER_SMOOTH);
}

/* How many rounds it takes in all, as far as can be told: errors fall with the root of their
 * number.
 */
static unsigned int rounds_needed(const struct calibration *k)
{
        unsigned int most = k->most_windows / k->round_windows;
        double excess = k->fitted == 0 ? calibration_excess(&k->fit) : INFINITY;
        double needed = fmax(ceil((k->round + 1) * excess * excess), FEWEST_ROUNDS);

        if (k->fitted == 0 && k->fit.misfit && most > FEWEST_ROUNDS)
                return FEWEST_ROUNDS; /* the law is wrong, and stays so */

        return needed < most ? (unsigned int)needed : most;
}

static size_t windows_in(const struct calibration *k, unsigned int rounds)
{
        return (size_t)rounds * k->nsteps * k->round_windows;
}

/* All steps are through: is the curve known?  Else once more. */
static bool end_round(struct calibration *k)
{
        unsigned int rounds;

        fit_curve(k);
        rounds = rounds_needed(k);
        if (k->round + 1 >= rounds)
                return true;
        k->progress.total = windows_in(k, rounds);
        k->round++;
        k->turn = 0;
        return false;
}

static int end_step(struct calibration *k, bool *end)
{
        if (k->gamma && k->round == 0 && k->turn == 0) {
                int r = check_others(k);

                if (r != STATUS_OK)
                        return r;
        }
        *end = ++k->turn == k->nsteps && end_round(k);
        if (!*end)
                begin_step(k);
        return STATUS_OK;
}

/* Since when the present load is there, by the clock that reports have.  It can be set at any time:
 * it is looked at anew for each of them. */
static double settled_s(const struct calibration *k)
{
        return clock_realtime_s() - (double)(clock_now_ns() - k->settled_ns) / (double)NS_PER_S;
}

/* One interval of the stream.  *end: it was the last. */
static int take_window(struct calibration *k, bool *end)
{
        const json_t *report = k->follow.last;
        double seconds = report_number(report, NULL, "duration_s");
        bool complete;
        int r;

        if (report_estimated(report)) {
                text_message("there is no energy meter to calibrate: energy is estimated");
                return STATUS_FAILED;
        }
        if (k->growing || !(seconds > 0) ||
            report_number(report, NULL, "time") - seconds < settled_s(k))
                return STATUS_OK; /* the load changed in it */
        if (fabs(report_machine_s(report) - seconds) > WINDOW_TOLERANCE * seconds)
                return say_who_may();
        if (!k->gamma && calibration_memory_check(k->memory) < 0)
                return say_memory_is_short();
        complete = k->gamma ? add_packages(k, report, seconds) : add_dram(k, report, seconds);
        if (!complete) {
                const char *reason = report_string(json_object_get(report, "reasons"), "dram");

                text_message("%s could not be read: %s", k->gamma ? "a package" : "dram",
                             k->gamma || !reason[0] ? "see 'energat check'" : reason);
                return STATUS_FAILED;
        }
        r = keep_window(k);
        if (r != STATUS_OK)
                return r;
        if (k->round == 0 && k->turn == 0)
                count_others(k, seconds);
        progress_show(&k->progress,
                      ((size_t)k->round * k->nsteps + k->turn) * k->round_windows + ++k->window);
        return k->window < k->round_windows ? STATUS_OK : end_step(k, end);
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
        bool end = false;

        while (!end) {
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
                        r = take_window(k, &end);
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

/* Why there is no curve. */
static int say_no_curve(int error)
{
        text_message("%s", error == -ENOMEM ? "out of memory"
                           : error == -ERANGE
                                   ? "power does not grow with the load: there is no curve to fit"
                                   : "too few loads that differ: a curve needs three");
        return STATUS_FAILED;
}

static int write_exponent(const struct calibration *k, const char **written)
{
        const char *file = k->options->output ? k->options->output : DEFAULT_CONFIG;
        char value[32], why[512];

        snprintf(value, sizeof(value), "%.3f", k->fit.exponent);
        if (config_edit(file, "model", k->gamma ? "gamma" : "delta", value, why, sizeof(why)) < 0) {
                text_message("%s; the result follows", why);
                return STATUS_FAILED;
        }
        *written = file;
        return STATUS_OK;
}

static int finish(struct calibration *k)
{
        struct calibration_result result = {.gamma = k->gamma,
                                            .fit = k->fit,
                                            .sockets = k->sockets,
                                            .windows = (k->round + 1) * k->round_windows};
        int r = STATUS_OK, told = STATUS_OK;
        const char *doubt;

        if (k->fitted < 0)
                return say_no_curve(k->fitted);
        doubt = calibration_doubt(&k->fit);
        if (doubt) {
                text_message("the fit is not to be used: %s", doubt);
                r = STATUS_FAILED;
        } else if (k->options->write_config) {
                r = write_exponent(k, &result.written);
        }
        result.npoints = calibration_windows_points(k->windows, 1, k->points);
        result.points = k->points;
        if (k->options->json) {
                json_auto_t *object = calibration_json(&result);

                told = command_print_json(object);
        } else {
                calibration_print(&result);
                told = command_finish_output();
        }
        return r != STATUS_OK ? r : told;
}

/* ---- life ---- */

static int prepare(struct calibration *k)
{
        const struct options *o = k->options;
        static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
        int r;

        k->period_s = o->given & OPTION_BASE_PERIOD ? o->base_period_s : DEFAULT_PERIOD_S;
        /* Memory that was taken is not given back: one round. */
        k->most_windows = k->gamma ? DEFAULT_ROUNDS * ROUND_WINDOWS : ROUND_WINDOWS;
        if (o->given & OPTION_WINDOWS)
                k->most_windows = (unsigned int)o->windows;
        k->round_windows = k->gamma && k->most_windows > ROUND_WINDOWS ? ROUND_WINDOWS
                                                                       : k->most_windows;
        k->most_windows -= k->most_windows % k->round_windows;
        r = k->gamma ? calibration_load_new(&k->load) : calibration_memory_new(&k->memory, "");
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
        progress_begin(&k->progress, "window",
                       windows_in(k, k->most_windows < FEWEST_ROUNDS * k->round_windows
                                             ? k->most_windows / k->round_windows
                                             : FEWEST_ROUNDS));
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
                text_message("calibrate what: --gamma or --delta (one of them)?");
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
        calibration_windows_free(k.windows);
        free(k.points);
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
                   "--gamma goes on until its result is exact, for at most --windows at each load "
                   "(640).\n"
                   "Nothing is changed unless --write puts the result into " DEFAULT_CONFIG ",\n"
                   "or into the file of --output.\n",
        .example = "  sudo energat calibrate --gamma\n",
        .run = calibrate,
};
