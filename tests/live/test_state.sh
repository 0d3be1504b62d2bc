#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Totals outlive the daemon: killed at any moment, with a full disk, a read-only one, a torn file.
# tests/bench/kill_daemon.sh kills it 200 times.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

KILLS=${KILLS:-20}
SECONDS_BETWEEN=${SECONDS_BETWEEN:-1.2}
FILE=$RIG/state/totals.state

rig_require_python "totals outlive the daemon"

totals() {
        "$(dirname "$0")/../bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetTotals \
                >"$RIG/totals.json" </dev/null
}

warns() { # PATTERN
        totals && matches "$(json "$RIG/totals.json" '.warnings[]')" "$1"
}

has_no_warning() {
        totals && equal "$(json "$RIG/totals.json" '.warnings | length')" 0
}

log_lines() { # PATTERN
        grep -c -- "$1" "$RIG/daemon.log"
}

energy() {
        totals && json "$RIG/totals.json" '.domains[] | select(.kind == "package") | .energy_j'
}

test_kills() {
        rig_background "$RIG_BIN_DIR/loadgen" spin 300 --threads 2
        TRUTH_FILE=$RIG/sim.truth timeout -k 5 600 "$(dirname "$0")/state_check.py" \
                "$RIG/energat.sock" "$RIG/state" "$KILLS" "$SECONDS_BETWEEN" -- \
                "$ENERGAT_BIN_DIR/energatd" --config "$RIG/energatd.conf" \
                --socket "$RIG/energat.sock" --state-dir "$RIG/state" \
                --powercap-root "$RIG/powercap" >"$RIG/out" 2>&1 </dev/null
        check "killed $KILLS times: the state loads, no total decreases, no energy is lost" \
                test $? -eq 0
        note "$(cat "$RIG/out")"
        kill "$RIG_PID"
}

# A small file system of its own, that a test may fill
test_disk() {
        local before
        mkdir "$RIG/disk"
        if ! mount -t tmpfs -o size=64k,mode=0755 tmpfs "$RIG/disk" 2>/dev/null; then
                skip "a full and a read-only disk" "no file system can be mounted here"
                return
        fi
        rig_start_daemon --state-dir "$RIG/disk"
        check "a good disk: no warning" wait_for 5 has_no_warning
        head -c 200000 /dev/zero >"$RIG/disk/filler" 2>/dev/null
        check "a full disk is said in every answer" wait_for 10 warns 'not saved: .*No space left'
        before=$(energy)
        sleep 1
        check "and measuring goes on" equal "$(jq -n "$(energy) > $before + 10")" true
        check "and once in the log" equal "$(log_lines 'not saved: .*No space')" 1
        rm "$RIG/disk/filler"
        check "when there is room again, it is saved again" wait_for 10 has_no_warning
        check "and that is said once" equal "$(log_lines 'saved again')" 1
        mount -o remount,ro "$RIG/disk"
        check "a read-only disk is said in every answer" wait_for 10 warns 'not saved: .*Read-only'
        rig_run status --format json >"$RIG/status.json" </dev/null
        check "and in the status" matches "$(json "$RIG/status.json" '.warnings[]')" 'not saved'
        check "once in the log" equal "$(log_lines 'not saved: .*Read-only')" 1
        mount -o remount,rw "$RIG/disk"
        check "writable again: saved again" wait_for 10 has_no_warning
        rig_stop_daemon
        umount "$RIG/disk"
}

test_bad_file() {
        local before
        rig_start_daemon
        before=$(energy)
        rig_stop_daemon
        cp "$FILE" "$RIG/good"
        head -c 200 "$RIG/good" >"$FILE"
        rig_start_daemon
        check "a torn file is said" warns 'torn.*set aside as totals.state.bad-'
        check "and kept aside as it was" cmp <(head -c 200 "$RIG/good") "$RIG"/state/totals.state.bad-*
        check "and totals begin anew" equal "$(json "$RIG/totals.json" .starts)" 1
        rig_stop_daemon
        rm -f "$RIG"/state/totals.state.bad-*
        cp "$RIG/good" "$FILE"
        rig_start_daemon
        check "the good one is taken" equal "$(jq -n "$(energy) >= $before")" true
        check "and energy since then is nobody's, and said" matches "$(cat "$RIG/daemon.log")" \
                's without energatd: .* J of package energy'
        rig_stop_daemon
}

rig_start_sim
rig_baseline 20
test_bad_file
test_disk
rm -f "$FILE"
test_kills
