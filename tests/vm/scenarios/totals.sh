#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
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

# Of it, J: the shares of all processes, of those that have exited, too
shares_j() {
        total '[.domains[] | select(.kind == "package") | .share_j // 0] | add'
}

is_up() {
        [[ $(systemctl show --property ActiveState --value energatd.service) == active ]] &&
                energat status >/dev/null 2>&1
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
        check "$how: energatd is back" wait_for 60 is_up
        meter[2]=$(meter_j)
        counted=$(calculate "$(counted_j) - $counted")
        meter[3]=$(meter_j)
        # The meter is read just before and just after energatd is asked, and is a tick ahead of it.
        check "$how: energy is not less than the meter has counted" at_most \
                "$(calculate "0.99 * (${meter[2]} - ${meter[1]}) - $TICK_J")" "$counted"
        check "$how: nor more" at_most \
                "$counted" "$(calculate "1.01 * (${meter[3]} - ${meter[0]}) + $TICK_J")"
        check "$how: CPU time is not less" at_most "$cpu_s" "$(total .cpu_s)"
        check "$how: nor are shares" at_most "$share_j" "$(shares_j)"
}

lab_meter
starts=$(total .starts) # totals outlive what other scenarios did
before_j=$(shares_j)
before_s=$(total .cpu_s)
lab_load spin 3 --cpu
truth_s=$(json "$TRUTH" .cpu_s)
cpu_s=$(total .cpu_s)
share_j=$(shares_j)
# What shells and systemd have used meanwhile is a part of it.
check "what has gone has left its CPU time" at_most "$truth_s" "$(calculate "$cpu_s - $before_s")"
check "and its joules, but 3 %" at_most \
        "$(calculate "0.97 * $CORE_W * $truth_s")" "$(calculate "$share_j - $before_j")"
sleep 1 # until it is saved
goes_on "restarted" systemctl restart energatd.service
goes_on "killed" systemctl kill --kill-who main --signal KILL energatd.service
check "a restart and a crash are counted as two starts" equal "$(total .starts)" "$((starts + 2))"
