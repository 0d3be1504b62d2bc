#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What `energat run` adds to the shortest command there is.
#
#   run_overhead.sh [RUNS]

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"
rig_require_root

RUNS=${1:-100}
LIMIT_MS=15 # `energat run -- true` may take so much longer than `true`

# time_of COMMAND...: median, and 90th percentile, in milliseconds, of RUNS runs
time_of() {
        python3 - "$RUNS" "$@" <<'END'
import subprocess
import sys
import time

times = []
for _ in range(int(sys.argv[1])):
    begin = time.perf_counter()
    subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    times.append((time.perf_counter() - begin) * 1e3)
times.sort()
print(f"{times[len(times) // 2]:.2f} {times[len(times) * 9 // 10]:.2f}")
END
}

rig_start_daemon --source estimate
bench_columns command -24 "median ms" 10 "p90 ms" 10
read -r alone alone_p90 < <(time_of true)
bench_row "true" "$alone" "$alone_p90"
read -r run run_p90 < <(time_of "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run -- true)
bench_row "energat run -- true" "$run" "$run_p90"
read -r start start_p90 < <(time_of "$ENERGAT_BIN_DIR/energat" --version)
bench_row "energat --version" "$start" "$start_p90"

added=$(calculate "$run - $alone")
verdict at_most "$added" "$LIMIT_MS"
summary "$(printf 'energat run -- true adds %.1f ms to true (%d runs): %s' "$added" "$RUNS" "$VERDICT")"
