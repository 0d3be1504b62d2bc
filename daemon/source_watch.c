/* SPDX-License-Identifier: MIT */
#include "source_watch.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "log.h"

#define PERIOD_US   10000000ull
#define ACCURACY_US 1000000ull

/* Is there a domain in a fresh look at the driver that the meter does not have? */
static bool has_more(const struct server *s, const struct source_driver *driver,
                     const struct source_config *config, char *label)
{
        const struct domain *ours, *fresh;
        size_t n = meter_domains(sampler_meter(s->sampler), &ours), m;
        char why[SOURCE_WHY_MAX];
        struct source *source;
        bool more = false;

        if (driver->open(&source, config, s->topology, why) < 0)
                return false;
        m = driver->domains(source, &fresh);
        for (size_t i = 0; i < m && !more; i++) {
                bool known = false;

                for (size_t j = 0; j < n; j++)
                        known |= strcmp(fresh[i].label, ours[j].label) == 0;
                more = !known;
                if (more)
                        memcpy(label, fresh[i].label, DOMAIN_NAME_MAX);
        }
        driver->close(source);
        return more;
}

/* Would a better source than the one in use work now?  Only "auto" may change its mind. */
static const char *better_source(const struct server *s, const struct source_config *config)
{
        char why[SOURCE_WHY_MAX];

        if (strcmp(s->config->source, "auto") != 0)
                return NULL;
        for (size_t i = 0; source_drivers[i]; i++) {
                if (strcmp(source_drivers[i]->name, meter_source_name(sampler_meter(s->sampler))) ==
                    0)
                        return NULL;
                if (source_drivers[i]->probe(config, s->topology, why) == 0)
                        return source_drivers[i]->name;
        }
        return NULL;
}

bool source_watch_may_begin(struct server *s, bool better, uint64_t now_ns)
{
        if (!better) {
                s->better_since_ns = 0;
                return false;
        }
        if (!s->better_since_ns)
                s->better_since_ns = now_ns;
        return (!s->follows && !s->surveys) ||
               now_ns - s->better_since_ns >= SOURCE_WATCH_PATIENCE_NS;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
        struct server *s = userdata;
        struct source_config config = source_config_of(s->config);
        const char *used = meter_source_name(sampler_meter(s->sampler)), *better;
        char label[DOMAIN_NAME_MAX] = "";
        bool more;

        sd_event_source_set_time(timer, usec + PERIOD_US);
        sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
        if (s->calibration)
                return 0; /* its windows must not be cut */
        better = better_source(s, &config);
        more = !better && has_more(s, source_driver_by_name(used), &config, label);
        if (!source_watch_may_begin(s, better || more, monotonic_ns()))
                return 0;
        if (better)
                log_event(LOG_NOTICE,
                          &(struct log_event){.id = EVENT_BEGINS_ANEW, .source = better},
                          "source %s has come to work: measuring begins anew with it", better);
        else
                log_event(LOG_NOTICE,
                          &(struct log_event){
                                  .id = EVENT_BEGINS_ANEW, .source = used, .domain = label},
                          "domain %s has come: measuring begins anew with it", label);
        return sd_event_exit(s->event, SOURCE_WATCH_AGAIN);
}

int source_watch_start(struct server *s)
{
        uint64_t now;
        int r = sd_event_now(s->event, CLOCK_MONOTONIC, &now);

        if (r < 0)
                return r;
        return sd_event_add_time(s->event, &s->source_timer, CLOCK_MONOTONIC, now + PERIOD_US,
                                 ACCURACY_US, on_timer, s);
}
