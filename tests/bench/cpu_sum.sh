#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Nothing is counted twice and nothing left out: over some seconds of mixed load, the CPU time of
# all threads, idle, interrupt and stolen time together are wall time x CPUs, within 0.1 %; with
# accounting.irq = no and yes.  See README.md.
#
# usage: cpu_sum.sh [SECONDS] [ROUNDS]

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

SECONDS_EACH=${1:-10}
ROUNDS=${2:-5}
LIMIT_PERCENT=0.1
NOBODY_PERCENT=0.15 # without hidden switches: what passes inside the scheduler, from thread to idle

# Sums and hidden switches, at nearly the same moment; GetRows is one moment in itself.
look() {
        "$BENCH_DIR/rowless.py" "$RIG/energat.sock" >"$RIG/rows.json" &&
                "$BENCH_DIR/varlink_call.py" "$RIG/energat.sock" io.energat.GetStatus |
                jq '{hidden_switches}' >"$RIG/status.json" &&
                jq -s 'add' "$RIG/rows.json" "$RIG/status.json" >"$1"
}

# since KEY: how much it has grown; what is not known does not count
since() {
        jq -s --arg key "$1" '(.[1][$key] // 0) - (.[0][$key] // 0)' \
                "$RIG/before.json" "$RIG/after.json"
}

# CPU time of processes that exist and have no row
since_rowless() {
        jq -s '.[0].rowless as $before
                | [.[1].rowless | to_entries[] | select($before[.key]) | .value - $before[.key]]
                | add // 0' "$RIG/before.json" "$RIG/after.json"
}

# larger PERCENT_SO_FAR SUM WALL
larger() {
        awk -v so_far="$1" -v sum="$2" -v wall="$3" 'BEGIN {
                off = 100 * (sum - wall) / wall
                off = off < 0 ? -off : off
                print (off > so_far ? off : so_far)
        }'
}

worst_threads=0
worst_told=0

# judge IRQ SUM WALL threads|told: sets VERDICT.  Time that the hypervisor takes within an interrupt is in the
# probe's own interrupt time and in the kernel's stolen time: where there is more of it than the
# limit, the sum proves nothing.
judge() {
        if [[ $1 == yes ]] &&
                ! at_most "$(since stolen_s)" "$(calculate "$3 * $LIMIT_PERCENT / 100")" >/dev/null; then
                VERDICT=stolen
                RIG_SKIPPED=$((RIG_SKIPPED + 1))
                return
        fi
        verdict within "$2" "$3" "$LIMIT_PERCENT"
        if [[ $4 == threads ]]; then
                worst_threads=$(larger "$worst_threads" "$2" "$3")
        else
                worst_told=$(larger "$worst_told" "$2" "$3")
        fi
}

one_round() {
        local wall rest threads told nobody hidden threads_verdict
        if ! look "$RIG/before.json" || ! sleep "$SECONDS_EACH" || ! look "$RIG/after.json"; then
                fail "the daemon tells its rows"
                exit
        fi
        wall=$(since wall_s)
        hidden=$(since hidden_switches)
        rest=$(calculate "$(since idle_s) + $(since irq_s) + $(since stolen_s)")
        threads=$(calculate "$(since rows_s) + $(since_rowless) + $rest")
        told=$(calculate "$(since cpu_s) + $rest")
        nobody=$(calculate "$(since cpu_s) - $(since rows_s)")
        judge "$1" "$threads" "$wall" threads
        threads_verdict=$VERDICT
        judge "$1" "$told" "$wall" told
        bench_row "$1" "$(format %.4f "$wall")" "$(format %.4f "$(since rows_s)")" \
                "$(format %.4f "$(since_rowless)")" "$(format %.4f "$nobody")" \
                "$(format %.4f "$(since idle_s)")" "$(format %.4f "$(since irq_s)")" \
                "$(format %.4f "$(since stolen_s)")" "$hidden" \
                "$(format %+.4f "100 * ($threads - $wall) / $wall")" "$threads_verdict" \
                "$(format %+.4f "100 * ($told - $wall) / $wall")" "$VERDICT"
        if [[ $hidden == 0 ]] &&
                ! at_most "$nobody" "$(calculate "$wall * $NOBODY_PERCENT / 100")" >/dev/null; then
                fail "time is nobody's though no switch was hidden"
        fi
}

load_s=$((2 * ROUNDS * (SECONDS_EACH + 4) + 30))
for words in 'burst --on-ms 20 --period-ms 50' 'forks --rate 500' 'quota --percent 20'; do
        # shellcheck disable=SC2086 # words
        rig_background "$ACCOUNTING_LOADGEN" $words --seconds "$load_s" --truth /dev/null
done
bench_columns irq -3 'wall s' 8 'rows s' 8 'rowless' 7 'nobody' 7 'idle s' 8 'irq s' 7 'stolen' 6 \
        hidden 6 'threads %' 9 '' -6 'told %' 9 '' -6
for irq in no yes; do
        printf '[accounting]\nirq = %s\n' "$irq" >"$RIG/energatd.conf"
        accounting_start_daemon
        sleep 1
        for ((round = 1; round <= ROUNDS; round++)); do
                one_round "$irq"
        done
        rig_stop_daemon
done
summary "worst, of wall time x CPUs: all threads $(format %.4f "$worst_threads") %, what the daemon tells $(format %.4f "$worst_told") % (limit: $LIMIT_PERCENT %)"
