#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Thousands of processes a second for a minute: none of their time is lost, and the daemon keeps up
# for less than 5 % of a core.  See README.md.
#
# usage: fork_rate.sh [SECONDS] [RATE]

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

SECONDS_EACH=${1:-60}
RATE=${2:-5000}
LIMIT_PERCENT=5
REACHED=0.95 # of the rate; below, the machine was too slow to show anything

# Exact by the control group; without one, not less than getrusage, which misses what a child uses
# after it could be reaped.
no_loss() {
        if [[ $ACCOUNTING_CGROUP_S != none ]]; then
                accounting_is_exact_by_cgroup
        else
                at_most "$(calculate "$ACCOUNTING_TRUTH_S - $ACCOUNTING_SLACK_S")" \
                        "$ACCOUNTING_ENERGAT_S"
        fi
}

accounting_start_daemon
sleep 1
bench_columns 'forks/s' 9 'getrusage s' 11 'cgroup s' 9 'energat s' 10 'lost ms' 8 'lost %' 8 \
        'daemon %' 8 '' -4
ns_before=$(schedstat_ns "$RIG_DAEMON_PID")
if ! accounting_measure "$ACCOUNTING_LOADGEN" forks --rate "$RATE" --seconds "$SECONDS_EACH" \
        --truth "$ACCOUNTING_TRUTH"; then
        fail "no result"
        exit
fi
ns_after=$(schedstat_ns "$RIG_DAEMON_PID")
wall_s=$(json "$ACCOUNTING_TRUTH" .wall_s)
children=$(json "$ACCOUNTING_TRUTH" .children)
rate=$(calculate "$children / $wall_s")
reference=$ACCOUNTING_CGROUP_S
[[ $reference != none ]] || reference=$ACCOUNTING_TRUTH_S
lost=$(calculate "$reference - $ACCOUNTING_ENERGAT_S")
cost=$(calculate "100 * ($ns_after - $ns_before) / 1e9 / $wall_s")
verdict no_loss
loss_verdict=$VERDICT
bench_row "$(format %.0f "$rate")" "$(format %.4f "$ACCOUNTING_TRUTH_S")" \
        "$(format %.4f "$ACCOUNTING_CGROUP_S")" "$(format %.4f "$ACCOUNTING_ENERGAT_S")" \
        "$(format %+.3f "1000 * $lost")" "$(format %+.4f "100 * $lost / $reference")" \
        "$(format %.2f "$cost")" "$VERDICT"
jq -r '.warnings[]' "$ACCOUNTING_REPORT" | sed 's/^/warning: /'
if [[ $(awk -v r="$rate" -v w="$RATE" -v p="$REACHED" 'BEGIN { print (r >= p * w) }') -eq 0 ]]; then
        fail "this machine makes no $RATE processes a second beside what else it does"
fi
verdict at_most "$cost" "$LIMIT_PERCENT"
summary "$(format %.0f "$rate") forks/s for $SECONDS_EACH s: $(format %+.3f "1000 * $lost") ms lost: $loss_verdict; daemon $(format %.2f "$cost") % of a core (limit: $LIMIT_PERCENT %): $VERDICT"
