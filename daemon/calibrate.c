/* SPDX-License-Identifier: MIT */
/*
 * Calibrate: the idle machine's power, as the median over windows.
 *
 * All of it happens in the server's thread, from copies of the sampler's sums taken at the ends of
 * each window; the tick does not know that it is being used for this.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "calibrate.h"
#include "clock.h"
#include "idle_windows.h"
#include "log.h"
#include "report_json.h"
#include "server.h"

#define DEFAULT_PERIOD_S  2.0
#define ONLINE_DEFAULT_S  120.0 /* what the learner looks back on */
#define DEFAULT_WINDOWS   5
#define MAX_WINDOWS       1000
#define MAX_PERIOD_S      3600.0
#define TIMER_ACCURACY_US 1000
#define NS_PER_US         1000ull
#define BUSIEST           3

struct busy_process {
        char comm[PROCESS_COMM_MAX];
        pid_t pid;
        uint64_t cpu_ns;
};

struct calibration {
        struct server *server;
        struct call *call; /* NULL: the peer has gone */
        sd_event_source *timer;
        struct letter take, taken; /* a copy of the sums */
        bool taking;
        double period_s;
        unsigned int windows;
        bool force, have_start;
        uint64_t *sums, *sums_start; /* by the sampler, and at the window's start */
        uint64_t now_ns, start_ns;
        struct busy_process *processes, *processes_start; /* now, and at the beginning, by pid */
        size_t nprocesses, nprocesses_start, max_processes;
        struct idle_windows figures;
};

static struct calibration *calibration_of(struct letter *letter, size_t offset)
{
        return (struct calibration *)(void *)((char *)letter - offset);
}

static void calibration_free(struct calibration *k)
{
        k->server->calibration = NULL;
        sd_event_source_disable_unref(k->timer);
        idle_windows_deinit(&k->figures);
        free(k->sums);
        free(k->sums_start);
        free(k->processes);
        free(k->processes_start);
        free(k);
}

static void calibration_end(struct calibration *k)
{
        if (!k->taking)
                calibration_free(k);
}

static void on_gone(struct call *call)
{
        struct calibration *k = call->state;

        call_free(call);
        k->call = NULL;
        sd_event_source_disable_unref(k->timer);
        k->timer = NULL;
        calibration_end(k);
}

static void fail(struct calibration *k, const char *reason)
{
        struct call *call = k->call;

        calibration_end(k);
        call_error(call, "io.energat.Failed", json_pack("{s:s}", "reason", reason));
}

/* ---- in the sampler ---- */

#define ENDED_PID 0 /* no process has it: all those that have ended */

static void note_busy(const struct process *p, void *arg)
{
        struct calibration *k = arg;
        uint64_t ns = 0;

        for (unsigned int slot = 0; slot <= k->server->topology->nslots; slot++)
                ns += p->cpu_ns[slot];
        if (k->nprocesses == k->max_processes)
                return;
        k->processes[k->nprocesses] = (struct busy_process){.pid = p->pid, .cpu_ns = ns};
        memcpy(k->processes[k->nprocesses++].comm, p->comm, sizeof(p->comm));
}

/* A compiler's many short processes keep a machine busy, and are nowhere to be found. */
static void note_ended(const struct processes *ps, struct calibration *k)
{
        struct busy_process *ended = &k->processes[k->nprocesses++];

        *ended = (struct busy_process){.pid = ENDED_PID};
        for (unsigned int slot = 0; slot <= k->server->topology->nslots; slot++) {
                ended->cpu_ns += ps->exited.cpu_ns[slot];
                for (const struct process *p = ps->graveyard; p; p = p->next_sibling)
                        ended->cpu_ns += p->cpu_ns[slot];
        }
}

static void run_take(struct letter *letter)
{
        struct calibration *k = calibration_of(letter, offsetof(struct calibration, take));
        const struct processes *ps = sampler_processes(k->server->sampler);
        const struct accounts *a = sampler_accounts(k->server->sampler);
        uint64_t started_ns;
        const uint64_t *sums = sampler_sums(k->server->sampler, &k->now_ns, &started_ns);

        memcpy(k->sums, sums, a->nsums * sizeof(*sums));
        k->nprocesses = 0;
        note_ended(ps, k);
        processes_each(ps, note_busy, k);
        mailbox_push(&k->server->mailbox, &k->taken);
}

