#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Calibration against a simulated package whose power is 20 W + 15 W x (busy cores)^0.3, and dram
# at 3 W + 2 W x (GiB in use)^0.5: energat calibrate finds the exponents and the base.  And base power
# learned from a machine that is never at rest.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

BASE_W=20
PER_CORE_W=15
GAMMA=0.3
DRAM_BASE_W=3
DRAM_PER_GIB_W=2
DELTA=0.5
DELTA_OFF=0.05
LEARN_S=60
AT_REST_PERCENT=8 # of all CPUs
REST_TRIES=15     # of 2 s: somebody else's burst is waited for
GAMMA_WINDOWS=320 # at each load, where the result is not exact before: half of what it may take
# On a quiet machine.  When others are at work meanwhile, the result says itself how exact it is.
GAMMA_OFF=0.02
BASE_OFF_W=$(calculate "0.02 * $BASE_W")

larger() {
        calculate "($1 > $2) ? $1 : $2"
}

# Busy time of all CPUs so far, in hundredths of a second, whoever's
busy_time() {
        awk '$1 == "cpu" { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# Does anybody else keep this machine busy?  Then it cannot be calibrated, as --gamma would say.
is_at_rest() {
        local before after
        before=$(busy_time)
        sleep 2
        after=$(busy_time)
        [[ $((after - before)) -le $((2 * AT_REST_PERCENT * $(nproc))) ]]
}

# says_it_was_disturbed STATUS FILE: a result may say itself that it is worth nothing.  A simulator that is
# kept from running uses more CPU time, and is one of "others".
says_it_was_disturbed() {
        [[ $1 -ne 0 && -n $RIG_DISTURBED ]] &&
                grep -Eq 'the fit is not to be used|the machine is not at rest' "$2"
}

comes_to_rest() {
        local i
        for ((i = 0; i < REST_TRIES; i++)); do
                ! is_at_rest || return 0
        done
        return 1
}

# holds_mib PID MIB
holds_mib() {
        [[ $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status") -ge $(($2 * 1024)) ]]
}

# --- gamma ----------------------------------------------------------------------------------------

rig_start_sim --per-core "$PER_CORE_W" --exponent "$GAMMA" --dram --dram-base "$DRAM_BASE_W"
rig_baseline "$BASE_W" "$DRAM_BASE_W"
rig_start_daemon

fit_gamma() {
        printf '[model]\n#gamma = 0.3\n' >"$RIG/written.conf"
        # The simulator itself keeps some percent of a core busy: that is what --force is for.
        RIG_LIMIT_S=300 rig_run calibrate --gamma --force --windows "$GAMMA_WINDOWS" --format json \
                --write --output "$RIG/written.conf" >"$RIG/gamma.json" 2>"$RIG/gamma.err" </dev/null
}

calibrate_gamma() {
        local status gamma_width base_width
        RIG_TRIES=1 rig_calmly fit_gamma
        status=$?
        note "$(cat "$RIG/gamma.err")"
        if says_it_was_disturbed "$status" "$RIG/gamma.err"; then
                skip "calibrate --gamma" "$RIG_DISTURBED"
                return
        fi
        gamma_width=$(json "$RIG/gamma.json" .half_width)
        base_width=$(json "$RIG/gamma.json" '.domains[0].base_half_width_w')
        note "95 % intervals: gamma +- $gamma_width, base +- $base_width W"
        check "calibrate --gamma succeeds" equal "$status" 0
        figure "gamma is the curve's" within "$(json "$RIG/gamma.json" .value)" \
                "$GAMMA" 0 "$(larger "$GAMMA_OFF" "$gamma_width")"
        figure "base power is the curve's" within "$(json "$RIG/gamma.json" '.domains[0].base_w')" \
                "$BASE_W" 0 "$(larger "$BASE_OFF_W" "$base_width")"
        rig_conforms calibrate "$RIG/gamma.json"
        check "--write puts it into the configuration" equal \
                "$(sed -n 's/^gamma = //p' "$RIG/written.conf")" \
                "$(printf '%.3f' "$(json "$RIG/gamma.json" .value)")"
}

if comes_to_rest; then
        calibrate_gamma
else
        skip "calibrate --gamma" "others keep this machine busy"
fi
rig_background "$RIG_BIN_DIR/loadgen" threads --threads "$(nproc)" --seconds 6 --truth /dev/null
sleep 0.5
rig_run calibrate --gamma >/dev/null 2>"$RIG/busy.err" </dev/null
check "a machine that is kept busy is refused" equal "$?" 1
check "and it is said why" matches "$(cat "$RIG/busy.err")" 'not at rest: others keep'

rig_as nobody energat calibrate --gamma >/dev/null 2>"$RIG/denied.err" </dev/null
check "an ordinary user is refused" equal "$?" 1
check "and told who may, and what to do" \
        matches "$(cat "$RIG/denied.err")" 'only root and members of the group .*: run it with sudo'

# --- delta ----------------------------------------------------------------------------------------

# --basepower measures dram with the memory that is in use at rest, here some GiB of page cache: that
# is not the power of no memory, and the curve does not go through it.
rig_stop
rm -rf "$RIG/powercap" "$RIG/state/baseline_power.json"
rig_start_sim --dram --dram-base "$DRAM_BASE_W" --dram-per-gib "$DRAM_PER_GIB_W" \
        --dram-exponent "$DELTA"
rig_start_daemon
rig_run basepower --base-period 0.5 --force >/dev/null 2>"$RIG/basepower.err" </dev/null
check "--basepower measures dram" equal "$?" 0
base_w=$(json "$RIG/state/baseline_power.json" '.dram_base_w[0]')
check "with the memory in use at rest it is more than that of none" \
        at_most "$(calculate "$DRAM_BASE_W + 0.5")" "$base_w"
fit_delta() {
        RIG_LIMIT_S=180 rig_run calibrate --delta --windows 10 --format json \
                >"$RIG/delta.json" 2>"$RIG/delta.err" </dev/null
}

calibrate_delta() {
        RIG_TRIES=2 rig_calmly fit_delta
        local status=$?
        note "$(cat "$RIG/delta.err")"
        if says_it_was_disturbed "$status" "$RIG/delta.err"; then
                skip "calibrate --delta" "$RIG_DISTURBED"
                return
        fi
        check "calibrate --delta succeeds" equal "$status" 0
        figure "delta is the curve's" within "$(json "$RIG/delta.json" .value)" "$DELTA" 0 "$DELTA_OFF"
        figure "dram's base is the power of no memory" \
                within "$(json "$RIG/delta.json" '.domains[0].base_w')" "$DRAM_BASE_W" 0 0.5
        check "nothing was written" equal "$(json "$RIG/delta.json" .written)" null
        rig_conforms calibrate "$RIG/delta.json"
}
if comes_to_rest; then
        calibrate_delta
else
        skip "calibrate --delta" "others keep this machine busy"
fi

# Ctrl-C while memory is touched: 50 ms of windows, and then a tenth of what is available
rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" calibrate --delta \
        --windows 1 >"$RIG/int.out" 2>"$RIG/int.err" </dev/null
wait_for 5 holds_mib "$RIG_PID" 200
kill -INT "$RIG_PID"
wait "$RIG_PID"
check "Ctrl-C ends a calibration that takes memory, with the signal's status" equal "$?" 130
check "and leaves things as they were" matches "$(cat "$RIG/int.err")" 'nothing was changed'

rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" calibrate --gamma --force \
        --base-period 1 >"$RIG/int.out" 2>"$RIG/int.err" </dev/null
sleep 1.5
kill -INT "$RIG_PID"
wait "$RIG_PID"
check "Ctrl-C ends a calibration at once, with the signal's status" equal "$?" 130
check "and leaves things as they were" matches "$(cat "$RIG/int.err")" 'nothing was changed'
rig_stop

# --- base power of a machine in use ---------------------------------------------------------------

if ! comes_to_rest; then
        skip "base power learned from a machine in use" "others keep this machine busy"
        exit
fi

# Never below 20 % busy, and sometimes all of it.
vary_load() {
        local end=$((SECONDS + LEARN_S + 20))
        while [[ $SECONDS -lt $end ]]; do
                "$RIG_BIN_DIR/loadgen" threads --threads $((RANDOM % $(nproc) + 1)) \
                        --seconds "0.$((RANDOM % 9 + 1))" --truth /dev/null
                sleep "0.$((RANDOM % 9 + 1))"
        done
}
rm -rf "$RIG/powercap" "$RIG/state/baseline_power.json"
rig_start_sim
rig_start_daemon
rig_background "$RIG_BIN_DIR/loadgen" burst --on-ms $((10 * $(nproc))) --period-ms 40 \
        --seconds $((LEARN_S + 20)) --truth /dev/null
vary_load &
RIG_JOBS+=("$!")
sleep 5
rig_run run --format json -- true >"$RIG/early.json" </dev/null
check "until it is learned results say so" equal "$(json "$RIG/early.json" .baseline)" learning
learn() {
        sleep $((LEARN_S - 10))
        RIG_LIMIT_S=90 rig_run basepower --online --base-period 15 --format json \
                >"$RIG/learned.json" 2>"$RIG/learned.err" </dev/null
}
RIG_TRIES=1 rig_calmly learn
check "after $LEARN_S s of varied load base power is known" equal "$?" 0
note "$(cat "$RIG/learned.err")"
figure "and right" within "$(json "$RIG/learned.json" '.package_w[0]')" "$BASE_W" 5
figure "with an interval that is within 5 %" equal \
        "$(json "$RIG/learned.json" '.package_half_width_w[0] | . > 0 and . <= 1.05')" true
rig_conforms basepower "$RIG/learned.json"
check "the file says how it was come by" \
        equal "$(json "$RIG/state/baseline_power.json" .method)" online
check "and how certain it is" within \
        "$(json "$RIG/state/baseline_power.json" '.pkg_base_half_width_w[0]')" \
        "$(json "$RIG/learned.json" '.package_half_width_w[0]')" 0.001
check "and how busy the machine was" equal \
        "$(json "$RIG/state/baseline_power.json" '.pkg_base_percents[0] > 20')" true
rig_run run --format json -- true >"$RIG/late.json" </dev/null
check "results go on calling it learned" equal "$(json "$RIG/late.json" .baseline)" learned
