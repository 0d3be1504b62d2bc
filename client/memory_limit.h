/* SPDX-License-Identifier: MIT */
/*
 * What the control groups of this process leave it of memory: memory.max and memory.high of its own
 * and of each above it, and memory.limit_in_bytes where the kernel's first version has the memory
 * (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).  Page cache that is not in
 * use counts as free: it goes first.  Groups above a container's own are hidden from it.
 */
#pragma once

/* Bytes that may be taken yet; INFINITY: there is no limit.  `root` is "" on a machine, and a
 * directory with proc in it for a test. */
double memory_limit_room(const char *root);
