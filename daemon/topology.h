/* SPDX-License-Identifier: MIT */
/*
 * The machine's CPUs, as the kernel tells them in sysfs: which NUMA node, which socket
 * (physical package) and which die each CPU belongs to.
 *
 * A *slot* is one distinct (node, socket, die) triple.  CPU time is counted per slot, because
 * one node can span several energy domains (several sockets or dies per node) and one domain
 * several nodes (sub-NUMA clustering).  Slots are numbered 0..nslots-1 in the order of
 * (socket, die, node), and a CPU keeps its slot number for the life of a topology object.
 *
 * A CPU that is possible but offline has no topology directory; its slot is TOPOLOGY_NO_SLOT
 * until topology_refresh() sees it online.
 *
 * Source of the files: Documentation/ABI/stable/sysfs-devices-system-cpu and
 * Documentation/admin-guide/cputopology.rst in the kernel tree.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPOLOGY_MAX_SLOTS   64
#define TOPOLOGY_MAX_SOCKETS 32
#define TOPOLOGY_NO_SLOT     (-1)

struct topology_cpu {
        bool online;
        int node;   /* NUMA node id; -1: unknown */
        int socket; /* physical_package_id; -1: unknown */
        int die;    /* die_id; 0 where the kernel does not tell dies */
        int slot;   /* index into slots[], or TOPOLOGY_NO_SLOT */
};

struct topology_slot {
        int node;
        int socket; /* physical_package_id */
        int die;
};

struct topology {
        struct topology_cpu *cpus; /* owned; indexed by CPU number */
        unsigned int ncpus;        /* possible CPUs: highest number + 1 */
        struct topology_slot slots[TOPOLOGY_MAX_SLOTS];
        unsigned int nslots;
        int sockets[TOPOLOGY_MAX_SOCKETS]; /* physical_package_ids, ascending */
        unsigned int nsockets;
        int max_node; /* highest NUMA node id, memory-only nodes included */
};

/*
 * Read the topology below `sysfs` ("/sys" on a machine; another root in tests).
 * 0, or a negative errno: -ENOENT when no CPU directory is there, -E2BIG when the machine has
 * more slots or sockets than the limits above.  Free with topology_deinit().
 */
int topology_init(struct topology *t, const char *sysfs);
void topology_deinit(struct topology *t);
/* Another of its own.  -ENOMEM. */
int topology_copy(struct topology *to, const struct topology *from);

/*
 * Read which CPUs are online now and the places of those that have become so.  New slots are
 * appended; existing slot numbers do not change.  1: something changed, 0: nothing, or -errno.
 */
int topology_refresh(struct topology *t, const char *sysfs);

/* Bit mask of the slots on that socket; die < 0 means all dies of it. */
uint64_t topology_slots_of(const struct topology *t, int socket, int die);

/* Index of a physical package id in sockets[], or -1. */
int topology_socket_index(const struct topology *t, int socket);
