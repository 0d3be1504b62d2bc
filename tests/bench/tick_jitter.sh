#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# How late the daemon's ticks come while every CPU is busy, beside how late the machine's own timers are
# at the same priority with nothing to do.  Usage: tick_jitter.sh [SECONDS] [ROUNDS]

ENERGAT_BIN_DIR=${ENERGAT_BIN_DIR:-$(dirname "$0")/../../build/bin}
BENCH_BIN_DIR=${BENCH_BIN_DIR:-$ENERGAT_BIN_DIR/bench}

# shellcheck source=../live/rig.sh
. "$(dirname "$0")/../live/rig.sh"
rig_require_root

SECONDS_EACH=${1:-10}
ROUNDS=${2:-3}
LIMIT_S=0.001

median() { # of lines
        sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

rig_start_sim --dram --packages 1
rig_background "$RIG_BIN_DIR/loadgen" spin "$((ROUNDS * (SECONDS_EACH * 2 + 3) + 5))" \
        --threads "$(nproc)" --truth "$RIG/load.json"
for ((round = 1; round <= ROUNDS; round++)); do
        rig_start_daemon
        sleep "$SECONDS_EACH"
        rig_run status --format json >"$RIG/status.json" </dev/null
        rig_stop_daemon
        "$BENCH_BIN_DIR/timer_jitter" "$SECONDS_EACH" >"$RIG/timer.json"
        note "round $round: the daemon $(json "$RIG/status.json" \
                '"p50 \(.lateness.p50_s * 1e6) us, p99 \(.lateness.p99_s * 1e6) us, max \(.lateness.max_s * 1e6) us, \(.missed_ticks) of \(.ticks) missed"'); the machine $(json "$RIG/timer.json" \
                '"p50 \(.p50_s * 1e6) us, p99 \(.p99_s * 1e6) us, max \(.max_s * 1e6) us, \(.missed) of \(.ticks) missed"')"
        json "$RIG/status.json" .lateness.p99_s >>"$RIG/p99.daemon"
        json "$RIG/timer.json" .p99_s >>"$RIG/p99.machine"
done
daemon_s=$(median <"$RIG/p99.daemon")
machine_s=$(median <"$RIG/p99.machine")
note "median p99: daemon $daemon_s s, machine $machine_s s"
check "p99 of the tick's lateness is below 1 ms, or what the machine's timers have, and as much again" \
        at_most "$daemon_s" "$(calculate "($LIMIT_S > 2 * $machine_s) ? $LIMIT_S : 2 * $machine_s")"
