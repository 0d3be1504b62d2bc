#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# With [accounting] irq = yes interrupts are taken off the threads that they interrupt.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

lab_meter
lab_configure '[accounting]' 'irq = yes'
check "energatd says that it counts them" matches "$(energat status)" 'interrupts'

load() {
        lab_load spin 4 --cpu
        # This meter charges nothing for interrupts on idle CPUs, so theirs is a part of what others cost.
        check "joules are those of its CPU time" within "$(report .share.package_j)" \
                "$(calculate "$CORE_W * $(report .cpu_s)")" 5
        check "which is below the scheduler's, by interrupts" at_most \
                "$(report .cpu_s)" "$(calculate "0.997 * $(json "$TRUTH" .cpu_s)")"
        check "by a tenth at most" at_most "$(calculate "0.9 * $(json "$TRUTH" .cpu_s)")" "$(report .cpu_s)"
}

lab_measured load
lab_call GetRows >"$LAB_WORK/rows.json"
check "interrupt time is told" at_most 0.01 "$(json "$LAB_WORK/rows.json" .irq_s)"
check "threads, interrupts and idle are the CPUs' time" within \
        "$(json "$LAB_WORK/rows.json" '.cpu_s + .irq_s + .idle_s + .stolen_s')" \
        "$(json "$LAB_WORK/rows.json" .wall_s)" 0.5
