#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A meter that fails, kind by kind: the fault is seen by a client at the next tick (a counter that stands
# still, as soon as it can be told from a slow one), the other domain goes on, nothing is counted
# that was not there, what the counter went on counting arrives when it is well again, and the log says each
# fault once when it begins and once when it ends.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

DRAM=intel-rapl:0:0
TICK_S=0.01

status() {
        rig_run status --format json >"$RIG/status.json" </dev/null
}

domain() { # KIND FIELD
        json "$RIG/status.json" ".domains[] | select(.kind == \"$1\") | .$2"
}

has_fault() {
        status && [[ $(domain dram fault) != null ]]
}

is_well() {
        status && [[ $(domain dram fault) == null ]]
}

log_lines() { # PATTERN
        grep -c -- "$1" "$RIG/daemon.log"
}

# What the daemon has counted on both kinds of domain so far, in J
counted_j() { # KIND
        "$(dirname "$0")/../bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetRows \
                >"$RIG/rows.json" </dev/null
        json "$RIG/rows.json" ".machine.$1_j"
}

# one_fault COMMAND TEXT SECONDS: the fault shows as TEXT within SECONDS
one_fault() {
        local command=$1 text=$2 limit_s=$3 lines faults dram_j truth_j package_j
        lines=$(log_lines 'domain .*dram')
        status
        faults=$(domain dram faults)
        sleep 0.2 # the truth is written every 0.1 s
        package_j=$(counted_j package)
        dram_j=$(counted_j dram)
        truth_j=$(rig_truth '.packages[0].dram_energy_uj / 1e6')

        check "$command: the simulator obeys" rig_control "$command" "$DRAM"
        if [[ $limit_s == tick ]]; then
                sleep "$(calculate "3 * $TICK_S")" # the command's own way into the tree, and one tick
                status
        else
                wait_for "$limit_s" has_fault
        fi
        # A counter that was set to 0 is well again at the reading after.
        [[ $command == reset ]] ||
                check "$command: a client sees the fault" matches "$(domain dram fault)" "$text"
        check "$command: faulty readings are counted" \
                equal "$(json "$RIG/status.json" \
                        ".domains[] | select(.kind == \"dram\") | .faults > $faults")" true
        check "$command: the package goes on without one" equal "$(domain package fault)" null
        rig_run run --format json -- sleep 0.3 >"$RIG/report.json" </dev/null
        [[ $command == reset ]] ||
                check "$command: a report warns of it" \
                        matches "$(json "$RIG/report.json" '.warnings[]')" "dram.*$text"
        check "$command: the package is measured meanwhile" \
                equal "$(json "$RIG/report.json" '.machine.package_j / .duration_s > 15')" true
        check "$command: heals" rig_control heal "$DRAM"
        check "$command: the recovery is noticed" wait_for 3 is_well
        check "$command: the log names it" matches "$(grep 'domain .*dram' "$RIG/daemon.log")" "$text"
        check "$command: one line for its beginning and one for its end" \
                equal "$(($(log_lines 'domain .*dram') - lines))" 2
        sleep 0.2
        dram_j=$(calculate "$(counted_j dram) - $dram_j")
        truth_j=$(calculate "$(rig_truth '.packages[0].dram_energy_uj / 1e6') - $truth_j")
        # At about 7 W: 0.3 s between the two clocks, and 3 s of a fault.
        if [[ $command == reset ]]; then
                check "$command: no energy is invented" at_most "$dram_j" "$(calculate "$truth_j + 2")"
        else
                check "$command: the energy before, meanwhile and after is all there" \
                        within "$dram_j" "$truth_j" 1 2
        fi
        check "$command: the package lost nothing" equal \
                "$(jq -n "$(counted_j package) > $package_j + 20")" true
}

rig_start_sim --dram --dram-base 4
rig_baseline 20
rig_start_daemon
one_fault garbage "not a number" tick
one_fault eio "cannot be read|has gone" tick
one_fault vanish "has gone" tick
one_fault stuck "has not moved" 5
one_fault reset "went back" tick

calibrate() {
        rig_run --basepower --base-period 0.2 --windows 2 --force >"$RIG/out" 2>"$RIG/err" </dev/null
}

# Dram that was never known is no loss, and the packages are calibrated without it.
rig_control eio "$DRAM"
calibrate
check "a package is calibrated without dram that never was known" equal "$?" 0
check "which is said" matches "$(cat "$RIG/out")" 'no power of dram: .*dram could not be read all the time'
check "and only dram is not known" equal \
        "$(jq -c '[(.pkg_base_w[0] > 0), .dram_base_w]' "$RIG/state/baseline_power.json")" '[true,[null]]'
rig_control heal "$DRAM"
check "its counter is back" wait_for 3 is_well
calibrate
check "with its counter back dram is calibrated, too" equal \
        "$(jq -c '[.dram_base_w[] > 0]' "$RIG/state/baseline_power.json")" '[true]'

# One that was known is: such a calibration does not take the place of one that has it.
before=$(cat "$RIG/state/baseline_power.json")
rig_control eio "$DRAM"
calibrate
check "without its dram counter the machine is not calibrated" equal "$?" 1
check "which is said" matches "$(cat "$RIG/err")" 'dram could not be read all the time.*nothing was changed'
check "and the baseline is as it was" equal "$(cat "$RIG/state/baseline_power.json")" "$before"
rig_control heal "$DRAM"

# A program that starts while the counter fails, and goes on when it is well again: what had been used
# before is the machine's alone, by either model.
PACKAGE=intel-rapl:0
rig_baseline 20 4
rig_stop_daemon
rig_start_daemon
rig_background "$RIG_BIN_DIR/loadgen" spin 8 --truth /dev/null
rig_control eio "$PACKAGE"
sleep 4
rig_run run --format json --gamma 1 -- "$RIG_BIN_DIR/loadgen" spin 3 --cpu --truth /dev/null \
        >"$RIG/late.json" </dev/null &
run=$!
sleep 0.3
rig_control heal "$PACKAGE"
wait "$run"
check "energy that came late is no program's" at_most \
        "$(json "$RIG/late.json" .attributed.package_j)" 31
check "what came in time is" at_most 5 "$(json "$RIG/late.json" .attributed.package_j)"
check "nor is it in its share" within "$(json "$RIG/late.json" .share.package_j)" \
        "$(json "$RIG/late.json" .attributed.package_j)" 10 0.5
check "the machine's energy has it, and that is said" matches \
        "$(json "$RIG/late.json" '.warnings[]')" 'package energy could not be read all the time: that of [4-9]\.'

# Not 0 W either before it is sure that the counter is stuck.
rig_control heal "$PACKAGE"
check "the package is well again" wait_for 5 eval 'status && [[ $(domain package fault) == null ]]'
rig_control stuck "$PACKAGE"
rig_run run --format json -- sleep 0.5 >"$RIG/still.json" </dev/null
check "a package's counter that stands still is not 0 W" equal \
        "$(json "$RIG/still.json" '[.machine, .share, .attributed] | map(.package_j) | tostring')" \
        '[null,null,null]'
check "which is the reason" matches "$(json "$RIG/still.json" .reasons.package)" 'stood still|has not moved'
before=$(cat "$RIG/state/baseline_power.json")
calibrate
check "and no base power" equal "$?" 1
check "so that the baseline is as it was" equal "$(cat "$RIG/state/baseline_power.json")" "$before"
rig_control heal "$PACKAGE"
