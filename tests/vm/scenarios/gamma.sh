#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# The power of a package grows with the root of its use, as real ones do: a second busy CPU costs less
# than the first.  Then gamma 0.5 tells what a command costs alone, even when it has a neighbour; and
# shares, which add up, give each its part of what both cost together.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

FOLLOW_S=6
ALONE_W=14.1421 # of two CPUs one is busy: CORE_W x 2 x (1/2)^(1/2)

# busy CPU: a load there, whose number is in pid
busy() {
        taskset -c "$1" "$LAB/loadgen" spin 300 & # which taskset becomes
        pid=$!
}

# follow PID NAME: for some seconds of its load, with gamma 0.5
follow() {
        taskset -c "$elsewhere" timeout -s INT "$FOLLOW_S" energat --pid "$1" --gamma 0.5 \
                --interval 1 --name "$2" --output "$LAB_WORK" --format json >"$LAB_WORK/report-$2"
}

# power NAME FIELD: package energy of that kind, W
power() {
        calculate "$(json "$LAB_WORK/report-$1" ".$2.package_j") / $(json "$LAB_WORK/report-$1" .duration_s)"
}

alone() {
        follow "$first" alone
        check "alone: what it costs" within "$(power alone attributed)" "$ALONE_W" 3
}

neighbours() {
        local one follower
        follow "$first" first &
        follower=$!
        follow "$second" second
        wait "$follower"
        for one in first second; do
                check "beside a neighbour, $one: still what it costs alone" within \
                        "$(power "$one" attributed)" "$ALONE_W" 3
                check "beside a neighbour, $one: half of what both cost is its share" within \
                        "$(power "$one" share)" "$CORE_W" 3
        done
}

lab_meter root=2
# The loads have a node for themselves: of an emulated CPU, energatd's ticks use some percent.
elsewhere=$(</sys/devices/system/node/node0/cpulist)
lab_drop_in "CPUAffinity=$elsewhere"
cpus=$(</sys/devices/system/node/node1/cpulist) # 2-3
busy "${cpus%-*}"
first=$pid
sleep 1
lab_measured alone
busy "${cpus#*-}"
second=$pid
sleep 1
lab_measured neighbours
kill -KILL "$first" "$second"
wait 2>/dev/null
