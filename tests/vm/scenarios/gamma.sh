#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# The power of a package grows with the root of its use, as real ones do: a second busy CPU costs less
# than the first.  Then gamma 0.5 tells what a command costs alone, even when it has a neighbour; and
# shares, which add up, give each its part of what both cost together.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

LOAD_S=5

lab_meter root=2
cpus=$(cat /sys/devices/system/node/node0/cpulist) # 0-1
first=${cpus%-*}
second=${cpus#*-}

# measured CPU REPORT: one busy CPU, with gamma 0.5
measured() {
        taskset -c "$1" timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 0.5 --format json \
                --output "$2" -- "$LAB/loadgen" spin "$LOAD_S" >/dev/null 2>&1
}

attributed_w() {
        calculate "$(json "$1" .attributed.package_j) / $(json "$1" .duration_s)"
}

alone_w=$(calculate "$CORE_W * 2 * 0.70711")
both_w=$(calculate "$CORE_W * 2")

measured "$first" "$LAB_WORK/alone"
check "alone: what it costs" within "$(attributed_w "$LAB_WORK/alone")" "$alone_w" 5

measured "$first" "$LAB_WORK/first" &
measured "$second" "$LAB_WORK/second"
wait
for one in first second; do
        check "beside a neighbour, $one: still what it costs alone" within \
                "$(attributed_w "$LAB_WORK/$one")" "$alone_w" 5
        check "beside a neighbour, $one: half of what both cost is its share" within \
                "$(calculate "$(json "$LAB_WORK/$one" .share.package_j) / $(json "$LAB_WORK/$one" .duration_s)")" \
                "$(calculate "$both_w / 2")" 8
done
