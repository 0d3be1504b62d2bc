#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# Counters that begin again at 0 every one to three seconds lose nothing.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

RANGE_J=40

faults() {
        lab_call GetStatus | jq -r '[.domains[] | .faults] | add'
}

lab_meter "range_uj=$((RANGE_J * 1000000))"
sleep 1 # how long a counter lasts is known when power has been measured
before=$(faults)

wraps() {
        local truth_j machine_j
        lab_load spin 7 --cpu --threads 2
        truth_j=$(calculate "$CORE_W * $(json "$TRUTH" .cpu_s)")
        machine_j=$(calculate "$BASE_W * $(sockets | wc -w) * $(report .duration_s) +
                $CORE_W * $(report '[.sockets[].busy_s] | add')")
        check "each counter wraps at least three times" at_most "$((3 * RANGE_J))" \
                "$(report '[.sockets[].machine.package_j] | min')"
        check "the command's joules are all there" within "$(report .share.package_j)" "$truth_j" 3
        check "so are the machine's" within "$(report .machine.package_j)" "$machine_j" 3
        check "and no reading was faulty" equal "$(faults)" "$before"
}

lab_measured wraps
