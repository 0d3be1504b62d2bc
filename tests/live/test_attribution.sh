#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Attribution against the truth: sums that are exact at every tick, whatever runs; energy of a
# 10 ms slice for those who ran in that slice; dram for those who hold memory.
#
# usage: test_attribution.sh [SECONDS of random loads (60)]

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

LOAD_S=${1:-60}
SEEN_PERCENT=80 # of the ticks that the daemon made, at least
TICKS_A_SECOND=50 # of 100: those that a busy machine leaves it, at least
TENANTS=8
RANDOM=20231 # the same loads in every run

loadgen=$RIG_BIN_DIR/loadgen

# --- sums, with two to eight tenants --------------------------------------------------------------

# tenant NUMBER END: one random command after the other under energat run, until END (in SECONDS)
tenant() {
        local commands=(
                "spin 0.$((RANDOM % 9 + 1))"
                "burst --on-ms $((RANDOM % 20 + 1)) --period-ms 50 --seconds $((RANDOM % 3 + 1))"
                "storm --children $((RANDOM % 60 + 20)) --ms $((RANDOM % 5 + 1))"
                "forks --rate $((RANDOM % 300 + 50)) --seconds 1"
                "mem --mib $((RANDOM % 60 + 8)) --seconds 1"
                "threads --threads $((RANDOM % 8 + 2)) --seconds 1"
        )
        while [[ $SECONDS -lt $2 ]]; do
                # shellcheck disable=SC2086 # words
                rig_run run --format json -- "$loadgen" ${commands[RANDOM % ${#commands[@]}]} \
                        >"$RIG/tenant.$1" 2>&1 </dev/null || return
        done
}

sums_hold() {
        local said
        # Before the loads: it has to be quicker than the daemon, and they take every CPU.
        said=$(nice -n -20 "$(dirname "$0")/attribution_sums.py" "$RIG/energat.sock" "$LOAD_S" 2>&1)
        local status=$?
        note "$said"
        [[ $status -eq 0 ]] || return 1
        read -r _ ticks _ made _ rows _ exited <<<"$(tail -n 1 <<<"$said")"
        # that it saw something: nearly all ticks, and processes that come and go
        [[ $made -ge $((LOAD_S * TICKS_A_SECOND)) &&
                $ticks -ge $((made * SEEN_PERCENT / 100)) && $rows -ge 10 && $exited -ge 100 ]]
}

rig_start_sim --dram
rig_baseline 20 3
rig_start_daemon
jobs=()
for ((i = 0; i < TENANTS; i++)); do
        sleep 0.3 # two at first, then more and more
        tenant "$i" $((SECONDS + LOAD_S)) &
        jobs+=("$!")
        RIG_JOBS+=("$!")
        [[ $i -ne 1 ]] || check "at every tick of $LOAD_S s static + shares + unattributed = energy" \
                sums_hold &
        [[ $i -ne 1 ]] || sums_job=$!
done
wait "$sums_job"
status=$?
RIG_PASSED=$((RIG_PASSED + (status == 0))) # counted in the subshell only
failed=0
for job in "${jobs[@]}"; do
        wait "$job" || failed=$((failed + 1))
done
check "all $TENANTS tenants got their reports" equal "$failed" 0

# --- memory ---------------------------------------------------------------------------------------

MIB=512
used_gib() {
        awk '/^MemTotal/ { total = $2 } /^MemFree/ { free = $2 } END { print (total - free) / 2^20 }' \
                /proc/meminfo
}
measure_memory() {
        local job
        rig_run run --format json --delta 1 -- "$loadgen" mem --mib "$MIB" --seconds 6 \
                >"$RIG/mem.json" 2>"$RIG/mem.err" </dev/null &
        RIG_JOBS+=("$!")
        job=$!
        sleep 4
        part=$(calculate "$MIB / 1024 / $(used_gib)")
        wait "$job"
}
rig_calmly measure_memory
dynamic=$(json "$RIG/mem.json" '.machine.dram_j - .machine.static_dram_j')
figure "who holds $MIB MiB has that part of the dynamic energy of dram" \
        within "$(json "$RIG/mem.json" .share.dram_j)" "$(calculate "$part * $dynamic")" 5
figure "with delta 1 the attributed energy is the share" \
        within "$(json "$RIG/mem.json" .attributed.dram_j)" "$(json "$RIG/mem.json" .share.dram_j)" 2
check "what it rests on is an exact reading of the last seconds" \
        at_most "$(json "$RIG/mem.json" '.memory.age_s')" 5
check "and of its memory" within "$(json "$RIG/mem.json" '.memory.held_bytes / 1048576')" "$MIB" 5
# Two processes of one target, one of which only reads what the other has written: nobody's, and
# counted for neither; and what a child has from its parent, unchanged, is once in the machine.
SHARED_MIB=48
PRIVATE_MIB=16
PYTHON_MIB=12 # two of them, at most
rig_background "$(dirname "$0")/share_memory.py" "$SHARED_MIB" "$PRIVATE_MIB" 8 >"$RIG/held"
wait_for 5 grep -q held "$RIG/held"
rig_run --pid "$RIG_PID" --format json --output "$RIG" >"$RIG/shared.json" 2>"$RIG/shared.err" </dev/null
check "shared memory is not counted twice, nor for either that holds it" \
        within "$(json "$RIG/shared.json" '.memory.held_bytes / 1048576')" "$PRIVATE_MIB" 0 "$PYTHON_MIB"
check "by exact readings of both" \
        at_most 99 "$(json "$RIG/shared.json" '.memory.exact_part * 100')"
rig_run run -- "$loadgen" mem --mib 64 --seconds 2 2>"$RIG/mem.err" </dev/null
check "the summary for people says that, too" matches "$(cat "$RIG/mem.err")" \
        '^  dram: [0-9.]+ % of the memory by exact readings, the oldest [0-9.]+ m?s old$'
rig_stop

# --- phases ---------------------------------------------------------------------------------------

# A core costs 30 W for 200 ms, then 10 W for 200 ms.  One program runs only in the first, its
# neighbour only in the second: over a second both see 20 W.
PHASE_S=8
phase() {
        rig_run run --gamma 1 --format json -- "$loadgen" burst --on-ms 100 --period-ms 400 \
                --offset-ms "$2" --seconds "$PHASE_S" --truth "$RIG/$1.truth" \
                >"$RIG/$1.json" 2>"$RIG/$1.err" </dev/null
}
# phase_is_right NAME WATTS
phase_is_right() {
        figure "$1: charged at $2 W" within "$(json "$RIG/$1.json" .share.package_j)" \
                "$(calculate "$2 * $(json "$RIG/$1.truth" .cpu_s)")" 3
}
rm -rf "$RIG/powercap"
rig_start_sim --power-schedule 0.2:30,0.2:10
rig_baseline 20
rig_start_daemon
measure_phases() {
        local job
        phase high 50 &
        job=$!
        RIG_JOBS+=("$job")
        phase low 250
        wait "$job"
}
rig_calmly measure_phases
phase_is_right high 30
phase_is_right low 10
rig_stop

# --- energy that waits ----------------------------------------------------------------------------

# /proc is read less often than the meter: until then nobody has the energy, and it is not told.
PROC_S=4
rm -rf "$RIG/powercap"
printf '[accounting]\nprobe = proc\n' >>"$RIG/energatd.conf"
rig_start_sim --dram
rig_baseline 20 3
rig_start_daemon
rig_background "$loadgen" burst --on-ms 7 --period-ms 20 --seconds $((PROC_S + 4)) --truth /dev/null
check "parts are the whole where CPU time is read from /proc, too" \
        "$(dirname "$0")/attribution_sums.py" "$RIG/energat.sock" "$PROC_S"
rig_run run --format json -- true >"$RIG/short.json" </dev/null
check "and 0 s of what lives too short for that is told as not known" matches \
        "$(json "$RIG/short.json" '.warnings[]')" '^no CPU time of this target was seen: 0 means not known'
