#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a result says when base power was not known all the time, or not of every domain: the static
# part is null with the reason, and a warning tells what that makes of the rest.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

# reason KEY: of the run before
reason() {
        json "$RIG/report.json" ".reasons.$1"
}

report_warns() { # PATTERN
        matches "$(json "$RIG/report.json" '.warnings[]')" "$1"
}

# --- a baseline that comes while a program runs -------------------------------------------------

rig_start_sim --dram --dram-base 4
rig_start_daemon
rig_run run --format json -- sleep 5 >"$RIG/report.json" </dev/null &
run=$!
sleep 1
rig_run basepower --base-period 0.4 --windows 3 --force >/dev/null </dev/null
check "base power is measured while a program runs" equal "$?" 0
wait "$run"
check "its static part is not known" equal \
        "$(json "$RIG/report.json" '.machine | "\(.static_package_j) \(.static_dram_j)"')" "null null"
check "because there was no baseline at first" \
        matches "$(reason static)" '^there was no baseline in the first [2-4]\.'
check "nor one of dram" matches "$(reason static_dram)" '^there was no baseline in the first [2-4]\.'
check "and a warning says what became of that power" \
        report_warns '^package: the baseline came when [2-4]\.. s were over: .* counted as used by programs'
rig_run run --format json -- sleep 0.5 >"$RIG/report.json" </dev/null
check "the next result has it all" equal \
        "$(json "$RIG/report.json" '.machine.static_package_j > 5 and .machine.static_dram_j > 1')" true
check "and gives no reason" equal "$(json "$RIG/report.json" .reasons)" '{}'

# --- a baseline without dram ---------------------------------------------------------------------

rig_stop_daemon
rig_baseline 20
rig_start_daemon
rig_run run --format json -- sleep 0.5 >"$RIG/report.json" </dev/null
check "without a baseline of dram its static part is not known" equal \
        "$(json "$RIG/report.json" '.machine | "\(.static_package_j > 5) \(.static_dram_j)"')" "true null"
check "and that is the reason" equal "$(reason static_dram)" "there is no baseline"
check "a warning says what its idle power counts as" report_warns '^no baseline of dram: '
rig_stop_daemon

# --- one that is too high -------------------------------------------------------------------------

rig_baseline 500 300
rig_start_daemon
sleep 2
rig_run check >"$RIG/check" </dev/null
check "the check warns of a baseline that is not reached, and says how often" matches "$(cat "$RIG/check")" \
        '^warn +calibration .*package-0 used less than its baseline of 500\.0 W in [0-9]+ of [0-9]+ ticks'
rig_run status --format json >"$RIG/status.json" </dev/null
check "the status, too" matches "$(json "$RIG/status.json" '.warnings[]')" \
        '^package-0 used less than its baseline of 500\.0 W'
