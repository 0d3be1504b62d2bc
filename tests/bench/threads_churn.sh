#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# 100,000 threads created and joined: none of their time is lost, and nothing of them stays in the
# daemon or in the kernel's tables.  See README.md.
#
# usage: threads_churn.sh [LOOPS]; BENCH_THREADS sets how many threads a loop makes

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

LOOPS=${1:-3}
THREADS=${BENCH_THREADS:-100000}
GROWTH_KIB=128 # of the resident set: less than two bytes a thread
TAIL_S=0.00001 # what a thread uses after it has handed on its time; see accounting.sh

# Memory of the BPF maps that the daemon holds, in KiB
maps_kib() {
        cat "/proc/$RIG_DAEMON_PID/fdinfo"/* 2>/dev/null | awk '
                $1 == "map_id:" { map = 1 } $1 == "memlock:" { size = $2 }
                $1 == "map_id:" { bytes += size } END { print bytes / 1024 }'
}

# The kernel's memory for objects: where the threads' storage is.  The whole machine's, so only shown.
slab_kib() {
        awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo
}

# Exact by the control group; without one, not less than getrusage, and not more than it can miss.
no_loss() {
        if [[ $ACCOUNTING_CGROUP_S != none ]]; then
                accounting_is_exact_by_cgroup
        else
                at_most "$(calculate "$ACCOUNTING_TRUTH_S - $ACCOUNTING_SLACK_S")" \
                        "$ACCOUNTING_ENERGAT_S" && at_most "$ACCOUNTING_ENERGAT_S" \
                        "$(calculate "$ACCOUNTING_TRUTH_S * (1 + $ACCOUNTING_PERCENT / 100) + $THREADS * $TAIL_S")"
        fi
}

accounting_start_daemon
# The first run of anything fills caches and pools that are then kept.
accounting_measure "$ACCOUNTING_LOADGEN" create --threads 1000 --truth "$ACCOUNTING_TRUTH"
sleep 1
first_rss=$(rss_kib "$RIG_DAEMON_PID")
first_maps=$(maps_kib)
bench_columns loop 4 'getrusage s' 11 'cgroup s' 9 'energat s' 10 'lost ms' 8 'RSS KiB' 8 \
        'maps KiB' 9 'slab KiB' 9 '' -4
bench_row - - - - - "$first_rss" "$(format %.0f "$first_maps")" "$(slab_kib)"
worst=0
for ((loop = 1; loop <= LOOPS; loop++)); do
        if ! accounting_measure "$ACCOUNTING_LOADGEN" create --threads "$THREADS" \
                --truth "$ACCOUNTING_TRUTH"; then
                fail "loop $loop: no result"
                exit
        fi
        sleep 1
        verdict no_loss
        reference=$ACCOUNTING_CGROUP_S
        [[ $reference != none ]] || reference=$ACCOUNTING_TRUTH_S
        lost=$(calculate "1000 * ($reference - $ACCOUNTING_ENERGAT_S)")
        rss=$(rss_kib "$RIG_DAEMON_PID")
        maps=$(maps_kib)
        bench_row "$loop" "$(format %.4f "$ACCOUNTING_TRUTH_S")" \
                "$(format %.4f "$ACCOUNTING_CGROUP_S")" "$(format %.4f "$ACCOUNTING_ENERGAT_S")" \
                "$(format %+.3f "$lost")" "$rss" "$(format %.0f "$maps")" "$(slab_kib)" "$VERDICT"
        worst=$(awk -v a="$worst" -v b="$lost" 'BEGIN { b = b < 0 ? -b : b; print (b > a ? b : a) }')
done
verdict at_most "$((rss - first_rss))" "$GROWTH_KIB"
rss_verdict=$VERDICT
verdict equal "$maps" "$first_maps"
summary "$THREADS threads: at most $(format %.3f "$worst") ms off; daemon's memory $(printf %+d $((rss - first_rss))) KiB after $LOOPS loops: $rss_verdict; maps $(format %+.0f "$maps - $first_maps") KiB: $VERDICT"
