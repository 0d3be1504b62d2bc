#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# A kernel that does not take tp_btf programs at sched_switch: raw_tp counts as exactly.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

lab_meter
check "as installed it is by tp_btf" matches "$(energat status)" 'tp_btf sched_switch'
lab_drop_in "Environment=LD_PRELOAD=$LAB/librefuse_tp_btf.so"
check "the probe is attached by raw_tp" matches "$(energat status)" 'raw_tp sched_switch'
thread() {
        local truth_s
        lab_load spin 3 --cpu
        truth_s=$(json "$TRUTH" .cpu_s)
        check "CPU time" complete "$(report .cpu_s)" "$truth_s" 1 0.04
        check "joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 3
}

# What they use to exit is not in their own count.
children() {
        lab_load storm --children 100 --ms 5
        check "100 children of 5 ms: CPU time" complete \
                "$(report .cpu_s)" "$(json "$TRUTH" .cpu_s)" 1 0.13
}

lab_measured thread
lab_measured children
lab_call GetRows >"$LAB_WORK/rows.json"
check "threads and idle are the CPUs' time" within \
        "$(json "$LAB_WORK/rows.json" '.cpu_s + .idle_s + .stolen_s')" \
        "$(json "$LAB_WORK/rows.json" .wall_s)" 1
check "nothing is lost" equal "$(json "$LAB_WORK/rows.json" .lost_s)" 0
