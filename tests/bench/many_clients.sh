#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# 200 clients that stream, 50 that come and go without end, 20 that send garbage and 5 that never
# read, for 60 s: the tick does not notice, honest clients are answered, within 10 ms (p99), and the
# daemon's memory is bounded.  Usage: many_clients.sh [SECONDS].  What ticks are missed is held
# against a program that waits for the same ticks and does nothing else (timer_jitter.c).

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

SECONDS_EACH=${1:-60}
P99_S=0.010
MAX_RSS_KIB=131072

rig_start_sim --base 20
rig_baseline 20
rig_start_daemon
"$BENCH_BIN_DIR/timer_jitter" "$SECONDS_EACH" >"$RIG/timer.json" &
timer=$!
timeout -k 5 $((SECONDS_EACH + 60)) "$BENCH_BIN_DIR/many_clients" "$RIG/energat.sock" \
        "$RIG_DAEMON_PID" "$SECONDS_EACH" 200 50 20 5 >"$RIG/many.json" 2>"$RIG/err" </dev/null ||
        cat "$RIG/err"
wait "$timer"
cat "$RIG/many.json" "$RIG/timer.json"

value() {
        json "$RIG/many.json" ".$1"
}

bench_columns what 36 figure 12 'at most' 12 verdict 8
row() { # NAME VALUE LIMIT
        verdict at_most "$2" "$3"
        bench_row "$1" "$2" "$3" "$VERDICT"
}
row 'p99 of an answer to who asks, s' "$(value asking.p99_s)" "$P99_S"
row 'p99 from connect to answer, s' "$(value coming.p99_s)" "$P99_S"
row 'honest clients not answered' "$(value unanswered)" 0
row 'streams: intervals less' "$((SECONDS_EACH - $(value fewest_intervals)))" 2
row 'ticks missed' "$(value missed_ticks)" "$(json "$RIG/timer.json" '.missed * 2 + 2')"
row 'memory, KiB' "$(value rss_kib)" "$MAX_RSS_KIB"
summary "p99 $(value asking.p99_s) s, $(value coming.answers) came and went, $(value missed_ticks) \
ticks missed (the machine's timers: $(json "$RIG/timer.json" .missed)), $(value rss_kib) KiB"
