#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: all
# limit: 240
#
# A command that is bound to one node is charged there: CPU time and joules on the sockets of that
# node, and nothing elsewhere.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

LOAD_S=4
[[ $(nproc --all) -le 4 ]] || LOAD_S=10 # more emulated CPUs than the host has stall more often

# Sum of a report's values over sockets: those of the list, or with "not" all others.
over() {
        json "$REPORT" "[.sockets[] | select((.socket | IN($(tr ' ' , <<<"$1"))) ${2:-} ) | $3] | add // 0"
}

lab_meter
for node in $(nodes); do
        sockets=$(sockets_of_node "$node")
        # energat itself is bound, so that CMD is from its first instruction on.
        rm -f "$TRUTH"
        check "node $node: energat run succeeds" numactl --cpunodebind="$node" \
                timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json --output "$REPORT" -- \
                "$LAB/loadgen" spin "$LOAD_S" --cpu --truth "$TRUTH"
        truth_s=$(json "$TRUTH" .cpu_s)
        truth_j=$(calculate "$CORE_W * $truth_s")
        # The truth lacks how loadgen ends: some 0.01 s here, more on a busy host.
        check "node $node: CPU time" within "$(report .cpu_s)" "$truth_s" 1 0.08
        check "node $node: CPU time on socket $sockets" within \
                "$(over "$sockets" '' .cpu_s)" "$truth_s" 1 0.08
        check "node $node: joules on socket $sockets" within \
                "$(over "$sockets" '' .share.package_j)" "$truth_j" 3
        check "node $node: CPU time elsewhere" at_most "$(over "$sockets" '| not' .cpu_s)" 0.04
        check "node $node: joules elsewhere" at_most \
                "$(over "$sockets" '| not' .share.package_j)" "$(calculate "0.01 * $truth_j")"
        # The meter counts busy CPUs by itself, in the kernel.
        for socket in $(sockets); do
                base_w=$(($(domains_of_socket "$socket") * BASE_W))
                check "node $node: busy time of socket $socket is the meter's" within \
                        "$(over "$socket" '' .busy_s)" \
                        "$(calculate "($(over "$socket" '' .machine.package_j) - \
                                $base_w * $(report .duration_s)) / $CORE_W")" 1 0.04
        done
done
