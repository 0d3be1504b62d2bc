#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# Totals survive energatd: what was used before a restart or a crash is still there afterwards, and what
# the meter has counted meanwhile is nobody's, but not lost.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

TICK_J=5 # at 80 W, with ticks that come late

total() {
        lab_call GetTotals | jq "$1"
}

# Of all packages, J: what energatd has counted in all
counted_j() {
        total '[.domains[] | select(.kind == "package") | .energy_j] | add'
}

is_up() {
        [[ $(systemctl show --property ActiveState,MainPID energatd.service | sort | xargs) == \
                "ActiveState=active MainPID="[1-9]* ]] && energat status >/dev/null 2>&1
}

# What the meter has counted in all packages, J.
meter_j() {
        cat /sys/class/powercap/intel-rapl:?/energy_uj | awk '{ sum += $1 } END { print sum / 1e6 }'
}

# goes_on HOW COMMAND...: totals before and after it
goes_on() {
        local how=$1 meter=() counted
        shift
        meter[0]=$(meter_j)
        counted=$(counted_j)
        meter[1]=$(meter_j)
        "$@"
        sleep 1
        check "$how: energatd is back" wait_for 30 is_up
        meter[2]=$(meter_j)
        counted=$(calculate "$(counted_j) - $counted")
        meter[3]=$(meter_j)
        # The meter is read just before and just after energatd is asked, and is a tick ahead of it.
        check "$how: energy is not less than the meter has counted" at_most \
                "$(calculate "0.99 * (${meter[2]} - ${meter[1]}) - $TICK_J")" "$counted"
        check "$how: nor more" at_most \
                "$counted" "$(calculate "1.01 * (${meter[3]} - ${meter[0]}) + $TICK_J")"
}

lab_meter
lab_load spin 3 --cpu
share_j=$(total '[.domains[] | .share_j // 0] | add')
cpu_s=$(total .cpu_s)
check "what has gone has used its part" at_most 25 "$share_j"
goes_on "restarted" systemctl restart energatd.service
check "restarted: CPU time is not less" at_most "$cpu_s" "$(total .cpu_s)"
check "restarted: nor are shares" at_most "$share_j" "$(total '[.domains[] | .share_j // 0] | add')"
goes_on "killed" systemctl kill --kill-who main --signal KILL energatd.service
check "a restart and a crash are counted as starts" at_most 3 "$(total .starts)"
