/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients.h"
#include "keeper.h"
#include "log.h"
#include "own_rows.h"
#include "pid_search.h"
#include "rows_told.h"

/* ---- faults of the meter ---- */

/* Each fault is one line in the log when it begins and one when it ends, however long it lasts. */
static void on_fault_news(struct letter *letter)
{
        struct fault_news *news = (struct fault_news *)(void *)letter;
        struct server *s = news->owner;
        const struct domain *domains;
        size_t n = meter_domains(sampler_meter(s->sampler), &domains);
        char text[256];

        for (size_t i = 0; i < n && i < news->ndomains; i++) {
                const struct fault *now = &news->faults[i];
                struct log_event event = {.id = EVENT_FAULT_BEGINS,
                                          .domain = domains[i].label,
                                          .source = meter_source_name(sampler_meter(s->sampler)),
                                          .fault = fault_name(now->kind)};

                if (now->kind != s->faults[i].kind && now->kind != FAULT_NONE) {
                        fault_text(now, text, sizeof(text));
                        log_event(LOG_WARNING, &event, "domain %s %s", domains[i].label, text);
                } else if (now->kind != s->faults[i].kind) {
                        event.id = EVENT_FAULT_ENDS;
                        event.fault = fault_name(now->last);
                        log_event(LOG_NOTICE, &event,
                                  "domain %s is well again, after %llu faulty readings in all",
                                  domains[i].label, (unsigned long long)now->count);
                }
                s->faults[i] = *now;
        }
        fault_news_taken(news);
}

/* ---- life ---- */

static int on_mailbox(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct server *s = userdata;

        (void)source;
        (void)fd;
        (void)events;
        mailbox_deliver_for(&s->mailbox, SERVER_TURN_NS);
        return 0;
}

struct source_config source_config_of(const struct config *config)
{
        return (struct source_config){.powercap_root = config->powercap_root,
                                      .sysfs_root = "/sys",
                                      .dev_root = "/dev",
                                      .estimate_idle_w = config->estimate_idle_w,
                                      .estimate_busy_w = config->estimate_busy_w};
}

int server_new(struct server **ret, sd_event *event, const struct config *config,
               const struct topology *topology, struct sampler *sampler)
{
        struct server *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->event = event;
        s->config = config;
        s->topology = topology;
        s->sampler = sampler;
        s->listen_fd = -1;
        s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        s->fault_news = (struct fault_news){
                .letter.deliver = on_fault_news, .mailbox = &s->mailbox, .owner = s};
        sampler_tell_faults(sampler, &s->fault_news);
        s->epoll_fd = s->mailbox.fd = -1;
        r = mailbox_init(&s->mailbox);
        if (r >= 0)
                r = sd_event_add_io(event, &s->mailbox_source, s->mailbox.fd, EPOLLIN, on_mailbox,
                                    s);
        if (r >= 0)
                r = clients_init(s);
        if (r < 0) {
                server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

void server_free(struct server *s)
{
        if (!s)
                return;
        /* The sampler has stopped: who is streamed to gets what there is, and hears no "final": it
         * may go on with the daemon that comes after this one. */
        s->stopping = true;
        if (s->mailbox.fd >= 0)
                mailbox_deliver(&s->mailbox);
        clients_deinit(s);
        /* The sampler has stopped: its last letters end what was followed.  Surveys end because
         * nobody waits for them any more, a baseline is saved. */
        if (s->mailbox.fd >= 0)
                mailbox_deliver(&s->mailbox);
        while (s->surveys || s->keeping) {
                struct pollfd wait = {.fd = s->mailbox.fd, .events = POLLIN};

                if (poll(&wait, 1, -1) >= 0)
                        mailbox_deliver(&s->mailbox);
        }
        pid_search_free(s->pid_walk);
        sd_event_source_disable_unref(s->listen_source);
        sd_event_source_disable_unref(s->mailbox_source);
        sd_event_source_disable_unref(s->source_timer);
        if (s->spare_fd >= 0)
                close(s->spare_fd);
        keeper_free(s->keeper);
        mailbox_deinit(&s->mailbox);
        own_rows_free(s->own_rows);
        own_rows_free(s->own_rows_asked);
        rows_told_free(s->rows_told);
        free(s->description);
        free(s->baseline);
        free(s);
}