static void take(struct calibration *k)
{
        k->taking = true;
        sampler_post(k->server->sampler, &k->take);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        (void)source;
        (void)usec;
        take(userdata);
        return 0;
}

/* ---- figures ---- */

json_t *calibration_json(const char *event, unsigned int window, unsigned int windows,
                         const struct baseline *b, double busy_percent, const char *lacking,
                         const char *path)
{
        return json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:s?, s:s?}", "event", event,
                         "window", (int)window, "windows", (int)windows, "package_w",
                         json_watts(b->package_w, b->nsockets), "dram_w",
                         json_watts(b->dram_w, b->nsockets), "package_half_width_w",
                         json_watts(b->package_half_width_w, b->nsockets), "dram_half_width_w",
                         json_watts(b->dram_half_width_w, b->nsockets), "busy_percent",
                         json_number_if(!isnan(busy_percent), busy_percent), "lacking", lacking,
                         "path", path);
}

static int by_cpu_time(const void *a, const void *b)
{
        const struct busy_process *x = a, *y = b;

        return (x->cpu_ns < y->cpu_ns) - (x->cpu_ns > y->cpu_ns);
}

static int by_pid(const void *a, const void *b)
{
        const struct busy_process *x = a, *y = b;

        return (x->pid > y->pid) - (x->pid < y->pid);
}

static void subtract(uint64_t *ns, uint64_t less)
{
        *ns -= less < *ns ? less : *ns;
}

/* What each process used since the beginning, most first. */
static void sort_by_use(struct calibration *k)
{
        struct busy_process *now = k->processes;

        qsort(now, k->nprocesses, sizeof(*now), by_pid); /* ENDED_PID is in front */
        for (size_t i = 0; i < k->nprocesses_start; i++) {
                const struct busy_process *then = &k->processes_start[i];
                struct busy_process *same = bsearch(then, now, k->nprocesses, sizeof(*now), by_pid);

                if (!same || same->cpu_ns < then->cpu_ns) /* the pid is another's by now */
                        same = &now[0];
                subtract(&same->cpu_ns, then->cpu_ns);
        }
        qsort(now, k->nprocesses, sizeof(*now), by_cpu_time);
}

/* The first socket that is not at rest; -1: all are. */
static int busy_socket(struct calibration *k)
{
        for (unsigned int i = 0; i < k->figures.accounts->nsockets; i++)
                if (idle_windows_busy_cpus(&k->figures, i) > idle_windows_allowed(&k->figures, i))
                        return (int)i;
        return -1;
}

static void refuse_busy(struct calibration *k, unsigned int socket)
{
        double busy = idle_windows_busy_cpus(&k->figures, socket);
        double allowed = idle_windows_allowed(&k->figures, socket);
        double busy_percent = 100 * busy / fmax(1, k->figures.ncpus[socket]);
        double total_s = k->period_s * k->windows;
        struct call *call = k->call;
        json_t *names = json_array();
        char text[128], reason[256];

        sort_by_use(k);
        for (size_t i = 0; i < k->nprocesses && i < BUSIEST && k->processes[i].cpu_ns; i++) {
                double percent = 100 * (double)k->processes[i].cpu_ns / NS_PER_S / total_s;

                if (k->processes[i].pid == ENDED_PID)
                        snprintf(text, sizeof(text), "processes that have ended: %.1f %% of a CPU",
                                 percent);
                else
                        snprintf(text, sizeof(text), "%s (%d): %.1f %% of a CPU",
                                 k->processes[i].comm, k->processes[i].pid, percent);
                json_array_append_new(names, json_name(text));
        }
        snprintf(reason, sizeof(reason),
                 "the machine is not idle: of the %u CPUs of socket %d, %.2f are busy (at most "
                 "%.2f); stop what runs, or measure all the same with --force",
                 k->figures.ncpus[socket], k->server->topology->sockets[socket], busy, allowed);
        calibration_end(k);
        call_error(call, "io.energat.Busy",
                   json_pack("{s:f, s:o, s:s}", "busy_percent", busy_percent, "processes", names,
                             "reason", reason));
}

