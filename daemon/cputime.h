/* SPDX-License-Identifier: MIT */
/*
 * CPU accounting: which process ran how long on which topology slot.
 *
 * Two ways of counting behind one interface: the BPF probe (exact, see bpf/probe.h) and /proc
 * (where BPF cannot be used; what that misses is said by cputime_precision()).  Both write into a
 * process table: births, deaths, and CPU time since the last collection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "processes.h"
#include "topology.h"

struct cputime_config {
        const char *probe;      /* auto, bpf, proc */
        uint32_t max_processes; /* rows of the BPF table; rounded up to a power of two */
        bool irq;               /* take interrupt time off the interrupted thread */
        const char *proc_root;  /* /proc */
};

/* Time by slot since the accounting was opened, cumulative.  irq_ns is meant only with irq_known.
 */
struct cputime_totals {
        uint64_t busy_ns[TOPOLOGY_MAX_SLOTS +
                         1]; /* of all processes; the last one: place not known */
        uint64_t idle_ns;
        bool idle_known;
        uint64_t irq_ns[TOPOLOGY_MAX_SLOTS + 1];
        uint64_t nobody_ns[TOPOLOGY_MAX_SLOTS +
                           1]; /* busy, in busy_ns, but of no process that was met */
        uint64_t stolen_ns;    /* by the hypervisor, where this is a virtual machine that is told */
        bool irq_known;        /* interrupt time is told apart, and not in any process's time */
        uint64_t cpu_wall_ns;  /* online CPUs x elapsed time */
};

/* What may be missing; all 0 when nothing is.  Cumulative. */
struct cputime_losses {
        uint64_t lost_ns; /* CPU time that no process was charged for (at most) */
        uint64_t merged;  /* processes counted together with their parent: table full */
        uint64_t lost_threads;
        uint64_t unseen_ns; /* CPU time of threads that were born without memory for them (at most)
                             */
        uint64_t hidden_switches; /* not shown to the probe: see cpu_state in bpf/probe.h */
        uint64_t unplaced_ns;     /* CPU time on CPUs whose node is not known yet */
};

struct cputime;

/*
 * Open what `probe` asks for and put every process that exists into `ps`.  With "auto" BPF is tried
 * first, and why it was passed over can be asked later.  `why` (at least 512 bytes) on failure.
 */
int cputime_open(struct cputime **ret, const struct cputime_config *config,
                 const struct topology *topology, struct processes *ps, char *why, size_t why_size);
void cputime_close(struct cputime *c);

/*
 * Bring `ps` and the totals up to now.  1: done; 0: this way of counting is not due yet (only
 * /proc, which is read at a slower pace); negative errno: it could not be read (no memory, no
 * descriptor), and what was not read comes with the next one.  `force` reads in any case: for
 * beginning and end, because it costs a look at all of /proc.
 */
int cputime_collect(struct cputime *c, bool force);

/*
 * Bring one process up to now, out of turn: after this it is in `ps` if it lives, and its CPU time
 * until now is charged.  What is due for everybody is due as before, however often this is asked
 * for.  1 when that has brought everybody up to now (BPF, where it costs no more), 0 when this one
 * only, or a negative errno.
 */
int cputime_meet(struct cputime *c, pid_t pid);

const struct cputime_totals *cputime_totals(const struct cputime *c);
const struct cputime_losses *cputime_losses(const struct cputime *c);

/* The topology has changed (CPU hotplug). */
void cputime_set_topology(struct cputime *c, const struct topology *topology);

const char *cputime_name(const struct cputime *c);      /* "bpf (tp_btf)", "proc (schedstat)" */
const char *cputime_precision(const struct cputime *c); /* one sentence */
const char *cputime_why_passed_over(const struct cputime *c); /* "" when nothing was */
bool cputime_exact(const struct cputime *c); /* false: every output says what is missing */

/* One way of counting.  State is the driver's own. */
struct cputime_driver {
        const char *name;
        int (*open)(void **state, const struct cputime_config *config,
                    const struct topology *topology, struct processes *ps, char *why,
                    size_t why_size);
        int (*collect)(void *state, bool force, struct cputime_totals *totals,
                       struct cputime_losses *losses);
        int (*meet)(void *state, pid_t pid, struct cputime_totals *totals,
                    struct cputime_losses *losses);
        void (*set_topology)(void *state, const struct topology *topology);
        const char *(*describe)(const void *state);
        const char *(*precision)(const void *state);
        bool exact;
        void (*close)(void *state);
};

extern const struct cputime_driver cputime_bpf, cputime_proc;
