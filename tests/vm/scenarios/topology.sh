#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: all
#
# energatd sees the machine as it is, and says that it can be measured.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

lab_meter core=1 psys=1
lab_call Check >"$LAB_WORK/check.json"
line() {
        json "$LAB_WORK/check.json" '.lines[] | select(.name == $name) | .detail' --arg name "$1"
}

read -r _ sockets _ nodes _ cpus <<<"${TOPOLOGY_SEEN//,/}"
check "sockets, nodes and CPUs are those of the machine" \
        matches "$(line topology)" "^$sockets sockets?, $nodes NUMA nodes? with CPUs, $cpus CPUs online$"
check "the kernel agrees" equal \
        "$(sockets | wc -w) $(nodes | wc -l) $(nproc --all)" "$sockets $nodes $cpus"
check "the meter is powercap" matches "$(line meter)" '^powercap'
check "nothing is marked fail" equal \
        "$(json "$LAB_WORK/check.json" '[.lines[] | select(.result == "fail") | .name] | join(" ")')" ""
check "what is marked warn is only that an emulated machine stalls" equal \
        "$(json "$LAB_WORK/check.json" '[.lines[] | select(.result == "warn" and .name != "ticks") | .name] | join(" ")')" ""
check "energat --check succeeds" energat --check

for domain in $(domains); do
        check "$domain is a domain" matches "$(line "domain $domain")" 'counter range 262143'
done