/* ---- the end ---- */

/* What has no figure must not take the place of a file that may have one. */
static void refuse_unread(struct calibration *k, unsigned int account)
{
        const struct domain *domains;
        char reason[256];

        (void)meter_domains(sampler_meter(k->server->sampler), &domains);
        snprintf(reason, sizeof(reason),
                 "%s could not be read all the time in any of %u windows: nothing was changed; see "
                 "'energat --check'",
                 domains[k->figures.accounts->all[account].domain].label, k->windows);
        fail(k, reason);
}

/* Dram that was never known does not keep the packages from being calibrated. */
static const char *left_out(const struct calibration *k, const struct baseline *b, char *text,
                            size_t size)
{
        const struct domain *domains;
        int unread = idle_windows_unread(&k->figures, ENERGY_DRAM, b, NULL);

        if (unread < 0)
                return NULL;
        (void)meter_domains(sampler_meter(k->server->sampler), &domains);
        snprintf(text, size, "%s could not be read all the time in any of %u windows",
                 domains[k->figures.accounts->all[unread].domain].label, k->windows);
        log_warning("the new baseline lacks dram: %s", text);
        return text;
}

static void finish(struct calibration *k)
{
        struct call *call = k->call;
        double busy_percent = idle_windows_median_percent(&k->figures);
        struct baseline b;
        const char *lacking;
        char text[256];
        int unread, busy = busy_socket(k);

        baseline_begin(&b, k->server, BASELINE_IDLE);
        b.period_s = k->period_s;
        b.windows = k->windows;
        idle_windows_base(&k->figures, &b);
        unread = idle_windows_unread(&k->figures, ENERGY_PACKAGE, &b, NULL);
        if (unread < 0 && k->server->baseline)
                unread = idle_windows_unread(&k->figures, ENERGY_DRAM, &b, k->server->baseline);
        if (unread >= 0) {
                refuse_unread(k, (unsigned int)unread);
                return;
        }
        if (busy >= 0 && !k->force) {
                refuse_busy(k, (unsigned int)busy);
                return;
        }
        lacking = left_out(k, &b, text, sizeof(text));
        calibration_end(k);
        baseline_keep(call, &b, busy_percent, lacking);
}

static int take_after(struct calibration *k, uint64_t us)
{
        sd_event_source_disable_unref(k->timer);
        k->timer = NULL;
        return sd_event_add_time_relative(k->server->event, &k->timer, CLOCK_MONOTONIC, us,
                                          TIMER_ACCURACY_US, on_timer, k);
}

static int next_window(struct calibration *k)
{
        memcpy(k->sums_start, k->sums,
               sampler_accounts(k->server->sampler)->nsums * sizeof(uint64_t));
        k->start_ns = k->now_ns;
        return take_after(k, (uint64_t)(k->period_s * 1e6));
}

/* Of the window that ended now. */
static void tell_window(struct calibration *k)
{
        struct baseline b;

        baseline_blank(&b, k->figures.accounts->nsockets);
        for (unsigned int i = 0; i < b.nsockets; i++) {
                b.package_w[i] = idle_windows_power_w(&k->figures, ENERGY_PACKAGE, i);
                b.dram_w[i] = idle_windows_power_w(&k->figures, ENERGY_DRAM, i);
        }
        call_reply(k->call,
                   calibration_json("window", k->figures.n, k->windows, &b,
                                    idle_windows_busy_percent(&k->figures), NULL, NULL),
                   true);
}

static void on_taken(struct letter *letter)
{
        struct calibration *k = calibration_of(letter, offsetof(struct calibration, taken));
        int r;

        k->taking = false;
        if (!k->call) {
                calibration_free(k);
                return;
        }
        if (k->have_start) {
                if (k->now_ns == k->start_ns) { /* no tick since */
                        r = take_after(k, k->server->config->tick_ns / NS_PER_US);
                        if (r < 0)
                                fail(k, strerror(-r));
                        return;
                }
                idle_windows_add(&k->figures, k->sums, k->sums_start,
                                 (double)(k->now_ns - k->start_ns) / NS_PER_S);
                if (k->call->more) {
                        tell_window(k);
                        if (!k->server->calibration) /* the peer was dropped, and k with it */
                                return;
                }
                if (k->figures.n == k->windows) {
                        finish(k);
                        return;
                }
        }
        if (!k->have_start) {
                struct busy_process *processes = k->processes;

                k->processes = k->processes_start;
                k->processes_start = processes;
                k->nprocesses_start = k->nprocesses;
                k->have_start = true;
        }
        r = next_window(k);
        if (r < 0)
                fail(k, strerror(-r));
}

