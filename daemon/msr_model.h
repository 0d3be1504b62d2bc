/* SPDX-License-Identifier: MIT */
/*
 * Which energy registers a processor has, and in which unit each counts.
 *
 * Sources: Intel SDM vol. 4 (the tables of model-specific registers) and vol. 3B 15.10 (RAPL);
 * AMD PPR for family 17h model 31h, 2.1.14 (MSRC001_0299 to _029B); the kernel's
 * arch/x86/events/rapl.c and drivers/powercap/intel_rapl_common.c, which know which of the
 * documented units are the true ones.  A processor that is not in the tables here has no energy
 * registers as far as we know: a register read in the wrong unit would be an invented number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "source.h"

#define MSR_MAX_REGISTERS 5

/* The energy unit is in bits 12:8 of the unit register, as the exponent of 1/2^n J. */
#define MSR_UNIT_OF_REGISTER (-1)

/* Counters are bits 31:0, and start again at 0 behind 2^32 - 1. */
#define MSR_COUNTER_BITS 32

struct msr_register {
        enum domain_kind kind;
        uint32_t number;
        int unit;      /* n of the unit 1/2^n J, or MSR_UNIT_OF_REGISTER */
        bool per_core; /* counts one core only; the domain is the sum over the socket's */
};

struct msr_model {
        uint32_t unit_register;
        /* Where a socket has several dies: is a register the die's, or the socket's? */
        bool per_die;
        const struct msr_register *registers[MSR_MAX_REGISTERS + 1]; /* the package first; NULL */
};

/*
 * The model of this machine's processor, from sysfs (devices/system/cpu/modalias).  0, or a
 * negative errno and `why` as probe() of a source_driver tells it.
 */
int msr_model_find(const struct msr_model **ret, const char *sysfs_root, char *why);
