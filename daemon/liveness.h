/* SPDX-License-Identifier: MIT */
/*
 * Is the daemon alive?  The service manager's watchdog (sd_watchdog_enabled(3)) is fed only by an
 * answer that the sampler has given and the main loop has taken, and only when ticks have been made
 * meanwhile: if either thread hangs, or the clock does not fire, energatd is restarted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server.h"

struct liveness {
        struct letter there, back;
        struct server *server;
        sd_event_source *timer;
        uint64_t period_ns;      /* between two questions; 0: there is no watchdog */
        uint64_t grace_ns;       /* without a tick */
        bool asked, said;        /* a question is on its way; that ticks are missing was logged */
        unsigned int unanswered; /* how often the timer has come meanwhile */
        uint64_t ticked_ns;      /* when the last tick was made: the sampler's answer */
        uint64_t known_ns;       /* the same, of the last answer that has come */
};

/*
 * Begin to watch, when the service manager asks for it.  *l lives longer than server and sampler;
 * it may be started again after both have gone.
 */
int liveness_start(struct liveness *l, struct server *server);
/* After the sampler has stopped. */
void liveness_stop(struct liveness *l);
