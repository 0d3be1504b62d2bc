# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the benches share: the rig of the live tests, with tables instead of TAP.  Sourced first.
#
#   bench_columns NAME WIDTH...   the table's head; a negative WIDTH is for text
#   bench_row VALUE...            one row
#   verdict COMMAND...            sets VERDICT to ok or MISS, and counts it
#   summary TEXT                  the line that run_all.sh shows
#   median VALUE...               and spread VALUE...: lowest to highest
#
# Exit status 0: all within what must be; 1: a miss; 77: cannot be done here.

ENERGAT_BIN_DIR=${ENERGAT_BIN_DIR:-$(dirname "${BASH_SOURCE[0]}")/../../build/bin}
BENCH_BIN_DIR=${BENCH_BIN_DIR:-$ENERGAT_BIN_DIR/bench}
BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RIG_LIFETIME_S=${RIG_LIFETIME_S:-1800}

# shellcheck source=../live/rig.sh
. "$BENCH_DIR/../live/rig.sh"
# shellcheck source=../live/accounting.sh
. "$BENCH_DIR/../live/accounting.sh"

# A bench counts as the tests do, but only speaks of what is wrong.
pass() {
        RIG_PASSED=$((RIG_PASSED + 1))
}

fail() {
        RIG_FAILED=$((RIG_FAILED + 1))
        printf 'MISS: %s\n' "$1"
}

BENCH_WIDTHS=()
VERDICT=

bench_row() {
        local i=0 value line=
        for value in "$@"; do
                printf -v value "%${BENCH_WIDTHS[i]}s" "$value"
                line+="$value  "
                i=$((i + 1))
        done
        printf '%s\n' "${line%"${line##*[![:space:]]}"}"
}

bench_columns() {
        local names=()
        BENCH_WIDTHS=()
        while [[ $# -gt 0 ]]; do
                names+=("$1")
                BENCH_WIDTHS+=("$2")
                shift 2
        done
        bench_row "${names[@]}"
}

verdict() {
        if "$@" >/dev/null; then
                VERDICT=ok
                RIG_PASSED=$((RIG_PASSED + 1))
        else
                # shellcheck disable=SC2034 # for whoever sources this
                VERDICT=MISS
                RIG_FAILED=$((RIG_FAILED + 1))
        fi
}

summary() {
        printf 'summary: %s\n' "$1"
}

# format PRINTF EXPRESSION: a calculated number; "-" when there is none
format() {
        local value
        value=$(calculate "$2")
        if is_number "$value"; then
                # shellcheck disable=SC2059 # the format is the first argument
                printf "$1" "$value"
        else
                printf -- '-'
        fi
}

median() {
        printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END {
                print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
        }'
}

spread() {
        printf '%s\n' "$@" | sort -g | awk 'NR == 1 { low = $1 } END { printf "%g to %g\n", low, $1 }'
}

# schedstat_ns PID: CPU time of the threads that a process has now
schedstat_ns() {
        cat "/proc/$1/task"/*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

rss_kib() {
        awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"
}

if ! rig_is_root; then
        skip "$(basename "$0" .sh)" "energatd must be started by root"
        exit
fi
