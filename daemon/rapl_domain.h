/* SPDX-License-Identifier: MIT */
/*
 * The domains of RAPL, under the names that the kernel's powercap zones have
 * (drivers/powercap/intel_rapl_common.c), for the drivers that reach the same counters by other
 * ways: a machine looks the same whichever of them is in use.
 */
#pragma once

#include "source.h"

/*
 * Fill in kind, socket, die, name and label; the rest is 0.  `die` is -1 where the domain is the
 * whole socket.  psys belongs to no socket: `socket` only tells apart those of several.
 */
void rapl_domain_init(struct domain *domain, enum domain_kind kind, int socket, int die);

/* An order for qsort(): by socket and die, the package first; psys last. */
int rapl_domain_compare(const struct domain *a, const struct domain *b);

/* Number of dies of a socket that the topology knows. */
unsigned int rapl_dies_of(const struct topology *topology, int socket);
