#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What `energat run` says a command cost, against what it did cost, for the six targets on which
# tools that look at /proc go wrong.  The simulated package takes 20 W and 10 J for every second of
# CPU time, so the additive share of a command that used T seconds is 10 J x T, whatever else ran.
# With gamma 1 EnergAt's estimate for a command that runs evenly is the same.
#
# Others may be at work on this machine: the simulator has every CPU charged at each step (--exact),
# so that what a neighbour used is never told in the time of a target.  Where the simulator itself was
# not let run, by its own count, its energy came in lumps that no meter has: then once more.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

BASE_W=20
J_PER_CPU_S=10
PERCENT=1           # of the truth, in joules
EXIT_S=0.005        # of CPU time, to exit after it has told the truth
UNEVEN_PERCENT=5    # for the estimate where the target's part of the machine changes in its interval
LOADGEN=$RIG_BIN_DIR/loadgen

# Some kernels hide a process from tracing: that of a sandbox's own agent, pid 1.  No row is charged
# for what it uses, so all others are charged for it, too.  Its CPU time so far, in seconds:
hidden_s() {
        if [[ $AGENT_HIDDEN == yes ]]; then
                cat /proc/1/task/*/schedstat 2>/dev/null | awk '{ ns += $1 } END { printf "%.9f\n", ns / 1e9 }'
        else
                echo 0
        fi
}

has_row() {
        python3 "$(dirname "$0")/../bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetRows |
                jq -e --argjson pid "$1" 'any(.rows[]; .pid == $pid)' >/dev/null
}

# run_once COMMAND...: report and truth, and the time that was hidden
run_once() {
        local status hidden_before

        rm -f "$RIG/report.json" "$RIG/load.json"
        hidden_before=$(hidden_s)
        rig_run run --gamma 1 --format json -- "$@" --truth "$RIG/load.json" \
                >"$RIG/report.json" </dev/null
        status=$?
        HIDDEN_S=$(calculate "$(hidden_s) - $hidden_before")
        return "$status"
}

# measured NAME COMMAND...: run it, compare its report with its own truth
measured() {
        local name=$1 report=$RIG/report.json truth=$RIG/load.json
        local truth_j duration_s percent
        shift

        rig_calmly run_once "$@"
        check "$name: energat run succeeds" equal "$?" 0
        truth_j=$(calculate "$J_PER_CPU_S * $(json "$truth" .cpu_s)")
        duration_s=$(json "$report" .duration_s)
        percent=$(calculate "$PERCENT + 100 * $HIDDEN_S / ($(json "$report" '[.sockets[].busy_s] | add'))")

        check "$name: CPU time is right" \
                complete "$(json "$report" .cpu_s)" "$(json "$truth" .cpu_s)" 0.5 "$EXIT_S"
        figure "$name: share within $PERCENT % of the truth" \
                within "$(json "$report" .share.package_j)" "$truth_j" "$percent"
        figure "$name: the static part is the baseline's power" \
                within "$(json "$report" .machine.static_package_j)" \
                "$(calculate "$BASE_W * $(rig_sockets) * $duration_s")" 1 0.5
        figure "$name: the duration is the command's" \
                within "$duration_s" "$(json "$truth" .wall_s)" 1 0.1
        check "$name: the share is not above dynamic energy" at_most \
                "$(json "$report" .share.package_j)" \
                "$(json "$report" '.machine.package_j - .machine.static_package_j + 0.000001')"
        check "$name: the sockets sum to the whole" \
                within "$(json "$report" '[.sockets[].share.package_j] | add')" \
                "$(json "$report" .share.package_j)" 0.001
        check "$name: the source is the meter, and nothing is estimated" \
                equal "$(json "$report" '"\(.source) \(.estimated)"')" "powercap false"
        check "$name: no dram domain is no dram energy, not 0" \
                equal "$(json "$report" '"\(.share.dram_j) \(.attributed.dram_j)"')" "null null"
        check "$name: the exit status is there" equal "$(json "$report" .exit_status)" 0
}

estimate_is_share() {
        figure "$1: with gamma 1 the attributed energy is the share" \
                within "$(json "$RIG/report.json" .attributed.package_j)" \
                "$(json "$RIG/report.json" .share.package_j)" "$2"
}

rig_start_sim --exact
rig_baseline "$BASE_W"
rig_start_daemon
AGENT_HIDDEN=no
if ! command -v python3 >/dev/null; then
        note "there is no python3: whether a process is hidden from tracing is not known"
elif ! has_row 1; then
        AGENT_HIDDEN=yes
        note "pid 1 is hidden from tracing here; its part of the CPU time is allowed beside $PERCENT %"
fi

measured "one thread at 100 %" "$LOADGEN" spin 5
estimate_is_share "one thread at 100 %" "$PERCENT"
measured "20 ms of every 200 ms" "$LOADGEN" burst --on-ms 20 --period-ms 200 --seconds 12
measured "600 children of 5 ms" "$LOADGEN" storm --children 600 --ms 5
estimate_is_share "600 children of 5 ms" "$UNEVEN_PERCENT"
measured "a process that lives 0.6 s" "$LOADGEN" spin 0.6 --cpu
rig_background "$LOADGEN" spin 60
measured "25 % of a core beside a neighbour at 100 %" "$LOADGEN" quota --percent 25 --seconds 8
estimate_is_share "25 % of a core beside a neighbour at 100 %" "$UNEVEN_PERCENT"
rig_end "$RIG_PID" 2>/dev/null
measured "8 threads" "$LOADGEN" spin 5 --threads 8
estimate_is_share "8 threads" "$PERCENT"
