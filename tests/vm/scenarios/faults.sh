#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# A domain that cannot be read, or stands still, is a fault with a name; the other domains go on; and
# when it is well again, so are the results.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

fault_of() {
        lab_call GetStatus | jq -r --arg name "$1" '.domains[] | select(.name == $name) | .fault'
}

fault_matches() {
        [[ $(fault_of "$1") =~ $2 ]]
}

# broken KIND REGEX: package-1 has a fault that matches
broken() {
        lab_fault "$1" package-1
        check "$1: the fault has a name" wait_for 30 fault_matches package-1 "$2"
        check "$1: the other socket has none" equal "$(fault_of package-0)" null
        check "$1: --check says which domain" matches "$(energat --check)" \
                '(warn|fail) +domain package-1'
        numactl --cpunodebind=1 timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json \
                --output "$REPORT" -- "$LAB/loadgen" spin 2 --cpu >/dev/null 2>&1
        check "$1: its energy is not known, and not 0" equal \
                "$(report '.sockets[1].share.package_j')" null
        check "$1: the result says so" matches "$(report '.warnings[]')" 'package'
        check "$1: the other socket is still measured" within \
                "$(report '.sockets[0].machine.package_j')" \
                "$(calculate "$BASE_W * $(report .duration_s) + $CORE_W * $(report '.sockets[0].busy_s')")" 5
        lab_fault "$1"
        check "$1: it ends" wait_for 30 fault_matches package-1 '^null$'
        lab_measured well_again "$1"
}

well_again() {
        lab_load spin 3 --cpu
        check "$1: afterwards joules are right" within "$(report .share.package_j)" \
                "$(calculate "$CORE_W * $(json "$TRUTH" .cpu_s)")" 3
        # A machine that is slow may miss ticks, and need a moment to look at memory.
        check "$1: and nobody is warned" equal "$(report '[.warnings[] | select(
                test("ticks were missed|memory was not measured in") | not)] | join("; ")')" ""
}

lab_meter
# powercap makes EINVAL of every error of a driver.
broken eio 'cannot be read'
broken stuck 'has not moved'
