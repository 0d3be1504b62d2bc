/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "baseline.h"
#include "config.h"
#include "hotplug.h"
#include "learn.h"
#include "log.h"
#include "memory.h"
#include "sampler.h"
#include "server.h"
#include "source_watch.h"

#define DEFAULT_CONFIG "/etc/energat/energatd.conf"
#define WHY_MAX        (CONFIG_PATH_MAX + 256)
#define EXIT_USAGE     2

static const char usage_text[] =
        "usage: energatd [--config FILE] [--socket PATH] [--state-dir DIR] [--powercap-root DIR]\n"
        "                [--source auto|powercap|perf|msr|hwmon|estimate]\n"
        "                [--log-level debug|info|notice|warning|err] [--version] [--help]\n";

enum { OPT_CONFIG = 256, OPT_SOCKET, OPT_STATE_DIR, OPT_POWERCAP_ROOT, OPT_SOURCE, OPT_LOG_LEVEL };

static const struct option options[] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"socket", required_argument, NULL, OPT_SOCKET},
        {"state-dir", required_argument, NULL, OPT_STATE_DIR},
        {"powercap-root", required_argument, NULL, OPT_POWERCAP_ROOT},
        {"source", required_argument, NULL, OPT_SOURCE},
        {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

/* The option that sets a key of the configuration, or NULL. */
static const char *key_of_option(int option)
{
        switch (option) {
        case OPT_SOCKET:
                return "server.socket";
        case OPT_STATE_DIR:
                return "server.state_dir";
        case OPT_POWERCAP_ROOT:
                return "energy.powercap_root";
        case OPT_SOURCE:
                return "energy.source";
        case OPT_LOG_LEVEL:
                return "server.log_level";
        default:
                return NULL;
        }
}

/* Messages of the parser, one log line each. */
static void log_messages(FILE *messages, int level)
{
        char line[CONFIG_PATH_MAX + 512];

        rewind(messages);
        while (fgets(line, sizeof(line), messages)) {
                line[strcspn(line, "\n")] = '\0';
                log_write(level, "%s", line);
        }
}

static int load_file(struct config *config, const char *path, bool must_exist)
{
        FILE *messages = tmpfile();
        int r;

        if (!messages)
                return -errno;
        r = config_load(config, path, messages);
        if (r == -ENOENT && !must_exist)
                r = 0;
        else
                log_messages(messages, r < 0 ? LOG_ERR : LOG_WARNING);
        fclose(messages);
        return r;
}

/* Defaults, then the file, then the options.  0, or the exit status + 1 to stop with. */
static int configure(struct config *config, int argc, char **argv)
{
        const char *path = NULL;
        char why[512];
        int option, r;

        config_defaults(config);
        while ((option = getopt_long(argc, argv, "Vh", options, NULL)) != -1) {
                switch (option) {
                case OPT_CONFIG:
                        path = optarg;
                        break;
                case 'V':
                        printf("energatd %s\n", ENERGAT_VERSION);
                        return EXIT_SUCCESS + 1;
                case 'h':
                        fputs(usage_text, stdout);
                        return EXIT_SUCCESS + 1;
                case '?':
                        fputs(usage_text, stderr);
                        return EXIT_USAGE + 1;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "energatd: unexpected argument \"%s\"\n%s", argv[optind],
                        usage_text);
                return EXIT_USAGE + 1;
        }
        r = load_file(config, path ? path : DEFAULT_CONFIG, path != NULL);
        if (r < 0)
                return EXIT_FAILURE + 1;
        optind = 0;
        while ((option = getopt_long(argc, argv, "Vh", options, NULL)) != -1) {
                const char *key = key_of_option(option);

                if (key && config_set(config, key, optarg, why, sizeof(why)) < 0) {
                        fprintf(stderr, "energatd: --%s: %s\n", strchr(key, '.') + 1, why);
                        return EXIT_USAGE + 1;
                }
        }
        log_set_level(log_level_from_name(config->log_level));
        return 0;
}

/* The capabilities that the configured ways of measuring need.  false: one is missing, and it was
 * said. */
static bool have_capabilities(const struct config *config)
{
        static const struct {
                cap_value_t value;
                const char *name, *why;
        } needed[] = {
                {CAP_BPF, "CAP_BPF", "to load the BPF probe"},
                {CAP_PERFMON, "CAP_PERFMON", "to attach the BPF probe"},
        };
        cap_t caps = cap_get_proc();
        cap_flag_value_t admin = CAP_CLEAR;
        bool all = true;

        if (!caps)
                return true;
        cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &admin);
        for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && all; i++) {
                cap_flag_value_t has = CAP_CLEAR;

                if (strcmp(config->probe, "proc") == 0)
                        break;
                cap_get_flag(caps, needed[i].value, CAP_EFFECTIVE, &has);
                if (has == CAP_SET || admin == CAP_SET)
                        continue;
                log_error("%s is missing (%s): start energatd as root, best with "
                          "'systemctl start energatd'",
                          needed[i].name, needed[i].why);
                all = false;
        }
        cap_free(caps);
        return all;
}

/* The directory of the socket or of the state, if it is not there. */
static int make_directory(const char *path)
{
        char copy[CONFIG_PATH_MAX];

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        return -errno;
                if (!slash)
                        return 0;
                *slash = '/';
        }
}

