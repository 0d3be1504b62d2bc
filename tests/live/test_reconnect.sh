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

# The trace's place goes while the process is followed: the summary is told all the same.
rig_start_daemon
mkdir "$RIG/gone"
"$RIG_BIN_DIR/loadgen" spin 2 --truth /dev/null &
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" --pid $! --name gone \
        --format json --output "$RIG/gone" >"$RIG/report.json" 2>"$RIG/err" </dev/null
sleep 1
rm -r "$RIG/gone"
wait "$RIG_PID"
check "a trace that cannot be written: 1" equal "$?" 1
check "and the result is told" jq -e '.cpu_s > 0.02 and .traces == null' "$RIG/report.json"
check "as is what is missing" says 'energat_traces_gone.csv could not be written' "$RIG/err"
rig_stop_daemon

# A recording of the machine outlives a connection that the daemon closes because it is idle, and a
# daemon that is started anew.
printf '[server]\nidle_timeout = 1s\n' >>"$RIG/energatd.conf"
rig_start_daemon
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" record --all \
        -o "$RIG/all.energat" --interval 3 >"$RIG/out" 2>"$RIG/err" </dev/null
sleep 4.5
rig_stop_daemon
rig_start_daemon
sleep 3.5
kill -INT "$RIG_PID"
wait "$RIG_PID"
check "record --all: outlives idle connections and a new daemon" equal "$?" 0
check "which is noted" says 'energatd was started anew: what was used in the [0-9.]+ s before' \
        "$RIG/err"
"$ENERGAT_BIN_DIR/energat" report "$RIG/all.energat" --format json >"$RIG/report.json"
check "also in the recording" jq -e '.complete and any(.notes[]; .text | test("started anew"))' \
        "$RIG/report.json"
# 20 W idle and no more than all cores for all of the time
check "no energy is counted twice" jq -e --argjson cpus "$(nproc)" \
        '.machine.package_j <= (20 + 10 * $cpus) * .duration_s * 1.05' "$RIG/report.json"

# One that is lost for good has no end.
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" record --all \
        -o "$RIG/lost.energat" --interval 0.5 >"$RIG/out" 2>"$RIG/err" </dev/null
sleep 2
kill_daemon
wait "$RIG_PID"
check "record --all: no energatd any more: 3" equal "$?" 3
"$ENERGAT_BIN_DIR/energat" report "$RIG/lost.energat" --format json >"$RIG/report.json"
check "and the recording is not complete" jq -e '.complete == false and .machine.package_j > 10' \
        "$RIG/report.json"
