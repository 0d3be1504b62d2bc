#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What `energat run` says a command cost, against what it did cost.  The simulated package takes
# 20 W and 10 J for every second of CPU time, so the additive share of a command that used T
# seconds is 10 J x T, whatever else ran.  With gamma 1 EnergAt's estimate is the same.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

BASE_W=20
J_PER_CPU_S=10

# measured NAME PERCENT COMMAND...: run it, compare its report with its own truth
measured() {
        local name=$1 percent=$2 report=$RIG/report.json truth=$RIG/load.json
        local truth_j duration_s
        shift 2

        rm -f "$report" "$truth"
        rig_run run --gamma 1 --format json -- "$@" --truth "$truth" >"$report" </dev/null
        check "$name: energat run succeeds" equal "$?" 0
        truth_j=$(calculate "$J_PER_CPU_S * $(json "$truth" .cpu_s)")
        duration_s=$(json "$report" .duration_s)

        check "$name: CPU time is right" \
                within "$(json "$report" .cpu_s)" "$(json "$truth" .cpu_s)" 1 0.005
        check "$name: share of package energy within $percent %" \
                within "$(json "$report" .share.package_j)" "$truth_j" "$percent"
        check "$name: with gamma 1 the attributed energy is the share" \
                within "$(json "$report" .attributed.package_j)" "$truth_j" "$percent"
        check "$name: the static part is the baseline's power" \
                within "$(json "$report" .machine.static_package_j)" \
                "$(calculate "$BASE_W * $(rig_sockets) * $duration_s")" 1 0.5
        check "$name: the duration is the command's" \
                within "$duration_s" "$(json "$truth" .wall_s)" 1 0.1
        check "$name: the share is not above dynamic energy" at_most \
                "$(json "$report" .share.package_j)" \
                "$(json "$report" '.machine.package_j - .machine.static_package_j + 0.000001')"
        check "$name: the sockets sum to the whole" \
                within "$(json "$report" '[.sockets[].share.package_j] | add')" \
                "$(json "$report" .share.package_j)" 0.001
        check "$name: the source is the meter, and nothing is estimated" \
                equal "$(json "$report" '"\(.source) \(.estimated)"')" "powercap false"
        check "$name: no dram domain is no dram energy, not 0" \
                equal "$(json "$report" '"\(.share.dram_j) \(.attributed.dram_j)"')" "null null"
        check "$name: the exit status is there" equal "$(json "$report" .exit_status)" 0
}

rig_start_sim
rig_baseline "$BASE_W"
rig_start_daemon

measured "one thread for 8 s" 3 "$RIG_BIN_DIR/loadgen" spin 8
measured "600 children of 5 ms" 5 "$RIG_BIN_DIR/loadgen" storm --children 600 --ms 5
measured "20 ms of every 200 ms" 5 \
        "$RIG_BIN_DIR/loadgen" burst --on-ms 20 --period-ms 200 --seconds 6
