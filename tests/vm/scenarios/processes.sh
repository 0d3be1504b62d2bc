#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# Processes that live a moment, orphans, and a machine that is accounted to the nanosecond: threads and
# idle time are the CPUs' time.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

# What a process uses to exit is not in its own count: some 0.5 ms here, and more on a busy host.
EXIT_S=0.0008

# counted NAME EXITS: CPU time and joules, all of them
counted() {
        local truth_s more_s
        truth_s=$(json "$TRUTH" .cpu_s)
        more_s=$(calculate "$2 * $EXIT_S + 0.05")
        check "$1: CPU time" complete "$(report .cpu_s)" "$truth_s" 1 "$more_s"
        check "$1: joules" complete "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 3 \
                "$(calculate "$CORE_W * $more_s")"
}

children() {
        lab_load storm --children 200 --ms 5
        counted "200 children of 5 ms" 200
}

orphans() {
        lab_load daemon --depth 3 --seconds 2 --count 2
        counted "orphans" 8
}

chain() {
        lab_load exec-chain --depth 20 --ms 50
        counted "a chain of exec" 20
}

lab_meter
lab_measured children
lab_measured orphans
lab_measured chain

lab_call GetRows >"$LAB_WORK/rows.json"
rows() {
        json "$LAB_WORK/rows.json" "$1"
}
# Threads go on while rows are read, and when the host stalls the CPU that reads, for some ms.
check "rows and nobody's time add up to all CPU time" within \
        "$(rows '([.rows[].cpu_s] | add) + .exited.cpu_s + .nobody_s')" "$(rows .cpu_s)" 0.01 0.02
check "threads and idle are the CPUs' time" within \
        "$(rows '.cpu_s + .idle_s + .stolen_s')" "$(rows .wall_s)" 1
check "nothing is lost" equal "$(rows .lost_s)" 0
check "shares, static and unattributed are the machine's energy" within \
        "$(rows '([.rows[].share.package_j] | add) + .exited.share.package_j + .machine.static_package_j +
                .unattributed.package_j')" "$(rows .machine.package_j)" 0.0001
