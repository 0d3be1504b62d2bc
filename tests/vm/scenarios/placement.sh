#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: all
# measures: yes
# limit: 240
#
# A command that is bound to one node, or to one socket's part of it, is charged there: CPU time and
# joules on that socket, and nothing on others.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

LOAD_S=4
[[ $(nproc --all) -le 4 ]] || LOAD_S=10 # more emulated CPUs than the host has stall more often

# cpus_of NODE SOCKET: of the node those on the socket, with commas
cpus_of() {
        local cpu
        for cpu in /sys/devices/system/node/node"$1"/cpu[0-9]*; do
                [[ $(<"$cpu/topology/physical_package_id") != "$2" ]] || printf '%s,' "${cpu##*/cpu}"
        done
}

# of SOCKET VALUE
of() {
        report ".sockets[] | select(.socket == $1) | $2"
}

# bound NODE SOCKET
bound() {
        local at="node $1, socket $2" cpus truth_s truth_j socket base_w
        cpus=$(cpus_of "$1" "$2")
        rm -f "$TRUTH"
        # energat itself is bound, so that CMD is from its first instruction on.
        check "$at: energat run succeeds" taskset -c "${cpus%,}" \
                timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json --output "$REPORT" -- \
                "$LAB/loadgen" spin "$LOAD_S" --cpu --truth "$TRUTH"
        truth_s=$(json "$TRUTH" .cpu_s)
        truth_j=$(calculate "$CORE_W * $truth_s")
        # The truth lacks how loadgen ends: some 0.01 s here, more on a busy host.
        check "$at: CPU time" complete "$(report .cpu_s)" "$truth_s" 1 0.04
        check "$at: CPU time there" complete "$(of "$2" .cpu_s)" "$truth_s" 1 0.04
        check "$at: joules there" within "$(of "$2" .share.package_j)" "$truth_j" 3
        for socket in $(sockets); do
                if [[ $socket != "$2" ]]; then
                        check "$at: CPU time on socket $socket" at_most "$(of "$socket" .cpu_s)" 0.04
                        check "$at: joules elsewhere, on socket $socket" at_most \
                                "$(of "$socket" .share.package_j)" "$(calculate "0.01 * $truth_j")"
                fi
                # The meter counts busy CPUs by itself, in the kernel.
                base_w=$(($(domains_of_socket "$socket") * BASE_W))
                check "$at: busy time of socket $socket is the meter's" within \
                        "$(of "$socket" .busy_s)" \
                        "$(calculate "($(of "$socket" .machine.package_j) - \
                                $base_w * $(report .duration_s)) / $CORE_W")" 1 0.04
        done
}

lab_meter
# Emulated, energatd uses up to some ms of a tick, now more and now less, after it has read the meter:
# that energy comes a tick later than the time, and the load has a part of it.  Where the load has all of
# energatd on its own socket this is some percent, and with ticks of twice the length a quarter of that.
[[ $(sockets) == *' '* ]] || lab_configure '[sampling]' 'period = 20ms'
check "the report has every socket" equal "$(lab_run true && report '[.sockets[].socket] | join(" ")')" "$(sockets)"
for node in $(nodes); do
        for socket in $(sockets_of_node "$node"); do
                lab_measured bound "$node" "$socket"
        done
done
