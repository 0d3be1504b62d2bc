/* SPDX-License-Identifier: MIT */
/*
 * A directory tree from a fuzzer's bytes, for what reads sysfs, procfs and the like.
 *
 * The bytes are a text that people can read and write too:
 *
 *         @file class/powercap/intel-rapl:0/name
 *         package-0
 *         @dir  class/powercap/intel-rapl:0/energy_uj
 *         @link class/powercap/again .
 *
 * A line "@file PATH" begins a file, whose contents are the lines up to the next '@' at the start
 * of a line, the last newline included.  What names no path below the tree is left out, and so is
 * what is beyond the limits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Make the tree anew; its root.  The tree before is gone. */
const char *fuzz_tree(const uint8_t *data, size_t size);

/* Ends the run when a promise is broken, with a line that says which. */
#define FUZZ_CHECK(condition)                                        \
        do {                                                         \
                if (!(condition))                                    \
                        fuzz_broken(__FILE__, __LINE__, #condition); \
        } while (0)

__attribute__((noreturn)) void fuzz_broken(const char *file, int line, const char *condition);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