/* An optional number; absent and null leave what is in `value`.  false: it is there and none. */
static bool get_positive(const json_t *parameters, const char *name, double most, double *value)
{
        const json_t *v = json_object_get(parameters, name);

        if (!v || json_is_null(v))
                return true;
        if (!json_is_number(v))
                return false;
        *value = json_number_value(v);
        return isfinite(*value) && *value > 0 && *value <= most;
}

/* An optional truth value.  false: it is there and none. */
static bool get_bool(const json_t *parameters, const char *name, bool *value)
{
        const json_t *v = json_object_get(parameters, name);

        if (!v || json_is_null(v))
                return true;
        *value = json_is_true(v);
        return json_is_boolean(v);
}

static int allocate(struct calibration *k)
{
        const struct accounts *a = sampler_accounts(k->server->sampler);

        k->max_processes = 65536;
        k->sums = calloc(a->nsums, sizeof(*k->sums));
        k->sums_start = calloc(a->nsums, sizeof(*k->sums_start));
        k->processes = calloc(k->max_processes, sizeof(*k->processes));
        k->processes_start = calloc(k->max_processes, sizeof(*k->processes));
        if (!k->processes_start || !k->sums || !k->sums_start || !k->processes)
                return -ENOMEM;
        return idle_windows_init(&k->figures, a, k->server->topology, k->windows);
}

void method_calibrate(struct call *call)
{
        struct server *s = call->server;
        double period_s = NAN, windows = DEFAULT_WINDOWS;
        bool force = false, online = false;
        struct calibration *k;
        struct denial denial;

        access_administer(&denial, s->config, call_peer(call), "calibrate");
        if (denial.rule) {
                call_denied(call, &denial);
                return;
        }
        if (!get_positive(call->parameters, "period_s", MAX_PERIOD_S, &period_s) ||
            period_s < (double)s->config->tick_ns / NS_PER_S) {
                call_invalid_parameter(call, "period_s");
                return;
        }
        if (!get_positive(call->parameters, "windows", MAX_WINDOWS, &windows) ||
            windows != floor(windows)) {
                call_invalid_parameter(call, "windows");
                return;
        }
        if (!get_bool(call->parameters, "force", &force)) {
                call_invalid_parameter(call, "force");
                return;
        }
        if (!get_bool(call->parameters, "online", &online)) {
                call_invalid_parameter(call, "online");
                return;
        }
        if (meter_known_base_w(sampler_meter(s->sampler),
                               sampler_accounts(s->sampler)->all[0].domain) >= 0) {
                call_error(
                        call, "io.energat.Failed",
                        json_pack("{s:s}", "reason",
                                  "there is no energy meter to calibrate: base power of source "
                                  "\"estimate\" is energy.estimate_idle_w of the configuration"));
                return;
        }
        if (online) {
                calibrate_online(call, isnan(period_s) ? ONLINE_DEFAULT_S : period_s);
                return;
        }
        if (s->calibration) {
                call_error(call, "io.energat.TooMany",
                           json_pack("{s:s, s:i}", "what", "calibrations at a time", "limit", 1));
                return;
        }
        k = calloc(1, sizeof(*k));
        if (!k) {
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
                return;
        }
        s->calibration = k;
        k->server = s;
        k->call = call;
        k->period_s = isnan(period_s) ? DEFAULT_PERIOD_S : period_s;
        k->windows = (unsigned int)windows;
        k->force = force;
        k->take.deliver = run_take;
        k->taken.deliver = on_taken;
        if (allocate(k) < 0) {
                fail(k, strerror(ENOMEM));
                return;
        }
        call->state = k;
        call->gone = on_gone;
        take(k);
}
