#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: memory-node one-socket-two-nodes
# limit: 240
#
# What is held on a node without CPUs is charged where the nearest CPUs are, and on no other socket;
# what is held on either node of one socket is charged on that.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

HELD_MIB=128
NODES=/sys/devices/system/node
held_w=$(calculate "$DRAM_GIB_W * $HELD_MIB / 1024")

# One node a line, of those with memory.
memory_nodes() {
        local meminfo
        for meminfo in "$NODES"/node*/meminfo; do
                [[ $(awk '$3 == "MemTotal:" { print $4 }' "$meminfo") -eq 0 ]] ||
                        basename "$(dirname "$meminfo")" | sed 's/^node//'
        done
}

# nearest_socket NODE: of the CPUs that are nearest to it; of several, the first
nearest_socket() {
        local i=0 best=1000 nearest='' distance other
        local -a others=("$NODES"/node*[0-9])
        for distance in $(<"$NODES/node$1/distance"); do # in the order of nodes, which are few here
                other=${others[i]##*/node}
                i=$((i + 1))
                if [[ $distance -lt $best && -n $(<"$NODES/node$other/cpulist") ]]; then
                        best=$distance
                        nearest=$other
                fi
        done
        sockets_of_node "$nearest"
}

is_held() {
        local kib
        kib=$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status")
        [[ ${kib:-0} -ge $((HELD_MIB * 1024)) ]]
}

# last_w SOCKET: power of the last whole interval that is charged to what was followed, with delta 1.
# Columns: time, socket, duration_sec, ..., ascribed_dram_joules (13th).
last_w() {
        awk -F , -v socket="$1" 'NR > 1 && $2 == socket && $3 > 0.9 { watts = $13 / $3 }
                END { print watts }' "$LAB_WORK/energat_traces_held.csv"
}

# follow PID SECONDS
follow() {
        timeout -s INT "$2" energat --pid "$1" --delta 1 --interval 1 --name held \
                --output "$LAB_WORK" >/dev/null 2>&1
}

lab_meter
cpuless=0
for node in $(memory_nodes); do
        [[ -n $(<"$NODES/node$node/cpulist") ]] || cpuless=$((cpuless + 1))
        its=$(nearest_socket "$node")
        "$LAB/loadgen" mem --mib "$HELD_MIB" --seconds 100 --node "$node" &
        holder=$!
        check "node $node: $HELD_MIB MiB are held there" wait_for 20 is_held "$holder"
        # Exact readings are rationed, and emulated CPUs are slow: where a short time does not do, a
        # longer one.
        for seconds in 10 20; do
                follow "$holder" "$seconds"
                ! within "$(last_w "$its")" "$held_w" 3 >/dev/null || break
        done
        kill "$holder"
        for socket in $(sockets); do
                more_w=0
                [[ $socket != "$its" ]] || more_w=$held_w
                check "what is held on node $node is charged on socket $socket" within \
                        "$(last_w "$socket")" "$more_w" 3 "$(calculate "0.03 * $held_w")"
        done
done
[[ $TOPOLOGY_NAME != memory-node ]] ||
        check "one of the nodes has no CPUs" equal "$cpuless" 1
