#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# kill -9 at random moments, 200 times (KILLS) under load: the state always loads, totals never
# decrease, and what the simulator counted is in them, to a second's worth.  live.state is the short
# form of this, and says what is checked (tests/live/state_check.py).

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

KILLS=${KILLS:-200}
SECONDS_BETWEEN=1

rig_start_sim --base 20
rig_baseline 20
rig_background "$RIG_BIN_DIR/loadgen" spin 1700 --threads 2
TRUTH_FILE=$RIG/sim.truth timeout -k 5 1700 python3 -B "$BENCH_DIR/../live/state_check.py" \
        "$RIG/energat.sock" "$RIG/state" "$KILLS" "$SECONDS_BETWEEN" -- \
        "$ENERGAT_BIN_DIR/energatd" --config "$RIG/energatd.conf" --socket "$RIG/energat.sock" \
        --state-dir "$RIG/state" --powercap-root "$RIG/powercap" >"$RIG/out" 2>&1 </dev/null
verdict test $? -eq 0
cat "$RIG/out"
summary "$(tail -n 1 "$RIG/out"): $VERDICT"
