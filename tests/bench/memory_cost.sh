#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What it costs to look at the memory of a target with very many processes, or with very much memory:
# the thread that does it keeps to 1 % of a core, and pays back what one reading costs.  See
# README.md.
#
# usage: memory_cost.sh [KIND...]     of: processes small huge sparse mappings

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

PROCESSES=${PROCESSES:-2000}
SECONDS_EACH=${SECONDS_EACH:-30}
SMALL_MIB=${SMALL_MIB:-8192}
HUGE_MIB=${HUGE_MIB:-8192}
SPARSE_MIB=${SPARSE_MIB:-131072} # addresses: 64 Ki pages, each with a page table of its own
MAPPINGS=${MAPPINGS:-60000}      # /proc/sys/vm/max_map_count is 65530
LIMIT_PERCENT=1
AHEAD_S=1 # what may be used in advance: PERIOD_NS in daemon/memory.c

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

# cpu_ms FILE: CPU time of reading it once
cpu_ms() {
        local TIMEFORMAT='%3U %3S' times
        times=$({ time cat "$1" >/dev/null; } 2>&1)
        format %.0f "1000 * (${times% *} + ${times#* })"
}

# row KIND READING_MS NUMA_MS PERCENT STALL_MS BEFORE_MS: of $RIG/report.json
row() {
        bench_row "$1" "$(json "$RIG/report.json" .processes)" \
                "$(format %.1f "$(json "$RIG/report.json" '.memory.held_bytes / 1048576')")" \
                "$2" "$3" "$(format %.3f "$4")" \
                "$(format %.1f "$(json "$RIG/report.json" '.memory.exact_part * 100')")" \
                "$(format %.1f "$(json "$RIG/report.json" '.memory.age_s')")" "$5" "$6"
}

many_processes() {
        local before from percent run_pid
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --format json \
                --output "$RIG/report.json" -- \
                sh -c "i=0; while [ \$i -lt $PROCESSES ]; do \
                        sleep $((SECONDS_EACH + 15)) & i=\$((i + 1)); done; wait" >/dev/null 2>&1
        run_pid=$RIG_PID
        sleep 10
        before=$(thread_ns)
        from=$EPOCHREALTIME
        sleep "$SECONDS_EACH"
        percent=$(calculate "($(thread_ns) - $before) / 1e7 / ($EPOCHREALTIME - $from)")
        wait "$run_pid"
        row processes - - "$percent" - -
        check "all processes were there" at_most "$PROCESSES" "$(json "$RIG/report.json" .processes)"
        check "$PROCESSES processes: looking at memory keeps to $LIMIT_PERCENT % of a core" \
                at_most "$percent" "$LIMIT_PERCENT"
        said+="$PROCESSES processes $(format %.2f "$percent") %, "
}

# much_memory KIND N: followed from the beginning, so that the first reading, which nothing was saved
# for, is in the figure.  First alone, for how long its own calls take without us.
much_memory() {
        local before from percent seconds reading_ms numa_ms alone_ms stall_ms
        rig_background "$BENCH_DIR/hold_memory.py" "$1" "$2" 5 >"$RIG/alone" 2>&1
        wait "$RIG_PID"
        alone_ms=$(sed -n 's/^longest_ms //p' "$RIG/alone")
        rig_background "$BENCH_DIR/hold_memory.py" "$1" "$2" $((SECONDS_EACH + 3)) >"$RIG/held" 2>&1
        if ! wait_for 60 grep -q held "$RIG/held"; then
                fail "$1: $2 are held"
                return
        fi
        reading_ms=$(cpu_ms "/proc/$RIG_PID/smaps_rollup")
        numa_ms=$(cpu_ms "/proc/$RIG_PID/numa_maps")
        before=$(thread_ns)
        from=$EPOCHREALTIME
        timeout -s INT "$SECONDS_EACH" "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" \
                --pid "$RIG_PID" --format json --output "$RIG" --name held \
                >"$RIG/report.json" 2>"$RIG/report.err" </dev/null
        seconds=$(calculate "$EPOCHREALTIME - $from")
        percent=$(calculate "($(thread_ns) - $before) / 1e7 / $seconds")
        wait "$RIG_PID"
        stall_ms=$(sed -n 's/^longest_ms //p' "$RIG/held")
        row "$1" "$reading_ms" "$numa_ms" "$percent" "$stall_ms" "$alone_ms"
        # The last reading is paid for later: it can be on top, once, and be twice as dear as cat's.
        check "$1: looking at memory keeps to $LIMIT_PERCENT % of a core, but for one reading" \
                at_most "$percent" "$(calculate "$LIMIT_PERCENT * ($seconds + $AHEAD_S) / $seconds + \
                        2 * ($reading_ms + $numa_ms) / 10 / $seconds")"
        check "$1: what it holds is read exactly" \
                at_most 90 "$(json "$RIG/report.json" '.memory.exact_part * 100')"
        said+="$1 $(format %.2f "$percent") %, "
}

said=
kinds=("$@")
[[ $# -gt 0 ]] || kinds=(processes small huge sparse mappings)
rig_start_sim --dram
rig_baseline 20 3
bench_columns kind -9 processes 9 'held MiB' 9 'rollup ms' 9 'numa_maps ms' 12 'of a core %' 11 \
        'exact %' 7 'age s' 6 'stall ms' 8 'alone' 6
# What the last reading of one load cost is not paid for by the next.
for kind in "${kinds[@]}"; do
        rig_start_daemon
        case $kind in
        processes) many_processes ;;
        small) much_memory small "$SMALL_MIB" ;;
        huge) much_memory huge "$HUGE_MIB" ;;
        sparse) much_memory sparse "$SPARSE_MIB" ;;
        mappings) much_memory mappings "$MAPPINGS" ;;
        *) fail "there is a load '$kind'" ;;
        esac
        rig_stop_daemon
done
summary "${said%, } of a core (limit: $LIMIT_PERCENT %)"
