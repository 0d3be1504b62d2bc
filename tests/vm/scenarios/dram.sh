#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# Memory's energy is counted where the memory is, and charged to who holds it.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

HELD_MIB=256
EXACT_S=25
held_w=$(calculate "$DRAM_GIB_W * $HELD_MIB / 1024")

# Power of each socket's memory while the last report was made, into dram_w[].
dram_w=()
take_dram_w() {
        local socket
        for socket in $(sockets); do
                dram_w[socket]=$(calculate "$(report ".sockets[$socket].machine.dram_j") / $(report .duration_s)")
        done
}

is_held() {
        local word kib
        while read -r word kib _; do
                [[ $word != VmRSS: || $kib -lt $((HELD_MIB * 1024)) ]] || return 0
        done <"/proc/$1/status"
        return 1
}

# last_w SOCKET: power of the last whole interval that is charged to what was followed.  With delta 1
# attributed energy is the share.  Columns: time, socket, duration_sec, ..., ascribed_dram_joules (13th).
last_w() {
        awk -F , -v socket="$1" 'NR > 1 && $2 == socket && $3 > 0.9 { watts = $13 / $3 }
                END { print watts }' "$LAB_WORK/energat_traces_held.csv"
}

lab_meter
lab_run sleep 1
take_dram_w
before_w=("${dram_w[@]}")
for node in $(nodes); do
        "$LAB/loadgen" mem --mib "$HELD_MIB" --seconds 100 --node "$node" &
        holder=$!
        check "node $node: $HELD_MIB MiB are held there" wait_for 60 is_held "$holder"
        lab_run sleep 1
        take_dram_w
        for socket in $(sockets); do
                more_w=0
                [[ $(sockets_of_node "$node") != "$socket" ]] || more_w=$held_w
                # Page cache, shells and jq use and free some 20 MiB.
                check "node $node: dram power of socket $socket" within \
                        "${dram_w[socket]}" "$(calculate "${before_w[socket]} + $more_w")" 0 0.3
        done
        last=$holder
        [[ $node == "$(nodes | tail -n 1)" ]] || kill "$holder"
done

# Exact readings of memory are rationed by the CPU time that they take, and emulated CPUs are slow:
# where they come too late for a short time, it has to be a longer one.
for seconds in 10 "$EXACT_S"; do
        timeout -s INT "$seconds" energat --pid "$last" --delta 1 --interval 1 --name held --output "$LAB_WORK" \
                >/dev/null 2>&1
        ! within "$(last_w "$(sockets_of_node "$node")")" "$held_w" 1 || break
done
kill "$last"
for socket in $(sockets); do
        more_w=0
        [[ $(sockets_of_node "$node") != "$socket" ]] || more_w=$held_w
        check "what is held on node $node is charged on socket $socket" within \
                "$(last_w "$socket")" "$more_w" 3 "$(calculate "0.01 * $held_w")"
done

lab_meter dram=0
lab_run sleep 1
check "without dram zones dram energy is null" equal \
        "$(report '"\(.machine.dram_j) \(.share.dram_j) \(.attributed.dram_j)"')" "null null null"
check "and the reason is there" matches "$(report .reasons.dram)" 'no dram domain'
check "package energy is measured nevertheless" within \
        "$(report .machine.package_j)" \
        "$(calculate "2 * $BASE_W * $(report .duration_s) + $CORE_W * $(report '[.sockets[].busy_s] | add')")" 5
check "energat --check succeeds" energat --check
