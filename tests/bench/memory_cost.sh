#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What it costs to look at the memory of a target with very many processes: the thread that does it
# keeps to 1 % of a core.  See README.md.
#
# usage: memory_cost.sh [PROCESSES] [SECONDS]

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

PROCESSES=${1:-2000}
SECONDS_EACH=${2:-30}
LIMIT_PERCENT=1

# CPU time of the daemon's thread so far, in nanoseconds
thread_ns() {
        local task
        for task in "/proc/$RIG_DAEMON_PID/task/"*; do
                if [[ $(<"$task/comm") == energatd/memory ]]; then
                        cut -d' ' -f1 "$task/schedstat"
                        return
                fi
        done
        echo "no thread"
}

rig_start_sim --dram
rig_baseline 20 3
rig_start_daemon
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --format json \
        --output "$RIG/report.json" -- \
        sh -c "i=0; while [ \$i -lt $PROCESSES ]; do sleep 300 & i=\$((i + 1)); done; \
                sleep $((SECONDS_EACH + 15)); kill \$(jobs -p); wait" >/dev/null 2>&1
run_pid=$RIG_PID
sleep 10
before=$(thread_ns)
from=$EPOCHREALTIME
sleep "$SECONDS_EACH"
percent=$(calculate "($(thread_ns) - $before) / 1e7 / ($EPOCHREALTIME - $from)")
wait "$run_pid"
bench_columns processes 9 'of a core %' 11 'held MiB' 8 'exact %' 7 'age s' 6
bench_row "$(json "$RIG/report.json" .processes)" "$(format %.3f "$percent")" \
        "$(format %.1f "$(json "$RIG/report.json" '.memory.held_bytes / 1048576')")" \
        "$(format %.1f "$(json "$RIG/report.json" '.memory.exact_part * 100')")" \
        "$(format %.1f "$(json "$RIG/report.json" '.memory.age_s')")"
check "all processes were there" at_most "$PROCESSES" "$(json "$RIG/report.json" .processes)"
check "looking at memory keeps to $LIMIT_PERCENT % of a core" at_most "$percent" "$LIMIT_PERCENT"
summary "$PROCESSES processes: $(format %.3f "$percent") % of a core (limit: $LIMIT_PERCENT %)"
