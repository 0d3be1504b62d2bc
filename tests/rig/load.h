/* SPDX-License-Identifier: MIT */
/*
 * Loads with known CPU time: what loadgen.c, which reads the command line and prints the truth,
 * shares with the files that hold the modes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_US 1000ULL
#define NS_PER_MS 1000000ULL
#define NS_PER_S  1000000000ULL

struct load_options {
        uint64_t seconds_ns;
        uint64_t on_ns;     /* burst: CPU time in each period */
        uint64_t period_ns; /* burst */
        uint64_t offset_ns; /* burst, aligned: of its periods' beginnings */
        uint64_t each_ns;   /* storm, exec-chain: CPU time of one */
        unsigned int threads;
        unsigned int children;
        unsigned int parallel;
        unsigned int depth;
        unsigned int count;
        unsigned int rate; /* forks: children per second */
        double percent;    /* quota: of one core */
        uint64_t mib;
        int node; /* mem: NUMA node, -1: wherever the kernel puts it */
        bool cpu; /* spin: the seconds are CPU seconds of each thread, not wall time */
        bool aligned;
        const char *truth;
        uint64_t started_ns; /* CLOCK_MONOTONIC; handed on by exec-chain */
        unsigned int done;   /* exec-chain: links behind us; handed on too */
};

struct load_result {
        uint64_t children;     /* processes started, at whatever depth */
        uint64_t threads;      /* threads started beside the first one */
        uint64_t elsewhere_ns; /* CPU time of processes that are not ours to reap */
};

/* Every mode: 0 or a negative errno, after the complaint went to stderr. */
int load_spin(const struct load_options *o, struct load_result *result);
int load_burst(const struct load_options *o, struct load_result *result);
int load_create(const struct load_options *o, struct load_result *result);
int load_hop(const struct load_options *o, struct load_result *result);
int load_idle_threads(const struct load_options *o, struct load_result *result);
int load_quota(const struct load_options *o, struct load_result *result);
int load_mem(const struct load_options *o, struct load_result *result);

int load_storm(const struct load_options *o, struct load_result *result);
int load_forks(const struct load_options *o, struct load_result *result);
int load_daemon(const struct load_options *o, struct load_result *result);
int load_exec_chain(const struct load_options *o, struct load_result *result);

uint64_t load_now_ns(void);         /* CLOCK_MONOTONIC */
uint64_t load_thread_cpu_ns(void);  /* of the calling thread */
uint64_t load_process_cpu_ns(void); /* of all threads of this process, exited ones included */
void load_sleep_until(uint64_t deadline_ns);

/* Use the CPU until this thread has used so much CPU time in its life. */
void load_spin_until_cpu(uint64_t thread_cpu_ns);

/* Use so much CPU time from now on. */
void load_spin_for(uint64_t cpu_ns);

/* "loadgen: cannot WHAT: ..."; returns error. */
int load_complain(const char *what, int error);
