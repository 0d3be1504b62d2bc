/* SPDX-License-Identifier: MIT */
/*
 * CPUs that come and go.  Listens to the kernel's uevents in the main thread, reads the topology
 * again, and hands it to the sampler.
 */
#pragma once

#include <systemd/sd-event.h>

#include "sampler.h"
#include "topology.h"

struct hotplug;

/*
 * `topology` is the main thread's and is brought up to date in place.  -errno when the kernel's
 * messages cannot be had: the machine is then measured as it was at the start.
 */
int hotplug_new(struct hotplug **ret, sd_event *event, struct topology *topology,
                struct sampler *sampler);
void hotplug_free(struct hotplug *h);
