/* SPDX-License-Identifier: MIT */
/* What the probe (bpf/probe.bpf.c) can know in the running kernel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct btf;

/* Of a kernel's types; NULL: nothing. */
struct probe_kernel {
        bool accounts_irq; /* it takes interrupt time off threads by itself */
        bool has_clocks; /* a thread leads to its CPU's clock: without, idle time, and the kernel's
                            own count of interrupt and stolen time, are not known */
};

struct probe_kernel probe_kernel_of(const struct btf *btf);
struct probe_kernel probe_kernel_running(void);

/* A BPF program may name `runqueues`; true also when that cannot be told before loading it. */
bool probe_kernel_names_runqueues(const char *proc_root);

/*
 * The kernel tells processes to the probe by their numbers in the initial pid namespace.  In
 * another one (a container's) getpid(), /proc and clients mean others by them.  0, or
 * -EOPNOTSUPP and `why`.
 */
int probe_kernel_check_namespace(const char *proc_root, char *why, size_t why_size);
