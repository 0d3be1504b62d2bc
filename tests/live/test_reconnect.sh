#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A daemon that is lost in the middle of a measurement is reported at once, what is measured is not
# touched, and when a daemon is back, measuring goes on: the result is the sum of what came before
# and after, and says how long nothing was counted.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

J_PER_CPU_S=10

kill_daemon() {
        kill -KILL "$RIG_DAEMON_PID"
        wait "$RIG_DAEMON_JOB" 2>/dev/null
        RIG_DAEMON_JOB=
}

says() { # PATTERN FILE
        grep -Eq -- "$1" "$2"
}

# counted_but_gap: CPU time is the truth's, less at most what the one thread can have used in the gap;
# what is counted is more than before the gap, and has its energy
counted_but_gap() {
        local gap cpu truth
        gap=$(json "$RIG/report.json" '.warnings[]' |
                sed -n 's/^energatd was away [0-9]* times\{0,1\}: \([0-9.]*\) s .*/\1/p')
        cpu=$(json "$RIG/report.json" .cpu_s)
        truth=$(json "$RIG/truth.json" .cpu_s)
        at_most "$cpu" "$(calculate "$truth + 0.02")" &&
                at_most "$truth" "$(calculate "$cpu + $gap + 0.1")" &&
                at_most "$gap" 6 &&
                within "$(json "$RIG/report.json" .share.package_j)" \
                        "$(calculate "$J_PER_CPU_S * $cpu")" 5 0.5
}

# lost_for SECONDS HOW: while the job in RIG_PID runs; its messages are in $RIG/err
lost_for() {
        sleep 2
        case $2 in
        killed) kill_daemon ;;
        stopped) rig_stop_daemon ;;
        esac
        check "$2: lost, and said at once" wait_for 2 says 'lost energatd at' "$RIG/err"
        sleep "$1"
        rig_start_daemon
        check "$2: back, and said" wait_for 5 says 'energatd is back' "$RIG/err"
}

rig_start_sim
rig_baseline 20
for how in killed stopped; do
        rig_start_daemon
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --format json -- \
                sh -c '"$1" spin 7 --truth "$2"; exit 7' - "$RIG_BIN_DIR/loadgen" \
                "$RIG/truth.json" >"$RIG/report.json" 2>"$RIG/err" </dev/null
        lost_for 1 "$how"
        wait "$RIG_PID"
        check "$how: run: the command was not touched, its status is its own" equal "$?" 7
        check "$how: run: the gap is stated" matches "$(json "$RIG/report.json" '.warnings[]')" \
                'energatd was away [0-9]+ times?: .* s in between are not counted'
        check "$how: run: both parts are in the sum" counted_but_gap
        rig_stop_daemon
done

rig_start_daemon
"$RIG_BIN_DIR/loadgen" spin 7 --truth "$RIG/truth.json" &
target=$!
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" --pid "$target" \
        --format json --output "$RIG" >"$RIG/report.json" 2>"$RIG/err" </dev/null
lost_for 1 killed
wait "$RIG_PID"
check "--pid: it ends well" equal "$?" 0
wait "$target"
check "--pid: the gap is stated" matches "$(json "$RIG/report.json" '.warnings[]')" \
        'energatd was away [0-9]+ time'
check "--pid: both parts are in the sum" counted_but_gap

# Nobody comes back: what is known is told when the command ends.
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --format json -- \
        sh -c 'sleep 4; exit 5' >"$RIG/report.json" 2>"$RIG/err" </dev/null
sleep 2.5
kill_daemon
wait "$RIG_PID"
check "nobody comes back: the command's status" equal "$?" 5
check "and what was counted is told, with a warning" \
        matches "$(json "$RIG/report.json" '.warnings[]')" 'no last report from energatd'
