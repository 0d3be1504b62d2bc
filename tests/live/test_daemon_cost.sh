#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What energatd itself costs while nobody asks it anything: less than 3 % of one core at 10 ms.
# CPU time is that of its process, from /proc/PID/stat: 10 ms of resolution, 0.1 % of 10 s.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

LIMIT_PERCENT=3
SECONDS_MEASURED=10

if [[ ${ENERGAT_SANITIZE:-OFF} == ON ]]; then
        skip "energatd's cost" "built with sanitizers, which cost more than what is measured"
        exit
fi

# CPU time of the daemon in clock ticks: utime and stime, the 12th and 13th field after the name
daemon_ticks() {
        sed 's/.*) //' "/proc/$RIG_DAEMON_PID/stat" | awk '{ print $12 + $13 }'
}

now_s() {
        local up
        read -r up _ </proc/uptime
        echo "$up"
}

rig_start_sim
rig_baseline 20
rig_start_daemon
sleep 1 # what it does at its start is not what it costs

measure_cost() {
        local ticks_before before_s busy_before_s ticks_after after_s busy_after_s
        ticks_before=$(daemon_ticks)
        before_s=$(now_s)
        busy_before_s=$(rig_truth .busy_s)
        sleep "$SECONDS_MEASURED"
        ticks_after=$(daemon_ticks)
        after_s=$(now_s)
        busy_after_s=$(rig_truth .busy_s)
        cost_percent=$(calculate \
                "100 * ($ticks_after - $ticks_before) / $(getconf CLK_TCK) / ($after_s - $before_s)")
        note "energatd used $cost_percent % of one core; the machine, simulator included, was busy for \
$(calculate "100 * ($busy_after_s - $busy_before_s) / ($after_s - $before_s)") % of one core"
}

rig_calmly measure_cost
figure "energatd uses less than $LIMIT_PERCENT % of one core" at_most "$cost_percent" "$LIMIT_PERCENT"
