/* SPDX-License-Identifier: MIT */
/*
 * One look at the machine as energat top sees it: the answers of GetRows (or GetOwnRows) and of
 * GetStatus, out of JSON.  Energy in joules since the daemon started, NAN where it is not known.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TOP_NAME_MAX    64
#define TOP_MAX_NODES   16 /* more are not shown apart */
#define TOP_MAX_SOCKETS 32
#define TOP_MAX_NOTES   32
#define TOP_NOTE_MAX    256

struct top_process {
        long long pid, ppid; /* ppid 0: none that is known */
        double start_s;      /* together with the pid, who it is */
        char comm[TOP_NAME_MAX];
        bool kernel;
        unsigned int threads;
        double cpu_s, energy_j; /* of package and dram */
        double package_j, dram_j;
        double node_cpu_s[TOP_MAX_NODES];
        const char *user, *unit; /* NULL: not looked up; see top_owner.h */
};

/* A process and its descendants that somebody has followed: sums since then. */
struct top_target {
        long long id, pid;
        unsigned int uid; /* of who follows it */
        char name[TOP_NAME_MAX];
        unsigned int processes, threads;
        double cpu_s, energy_j;
        double node_cpu_s[TOP_MAX_NODES];
        const char *user; /* NULL: not looked up */
};

/* A socket's sums, or with `is_power` its watts now (all that ordinary users are told). */
struct top_socket {
        int socket;
        bool is_power;
        double all, dram;           /* all: of package and dram */
        double fixed, unattributed; /* of all: its static part, and what is nobody's */
};

struct top_snapshot {
        double uptime_s; /* of the daemon when this was so */
        bool own_only;
        struct top_process *processes; /* by pid, ascending */
        size_t nprocesses;
        struct top_target *targets; /* by id, ascending */
        size_t ntargets;
        double exited_cpu_s, exited_j; /* of all that have gone; NAN with own_only */
        int nodes[TOP_MAX_NODES];
        unsigned int nnodes;
        struct top_socket sockets[TOP_MAX_SOCKETS];
        unsigned int nsockets;
        char source[TOP_NAME_MAX];
        bool estimated;
        char notes[TOP_MAX_NOTES][TOP_NOTE_MAX]; /* faults and warnings */
        unsigned int nnotes;
};

/*
 * Take two answers apart.  before: the look whose uptime_s was sent along as since_s, or NULL; the
 * processes that have not changed since are taken from it.  0, -EPROTO when they are none, or
 * -ENOMEM.
 */
int top_snapshot_parse(struct top_snapshot *s, const json_t *rows, const json_t *status,
                       bool own_only, const struct top_snapshot *before);
void top_snapshot_deinit(struct top_snapshot *s);
