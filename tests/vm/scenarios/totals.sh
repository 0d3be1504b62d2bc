#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# Totals survive energatd: what was used before a restart or a crash is still there afterwards, and what
# the meter has counted meanwhile is nobody's, but not lost.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

rows() {
        lab_call GetRows | jq "$1"
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
        local how=$1 before_j before_meter_j before_cpu_s after_j
        shift
        before_j=$(rows .machine.package_j)
        before_meter_j=$(meter_j)
        before_cpu_s=$(rows .cpu_s)
        "$@"
        sleep 1
        check "$how: energatd is back" wait_for 20 is_up
        after_j=$(rows .machine.package_j)
        check "$how: CPU time is not less" at_most "$before_cpu_s" "$(rows .cpu_s)"
        # Between reading energatd and the meter some tenths of a second pass here.
        check "$how: energy is what the meter has counted" within "$(calculate "$after_j - $before_j")" \
                "$(calculate "$(meter_j) - $before_meter_j")" 5 40
}

lab_meter
lab_load spin 3 --cpu
check "what has gone has used its part" at_most 25 "$(rows .exited.share.package_j)"
goes_on "restarted" systemctl restart energatd.service
check "restarted: what had gone before has still used it" at_most 25 "$(rows .exited.share.package_j)"
goes_on "killed" systemctl kill --kill-who main --signal KILL energatd.service
check "killed: what had gone before has still used it" at_most 25 "$(rows .exited.share.package_j)"
