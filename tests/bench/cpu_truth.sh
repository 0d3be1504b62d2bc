#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# CPU time of a target against getrusage(2): alone, with all CPUs busy beside, and with the daemon
# stopped for two seconds in the middle.  Each must be within 0.5 % or 2 ms, or have more than
# getrusage(2) and be within that of the control group's count.  See README.md.
#
# usage: cpu_truth.sh [LOAD...]; BENCH_MODES="alone beside stopped" chooses the columns

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

MODES=${BENCH_MODES:-alone beside stopped}
L=$ACCOUNTING_LOADGEN

# One load per row: name, the time after which the daemon is stopped (0: before it begins), words
LOADS=(
        "spinner|2|$L spin 8"
        "bursts|2|$L burst --on-ms 20 --period-ms 200 --seconds 6"
        "children|2|$L storm --children 2000 --ms 5"
        "daemons|1|$L daemon --depth 3 --seconds 4 --count 4"
        "double_fork|1|$BENCH_DIR/double_fork.sh $L spin 4"
        "64_threads|1|$L threads --threads 64 --seconds 5"
        "30_ms|0|$L short 0.03"
        "hop|1|$L hop --seconds 5"
)

worst_ms=0
worst_percent=0

# one LOAD MODE STOP_AFTER WORD...
one() {
        local load=$1 mode=$2 stop_after=$3 off
        shift 3
        ACCOUNTING_BESIDE=no
        ACCOUNTING_STOP_AFTER_S=
        case $mode in
        alone) ;;
        beside) ACCOUNTING_BESIDE=yes ;;
        stopped) ACCOUNTING_STOP_AFTER_S=$stop_after ;;
        *)
                echo "cpu_truth.sh: '$mode' is none of alone, beside, stopped" >&2
                exit 2
                ;;
        esac
        if ! accounting_measure "$@" --truth "$ACCOUNTING_TRUTH"; then
                fail "$load, $mode: no result"
                return
        fi
        verdict accounting_is_exact
        off=$(calculate "$ACCOUNTING_ENERGAT_S - $ACCOUNTING_TRUTH_S")
        bench_row "$load" "$mode" "$(format %.4f "$ACCOUNTING_TRUTH_S")" \
                "$(format %.4f "$ACCOUNTING_ENERGAT_S")" "$(format %+.3f "1000 * $off")" \
                "$(format %+.3f "100 * $off / $ACCOUNTING_TRUTH_S")" \
                "$(format %+.3f "1000 * ($ACCOUNTING_ENERGAT_S - $ACCOUNTING_CGROUP_S)")" "$VERDICT"
        worst_ms=$(awk -v a="$worst_ms" -v b="$off" 'BEGIN {
                b = b < 0 ? -1000 * b : 1000 * b; print (b > a ? b : a) }')
        worst_percent=$(awk -v a="$worst_percent" -v b="$off" -v t="$ACCOUNTING_TRUTH_S" 'BEGIN {
                b = 100 * (b < 0 ? -b : b) / t; print (t > 0.5 && b > a ? b : a) }')
}

wanted() {
        [[ " $1 " == *" $2 "* || $1 == '' ]]
}

accounting_start_daemon
bench_columns load -12 beside -8 'truth s' 9 'energat s' 10 'off ms' 8 'off %' 8 'cgroup ms' 9 '' -4
for row in "${LOADS[@]}"; do
        IFS='|' read -r load stop_after words <<<"$row"
        wanted "$*" "$load" || continue
        if [[ $load == hop && $(nproc) -lt 2 ]]; then
                skip "hop" "there is one CPU"
                continue
        fi
        for mode in $MODES; do
                # shellcheck disable=SC2086 # words
                one "$load" "$mode" "$stop_after" $words
        done
done
summary "worst $(format %.3f "$worst_ms") ms; of loads above 0.5 s worst $(format %.3f "$worst_percent") % (limit: 0.5 % or 2 ms)"
