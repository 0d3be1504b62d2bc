#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# energat top with 2,000 processes: how long an answer takes beside the sampling interval, and what
# the full screen costs at one view a second.  See README.md.
#
# usage: top_cost.sh [ROUNDS] [SECONDS]; BENCH_PROCESSES sets how many processes

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

ROUNDS=${1:-15}
SECONDS_EACH=${2:-30}
PROCESSES=${BENCH_PROCESSES:-2000}
INTERVAL_S=1
LIMIT_MS=50
LIMIT_PERCENT=2
TMUX_SERVER=energat-bench-$$

if ! command -v tmux >/dev/null; then
        skip "top_cost" "there is no tmux"
        exit
fi

processes() {
        find /proc -maxdepth 1 -name '[0-9]*' 2>/dev/null | wc -l
}

are_there() {
        [[ $(processes) -ge $PROCESSES ]]
}

# answer_ms: wall time of one view less the interval that it is about
answer_ms() {
        local start end
        start=$(date +%s%N)
        rig_run top --batch -n 1 -d "$INTERVAL_S" >"$RIG/view" 2>"$RIG/view.err" </dev/null || return 1
        end=$(date +%s%N)
        calculate "($end - $start) / 1e6 - 1000 * $INTERVAL_S"
}

top_pid() {
        pgrep -f "^$ENERGAT_BIN_DIR/energat --socket $RIG/energat.sock top" | head -n 1
}

# The sleepers of this shell, in the background as one job.
many_sleepers() {
        local i
        trap 'kill $(jobs -p); exit' TERM
        for ((i = 0; i < PROCESSES; i++)); do
                sleep 1000 &
        done
        wait
}

export -f many_sleepers
export PROCESSES
accounting_start_daemon
rig_background bash -c many_sleepers
if ! wait_for 60 are_there; then
        fail "$PROCESSES processes can be made"
        exit
fi
sleep 1

answers=()
bench_columns round 5 'answer ms' 10 rows 6
for ((round = 1; round <= ROUNDS; round++)); do
        answers+=("$(answer_ms)")
        bench_row "$round" "$(format %.1f "${answers[-1]}")" "$(sed '1,/^$/d' "$RIG/view" | wc -l)"
done
answer=$(median "${answers[@]}")
verdict at_most "$answer" "$LIMIT_MS"
answer_verdict=$VERDICT

tmux -L "$TMUX_SERVER" -f /dev/null new-session -d -x 120 -y 40 \
        "$ENERGAT_BIN_DIR/energat --socket $RIG/energat.sock top -d $INTERVAL_S"
sleep 3 # the first views look every process up
pid=$(top_pid)
before=$(schedstat_ns "$pid")
daemon_before=$(schedstat_ns "$RIG_DAEMON_PID")
sleep "$SECONDS_EACH"
after=$(schedstat_ns "$pid")
daemon_after=$(schedstat_ns "$RIG_DAEMON_PID")
tmux -L "$TMUX_SERVER" kill-server
percent=$(calculate "($after - $before) / 1e7 / $SECONDS_EACH")
verdict at_most "$percent" "$LIMIT_PERCENT"
echo "full screen for $SECONDS_EACH s: $(format %.2f "$percent") % of a core; the daemon meanwhile" \
        "$(format %.2f "$(calculate "($daemon_after - $daemon_before) / 1e7 / $SECONDS_EACH")") %, ticks included"
echo "answers, ms: median $(format %.1f "$answer") ($(spread "${answers[@]}"))"
summary "$PROCESSES processes: an answer takes $(format %.1f "$answer") ms (limit: $LIMIT_MS): $answer_verdict; the screen $(format %.2f "$percent") % of a core (limit: $LIMIT_PERCENT): $VERDICT"
