/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "access.h"
#include "baseline.h"
#include "clock.h"
#include "configuration.h"
#include "directory.h"
#include "hotplug.h"
#include "keeper.h"
#include "learn.h"
#include "listener.h"
#include "liveness.h"
#include "log.h"
#include "memory.h"
#include "privileges.h"
#include "sampler.h"
#include "server.h"
#include "source_watch.h"

#define WHY_MAX    (CONFIG_PATH_MAX + 256)
#define EXIT_USAGE 2

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

/* Defaults, then the file, then the options.  0, or the exit status + 1 to stop with. */
static int configure(struct configuration *configuration, int argc, char **argv)
{
        const char *path = NULL;
        char why[512];
        int option, index = 0; /* every option that sets a key has a long name only */

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
        configuration_init(configuration, path);
        optind = 0;
        while ((option = getopt_long(argc, argv, "Vh", options, &index)) != -1) {
                const char *key = key_of_option(option);

                if (key && configuration_option(configuration, key, optarg, why, sizeof(why)) < 0) {
                        fprintf(stderr, "energatd: --%s: %s\n", options[index].name, why);
                        return EXIT_USAGE + 1;
                }
        }
        if (configuration_load(configuration) < 0)
                return EXIT_FAILURE + 1;
        log_set_level(log_level_from_name(configuration->config.log_level));
        return 0;
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

/* What whoever started us had open is no business of a daemon; only the socket that it gives is. */
static void close_inherited_descriptors(void)
{
        int given = sd_listen_fds(false);

        (void)close_range(SD_LISTEN_FDS_START + (given > 0 ? (unsigned int)given : 0), UINT_MAX, 0);
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

/* What outlives measuring that begins anew. */
struct life {
        struct configuration configuration;
        struct topology topology;
        struct listener listener;
        struct liveness liveness;
        struct privileges_user user;
        bool dropped; /* the privileges that are not needed any more */
};

/* The directory of the state is the daemon's own. */
static int prepare_state_directory(const struct life *life, char *why, size_t why_size)
{
        const char *path = life->configuration.config.state_dir;
        int r = directory_make(path, life->user.uid, life->user.gid);

        if (r < 0) {
                log_warning("%s: cannot make the state directory: %s", path, strerror(-r));
                return 0; /* measuring goes on without */
        }
        r = directory_check(path, life->user.uid, life->user.gid, why, why_size);
        if (r < 0)
                return r;
        if (r > 0)
                log_warning("%s", why);
        r = life->user.changes ? directory_hand_over(path, life->user.uid, life->user.gid) : 0;
        if (r == -ENOTEMPTY)
                log_warning("%s: has directories in it, so it is not energat's alone and stays "
                            "root's: choose another server.state_dir",
                            path);
        else if (r < 0)
                log_warning("%s: cannot give it to user %s: %s", path,
                            life->configuration.config.user, strerror(-r));
        return 0;
}

/* The directories and the socket; then never again as root. */
static int settle(struct life *life, const struct sampler *sampler)
{
        const struct config *config = &life->configuration.config;
        char parent[CONFIG_PATH_MAX], why[WHY_MAX];
        int r;

        if (life->dropped)
                return 0;
        r = prepare_state_directory(life, why, sizeof(why));
        if (r < 0) {
                log_error("cannot keep any state: %s", why);
                return r;
        }
        directory_parent(config->socket, parent);
        r = directory_make(parent, life->user.uid, life->user.gid);
        if (r < 0)
                snprintf(why, sizeof(why), "%s: cannot make its directory: %s", config->socket,
                         strerror(-r));
        else
                r = listener_open(&life->listener, config->socket, life->user.uid, life->user.gid,
                                  why, sizeof(why));
        if (r < 0) {
                log_error("cannot listen: %s", why);
                return r;
        }
        r = privileges_drop(&life->user, config, meter_source_name(sampler_meter(sampler)), why,
                            sizeof(why));
        if (r < 0) {
                log_error("cannot give up privileges: %s", why);
                return r;
        }
        life->dropped = true;
        if (faccessat(AT_FDCWD, config->state_dir, W_OK | X_OK, AT_EACCESS) < 0)
                log_warning(
                        "%s: user %u cannot write there (%s): no baseline will be kept; give it "
                        "to that user, or choose another server.state_dir",
                        config->state_dir, geteuid(), strerror(errno));
        return 0;
}

/* What 'systemctl status' shows, with more notifications (sd_notify(3)) in front. */
static void notify_status(const struct life *life, const struct server *server,
                          const char *notifications)
{
        const char *problem = life->configuration.problem;

        sd_notifyf(0, "%sSTATUS=Measuring with %s, CPU time by %s, every %g ms%s%.200s",
                   notifications, meter_source_name(sampler_meter(server->sampler)),
                   cputime_name(sampler_cputime(server->sampler)),
                   (double)life->configuration.config.tick_ns / 1e6,
                   problem[0] ? "; the configuration was not reloaded: " : "", problem);
}

/* SIGHUP.  The sampler is not asked, and knows nothing of it. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct server *server = userdata;
        struct life *life = (struct life *)(void *)((char *)server->configuration -
                                                    offsetof(struct life, configuration));
        struct config before;

        (void)source;
        (void)info;
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the configuration again",
                   (unsigned long long)(monotonic_ns() / 1000));
        before = life->configuration.config;
        (void)configuration_reload(&life->configuration); /* which says all */
        if (!access_same_rules(&before, &life->configuration.config))
                server_access_changed(server);
        notify_status(life, server, "READY=1\n");
        return 0;
}

/* Measure and answer until told to end.  An exit status, or SOURCE_WATCH_AGAIN. */
static int serve(struct life *life)
{
        const struct config *config = &life->configuration.config;
        struct topology *topology = &life->topology;
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
            (r = server_new(&server, event, config, topology, sampler)) < 0 ||
            (r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, server)) < 0) {
                log_error("cannot start: %s", strerror(-r));
                goto end;
        }
        server->configuration = &life->configuration;
        load_baseline(server);
        r = settle(life, sampler);
        if (r < 0)
                goto end;
        r = server_listen(server, life->listener.fd);
        if (r < 0) {
                log_error("cannot listen: %s", strerror(-r));
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
        r = keeper_new(&server->keeper, server);
        if (r < 0)
                log_warning("totals are not kept: %s", strerror(-r));
        r = memory_new(&server->memory, sampler, topology);
        if (r < 0)
                log_warning("dram is not attributed: cannot start the memory accounting: %s",
                            strerror(-r));
        if (!meter_estimated(sampler_meter(sampler)) &&
            (r = learner_new(&server->learner, server)) < 0)
                log_warning("base power is not learned: %s", strerror(-r));
        if (meter_estimated(sampler_meter(sampler)))
                log_notice("energy is estimated: %s",
                           *meter_why_passed_over(sampler_meter(sampler))
                                   ? meter_why_passed_over(sampler_meter(sampler))
                                   : "source estimate was asked for");
        log_event(LOG_INFO,
                  &(const struct log_event){.id = EVENT_MEASURING,
                                            .source = meter_source_name(sampler_meter(sampler))},
                  "measuring with %s, CPU time by %s, every %g ms",
                  meter_source_name(sampler_meter(sampler)), cputime_name(sampler_cputime(sampler)),
                  (double)config->tick_ns / 1e6);
        r = liveness_start(&life->liveness, server);
        if (r < 0)
                log_warning("the watchdog is not fed: %s", strerror(-r));
        notify_status(life, server, "READY=1\n");
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
        liveness_stop(&life->liveness);
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
        static struct life life = {.listener.fd = -1};
        sigset_t signals;
        int r;

        close_inherited_descriptors();
        r = configure(&life.configuration, argc, argv);
        if (r)
                return r - 1;
        if (!privileges_suffice(&life.configuration.config))
                return EXIT_FAILURE;
        privileges_user(&life.user, life.configuration.config.user);
        /* For sd-event; the sampler's thread inherits the mask and is never interrupted. */
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        raise_descriptor_limit();
        r = topology_init(&life.topology, "/sys");
        if (r < 0) {
                log_error("cannot read the machine's topology from /sys/devices/system: %s",
                          strerror(-r));
                return EXIT_FAILURE;
        }
        do
                r = serve(&life);
        while (r == SOURCE_WATCH_AGAIN);
        listener_close(&life.listener);
        topology_deinit(&life.topology);
        return r;
}
