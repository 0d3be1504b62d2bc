#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# Processes that live a moment, orphans, and a machine that is accounted to the nanosecond: threads and
# idle time are the CPUs' time.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

lab_meter

lab_load storm --children 200 --ms 5
truth_s=$(json "$TRUTH" .cpu_s)
# What a child uses to exit is not in its own count: some 0.5 ms here.
check "200 children of 5 ms: CPU time" within "$(report .cpu_s)" "$truth_s" 3 0.15
check "200 children of 5 ms: joules" within "$(report .share.package_j)" \
        "$(calculate "$CORE_W * $(report .cpu_s)")" 5

lab_load daemon --depth 3 --seconds 2 --count 2
truth_s=$(json "$TRUTH" .cpu_s)
check "orphans: CPU time" within "$(report .cpu_s)" "$truth_s" 3 0.15
check "orphans: joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $(report .cpu_s)")" 5

lab_load exec-chain --depth 20 --ms 50
check "a chain of exec: CPU time" within "$(report .cpu_s)" "$(json "$TRUTH" .cpu_s)" 3 0.15

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