static int make_parent_directory(const char *path)
{
        char copy[CONFIG_PATH_MAX], *slash;

        snprintf(copy, sizeof(copy), "%s", path);
        slash = strrchr(copy, '/');
        if (!slash || slash == copy)
                return 0;
        *slash = '\0';
        return make_directory(copy);
}

static void load_baseline(struct server *s)
{
        const struct config *config = s->config;
        int r;

        if (meter_estimated(sampler_meter(s->sampler))) {
                sampler_set_baseline(s->sampler, NULL); /* the estimate's own */
                return;
        }
        s->baseline = calloc(1, sizeof(*s->baseline));
        if (!s->baseline)
                return;
        r = baseline_load(s->baseline, config->state_dir, s->topology,
                          meter_source_name(sampler_meter(s->sampler)), s->baseline_problem,
                          sizeof(s->baseline_problem));
        s->baseline_missing = r == -ENOENT;
        if (r < 0) {
                if (r != -ENOENT)
                        log_warning("%s", s->baseline_problem);
                else
                        snprintf(s->baseline_problem, sizeof(s->baseline_problem),
                                 "there is no baseline in %.400s", config->state_dir);
                free(s->baseline);
                s->baseline = NULL;
        }
        sampler_set_baseline(s->sampler, s->baseline);
}

/* Every client and every file of the meter is a descriptor: take what we may have. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
}

/* Measure and answer until told to end.  An exit status, or SOURCE_WATCH_AGAIN. */
static int serve(const struct config *config, struct topology *topology)
{
        struct source_config sources = source_config_of(config);
        struct sampler *sampler = NULL;
        struct server *server = NULL;
        struct hotplug *hotplug = NULL;
        sd_event *event = NULL;
        char why[WHY_MAX];
        int r;

        r = sampler_new(&sampler, config, topology, &sources, why, sizeof(why));
        if (r < 0) {
                log_error("cannot measure: %s", why);
                return EXIT_FAILURE;
        }
        if ((r = sd_event_new(&event)) < 0 ||
            (r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL)) < 0 ||
            (r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL)) < 0 ||
            (r = sd_event_set_watchdog(event, true)) < 0 ||
            (r = server_new(&server, event, config, topology, sampler)) < 0) {
                log_error("cannot start: %s", strerror(-r));
                goto end;
        }
        load_baseline(server);
        r = make_directory(config->state_dir);
        if (r < 0)
                log_warning("%s: cannot make the state directory: %s", config->state_dir,
                            strerror(-r));
        r = make_parent_directory(config->socket);
        if (r >= 0)
                r = server_listen(server, config->socket, why, sizeof(why));
        else
                snprintf(why, sizeof(why), "%s: cannot make its directory: %s", config->socket,
                         strerror(-r));
        if (r < 0) {
                log_error("cannot listen: %s", why);
                goto end;
        }
        r = hotplug_new(&hotplug, event, topology, sampler);
        if (r < 0)
                log_warning("cannot hear of CPUs that come and go: %s", strerror(-r));
        r = sampler_start(sampler);
        if (r < 0) {
                log_error("cannot start sampling: %s", strerror(-r));
                goto end;
        }
        r = memory_new(&server->memory, sampler, topology);
        if (r < 0)
                log_warning("dram is not attributed: cannot start the memory accounting: %s",
                            strerror(-r));
        if (!meter_estimated(sampler_meter(sampler)) &&
            (r = learner_new(&server->learner, server)) < 0)
                log_warning("base power is not learned: %s", strerror(-r));
        if (meter_estimated(sampler_meter(sampler)))
                log_notice("no energy meter: energy is estimated (%s)",
                           meter_why_passed_over(sampler_meter(sampler)));
        log_info("measuring with %s, CPU time by %s, every %g ms",
                 meter_source_name(sampler_meter(sampler)), cputime_name(sampler_cputime(sampler)),
                 (double)config->tick_ns / 1e6);
        sd_notifyf(0, "READY=1\nSTATUS=Measuring with %s, CPU time by %s",
                   meter_source_name(sampler_meter(sampler)),
                   cputime_name(sampler_cputime(sampler)));
        r = source_watch_start(server);
        if (r >= 0)
                r = sd_event_loop(event);
        if (r != SOURCE_WATCH_AGAIN)
                sd_notify(0, "STOPPING=1");
        if (r < 0)
                log_error("the event loop failed: %s", strerror(-r));
        learner_free(server->learner);
        server->learner = NULL;
        memory_free(server->memory);
        server->memory = NULL;
        sampler_stop(sampler);
end:
        hotplug_free(hotplug);
        server_free(server);
        sampler_free(sampler);
        sd_event_unref(event);
        if (r == SOURCE_WATCH_AGAIN)
                return r;
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        struct config config;
        struct topology topology;
        sigset_t signals;
        int r;

        r = configure(&config, argc, argv);
        if (r)
                return r - 1;
        if (!have_capabilities(&config))
                return EXIT_FAILURE;
        /* For sd-event; the sampler's thread inherits the mask and is never interrupted. */
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        raise_descriptor_limit();
        r = topology_init(&topology, "/sys");
        if (r < 0) {
                log_error("cannot read the machine's topology from /sys/devices/system: %s",
                          strerror(-r));
                return EXIT_FAILURE;
        }
        do
                r = serve(&config, &topology);
        while (r == SOURCE_WATCH_AGAIN);
        topology_deinit(&topology);
        return r;
}
