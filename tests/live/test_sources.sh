#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Which source is taken: the best that works, with the reason why others were not; the one that is asked
# for, or none; and a meter that comes after the daemon's start.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

COME_S=25 # the daemon looks every 10 s

source_in_use() {
        rig_run status --format json </dev/null >"$RIG/status.json"
        json "$RIG/status.json" '"\(.source) \(.estimated)"'
}

uses() {
        [[ $(source_in_use) == "$1" ]]
}

# A source that cannot work here is an error that says why and what could be used.
for source in powercap nonsense; do
        timeout 10 "$ENERGAT_BIN_DIR/energatd" --config "$RIG/energatd.conf" --source "$source" \
                --socket "$RIG/none.sock" --state-dir "$RIG/state" --powercap-root "$RIG/nowhere" \
                >"$RIG/refused.log" 2>&1 </dev/null
        check "--source $source that does not work: energatd fails" equal "$(($? == 1 || $? == 2))" 1
        check "--source $source: it is named" matches "$(cat "$RIG/refused.log")" "$source"
        check "--source $source: no socket is left" equal "$(ls "$RIG/none.sock" 2>/dev/null)" ""
done

rig_start_daemon
check "without a meter: estimate" equal "$(source_in_use)" "estimate true"
rig_run --check >"$RIG/check.txt" </dev/null
check "without a meter: --check says so, and why" equal "$?" 1
check "without a meter: --check names powercap" matches "$(cat "$RIG/check.txt")" "fail.*meter.*powercap"
rig_run run -- true 2>"$RIG/report.txt" </dev/null
check "without a meter: the text says it is an estimate" \
        matches "$(cat "$RIG/report.txt")" "estimated, no energy meter on this machine"

umask 077 # as the kernel has it: for root alone, which energatd is no longer
rig_start_sim
umask 022
check "a meter that comes later is root's alone" \
        equal "$(stat -c '%U %a' "$(find "$RIG/powercap" -name energy_uj | head -n 1)")" "root 400"
check "a meter that comes later is taken" wait_for "$COME_S" uses "powercap false"
check "and that is in the log" matches "$(cat "$RIG/daemon.log")" "powercap has come"

rig_run sensors >"$RIG/sensors.txt" </dev/null
check "sensors: the meter in use" matches "$(cat "$RIG/sensors.txt")" "^powercap, in use"
check "sensors: its package, with range, step, refresh time and power" \
        matches "$(cat "$RIG/sensors.txt")" "package-0 +attributed +262 kJ .* [um]?s +[0-9.]+ W"
check "sensors: the others too" matches "$(cat "$RIG/sensors.txt")" "^estimate, works, not in use"
rig_run sensors --format json >"$RIG/sensors.json" </dev/null
refresh_s=$(json "$RIG/sensors.json" '.sources[0].domains[0].refresh_s')
check "sensors: the refresh time is the simulator's 1 ms" within "$refresh_s" 0.001 60
rig_stop

# --- what energy is not told, is said ---------------------------------------------------------------

# On a machine of one socket the second package has no CPUs.
rm -rf "$RIG/powercap"
rig_start_sim --packages $(($(rig_sockets) + 1)) --dram
rig_baseline 20 3
rig_start_daemon
rig_run run --format json -- sleep 0.3 >"$RIG/report.json" </dev/null
rig_run check >"$RIG/check" </dev/null
check "a package without CPUs is in no figure, which the result says" matches \
        "$(json "$RIG/report.json" '.warnings[]')" '^package-[0-9]+ .*in no figure of the machine'
check "and the check" matches "$(cat "$RIG/check")" '^warn +domain package-[0-9]+ '
rig_stop

# 0.15 J: 1 ms and less, at the power of a busy server
rm -rf "$RIG/powercap"
rig_start_sim --range 150000
rig_baseline 20
rig_start_daemon
rig_run run --format json -- sleep 0.3 >"$RIG/report.json" </dev/null
check "a counter that can begin anew between two readings is warned of" matches \
        "$(json "$RIG/report.json" '.warnings[]')" '^package-0: its counter begins anew every 0\.15 J'
