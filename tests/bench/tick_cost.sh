#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A tick costs what ran in it, not what exists: the daemon's CPU time for each tick with 20,000 idle
# threads present, against none.  See README.md.
#
# usage: tick_cost.sh [ROUNDS] [SECONDS]; BENCH_THREADS sets how many threads

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

ROUNDS=${1:-9}
SECONDS_EACH=${2:-5}
THREADS=${BENCH_THREADS:-20000}
LIMIT_PERCENT=10

ticks() {
        "$BENCH_DIR/varlink_call.py" "$RIG/energat.sock" io.energat.GetStatus | jq .ticks
}

# us_per_tick: over SECONDS_EACH, all threads of the daemon
us_per_tick() {
        local ticks_before ns_before ticks_after ns_after
        ticks_before=$(ticks)
        ns_before=$(schedstat_ns "$RIG_DAEMON_PID")
        sleep "$SECONDS_EACH"
        ns_after=$(schedstat_ns "$RIG_DAEMON_PID")
        ticks_after=$(ticks)
        calculate "($ns_after - $ns_before) / 1000 / ($ticks_after - $ticks_before)"
}

threads_are_there() {
        [[ $(awk '$1 == "Threads:" { print $2 }' "/proc/$RIG_PID/status") -gt $THREADS ]]
}

threads_are_gone() {
        [[ ! -e /proc/$1 ]]
}

room=$(($(cat /proc/sys/kernel/pid_max) - $(find /proc/[0-9]*/task -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)))
if [[ $room -lt $((THREADS + 1000)) ]]; then
        skip "tick_cost" "there is no room for $THREADS threads: kernel.pid_max is too small"
        exit
fi

accounting_start_daemon
without=()
with=()
bench_columns round 5 'none us' 8 "$THREADS us" 10 'more %' 8
for ((round = 1; round <= ROUNDS; round++)); do
        sleep 1
        without+=("$(us_per_tick)")
        rig_background "$ACCOUNTING_LOADGEN" idle-threads --threads "$THREADS" --seconds 600 \
                --truth /dev/null
        if ! wait_for 60 threads_are_there; then
                fail "$THREADS threads can be made"
                exit
        fi
        sleep 1 # what making them cost is not what their being there costs
        with+=("$(us_per_tick)")
        kill -KILL "$RIG_PID"
        wait "$RIG_PID" 2>/dev/null
        wait_for 60 threads_are_gone "$RIG_PID"
        bench_row "$round" "$(format %.2f "${without[-1]}")" "$(format %.2f "${with[-1]}")" \
                "$(format %+.1f "100 * (${with[-1]} / ${without[-1]} - 1)")"
done
before=$(median "${without[@]}")
after=$(median "${with[@]}")
more=$(calculate "100 * ($after / $before - 1)")
verdict at_most "$more" "$LIMIT_PERCENT"
echo "medians and spreads, us a tick: none $before ($(spread "${without[@]}")); $THREADS threads" \
        "$after ($(spread "${with[@]}"))"
summary "a tick costs $(format %.1f "$before") us, with $THREADS idle threads $(format %+.1f "$more") % (limit: +$LIMIT_PERCENT %): $VERDICT"
