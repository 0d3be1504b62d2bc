#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every bench, one after the other, and a table of what each showed.  As root, on a machine with
# nothing else to do.  Exit status 1 when one missed what must be.
#
# usage: run_all.sh [BENCH...]; BUILD_DIR is the build directory (build)

set -uo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
BUILD_DIR=${BUILD_DIR:-$HERE/../../build}
export ENERGAT_BIN_DIR=${ENERGAT_BIN_DIR:-$BUILD_DIR/bin}
export BENCH_BIN_DIR=${BENCH_BIN_DIR:-$ENERGAT_BIN_DIR/bench}
BENCHES=(cpu_truth cpu_sum switch_cost tick_cost threads_churn fork_rate memory_cost top_cost)
SKIPPED=77

[[ $# -eq 0 ]] || BENCHES=("$@")
output=$(mktemp -d "${TMPDIR:-/tmp}/energat-bench.XXXXXX") || exit 1
trap 'rm -rf "$output"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
missed=0
results=()

for bench in "${BENCHES[@]}"; do
        printf '== %s\n' "$bench"
        SECONDS=0
        "$HERE/$bench.sh" </dev/null 2>&1 | tee "$output/$bench"
        case ${PIPESTATUS[0]} in
        0) word=ok ;;
        "$SKIPPED") word=skipped ;;
        *)
                word=MISS
                missed=1
                ;;
        esac
        text=$(sed -n 's/^summary: //p' "$output/$bench" | tail -n 1)
        if [[ -z $text ]]; then
                text=$(sed -n 's/.*# SKIP //p' "$output/$bench" | tail -n 1)
        fi
        results+=("$(printf '%-14s %-8s %5d s  %s' "$bench" "$word" "$SECONDS" \
                "${text:-no result}")")
        echo
done

printf '%s, kernel %s, %d CPUs\n' "$(uname -m)" "$(uname -r)" "$(nproc)"
printf '%s\n' "${results[@]}"
exit "$missed"
