# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The rig of the live tests: a simulated meter, a daemon that reads it, and what a test needs to
# say what it saw.  Sourced by every test_*.sh, which then calls:
#
#   rig_start_sim [OPTION...]     energysim, base 20 W and 10 W per core unless told otherwise
#   rig_baseline WATTS [DRAM]     baseline_power.json in EnergAt's form, before the daemon starts
#   rig_start_daemon [OPTION...]  energatd on the simulator; ends the test when it does not come up
#   rig_run ARGUMENT...           energat with the rig's socket, within RIG_LIMIT_S seconds
#   rig_as USER COMMAND...        the same as another user: energat, energatd or loadgen by name
#   rig_stop                      stops both; each must end well
#   check TEXT COMMAND...         one test: passes when COMMAND succeeds
#   pass TEXT, fail TEXT, skip TEXT REASON
#   rig_calmly COMMAND...         runs COMMAND, which measures something, and once more when the machine
#                                 was taken away meanwhile, RIG_TRIES times in all; its last status
#   figure TEXT COMMAND...        a test of a number that rig_calmly has measured: when the machine was
#                                 taken away each time, one that is off is skipped, with that reason
#
# What COMMAND can be, beside programs, is in ../rig/compare.sh.
#
# Output is TAP (testanything.org).  The script's exit status is 0 when all passed, 1 when one
# failed, 77 when all were skipped, which CTest shows as skipped.
#
# Everything is in one temporary directory, $RIG, that goes when the script ends, and so do all
# processes, on Ctrl-C and SIGTERM too: by the trap below.  Should the shell be killed by SIGKILL,
# the kernel ends the processes (setpriv --pdeathsig) and only the directory stays.  Nothing lives
# longer than RIG_LIFETIME_S in any case.

set -uo pipefail

RIG_LIMIT_S=${RIG_LIMIT_S:-60}        # for one call of energat
RIG_LIFETIME_S=${RIG_LIFETIME_S:-600} # for daemon and simulator
RIG_START_S=10                        # to come up, and to go down
RIG_TRIES=3
# More than this, and it was taken away: of the time that the simulator was kept from running, for its
# energy then came in lumps, as no meter's does; and of the CPUs that the hypervisor took.
RIG_STALLED_PERCENT=0.1
RIG_STOLEN_PERCENT=1
RIG_PASSED=0
RIG_FAILED=0
RIG_SKIPPED=0
RIG_DISTURBED= # what kept the last measurement of rig_calmly from being one
RIG_SIM_PID=
RIG_DAEMON_JOB=
export RIG_DAEMON_PID= # for the tests that look at the process itself
RIG_JOBS=()

: "${ENERGAT_BIN_DIR:?the directory of energat and energatd}"
RIG_BIN_DIR=${RIG_BIN_DIR:-$ENERGAT_BIN_DIR/rig}
# shellcheck source=../rig/compare.sh
. "$(dirname "${BASH_SOURCE[0]}")/../rig/compare.sh"
RIG=$(mktemp -d "${TMPDIR:-/tmp}/energat-rig.XXXXXX") || exit 1
chmod 0755 "$RIG" # other users have to reach the socket
mkdir "$RIG/state" "$RIG/bin"
mkdir -m 1777 "$RIG/shared" # where other users may write
# A user who is on every machine and in no test: what the daemon does is done without root's rights.
printf '[daemon]\nuser = bin\n' >"$RIG/energatd.conf"

# --- what a test says -----------------------------------------------------------------------------

rig_count() {
        echo $((RIG_PASSED + RIG_FAILED + RIG_SKIPPED))
}

pass() {
        RIG_PASSED=$((RIG_PASSED + 1))
        printf 'ok %d - %s\n' "$(rig_count)" "$1"
}

fail() {
        RIG_FAILED=$((RIG_FAILED + 1))
        printf 'not ok %d - %s\n' "$(rig_count)" "$1"
}

skip() {
        RIG_SKIPPED=$((RIG_SKIPPED + 1))
        printf 'ok %d - %s # SKIP %s\n' "$(rig_count)" "$1" "$2"
}

check() {
        local text=$1
        shift
        if "$@"; then
                pass "$text"
        else
                fail "$text"
        fi
}

figure() {
        local text=$1 status
        shift
        "$@"
        status=$?
        if [[ $status -eq 0 ]]; then
                pass "$text"
        elif [[ -n $RIG_DISTURBED && $status -ne $NO_NUMBER ]]; then
                skip "$text" "$RIG_DISTURBED"
        else
                fail "$text"
        fi
}

# --- a machine that others have, too --------------------------------------------------------------

# The time, what was stolen of all CPUs, the simulator's time and what it was kept from running: all
# in seconds
rig_taken() {
        local hz simulated="0 0"
        hz=$(getconf CLK_TCK)
        [[ ! -s $RIG/sim.truth ]] || simulated=$(rig_truth '"\(.duration_s) \(.stalled_s)"')
        awk -v now="${EPOCHREALTIME/,/.}" -v hz="$hz" -v simulated="$simulated" \
                '$1 == "cpu" { printf "%s %.2f %s\n", now, $9 / hz, simulated }' /proc/stat
}

# rig_taken_since BEFORE: in words, or nothing when it is too little to matter
rig_taken_since() {
        awk -v ncpus="$(getconf _NPROCESSORS_ONLN)" -v most_stolen="$RIG_STOLEN_PERCENT" \
                -v most_stalled="$RIG_STALLED_PERCENT" '
                NR == 1 { for (i = 1; i <= NF; i++) before[i] = $i }
                NR == 2 {
                        stolen = 100 * ($2 - before[2]) / ncpus / ($1 - before[1])
                        stalled = $4 - before[4]
                        if (100 * stalled > most_stalled * ($3 - before[3]))
                                printf "the simulator was kept from running for %.2f of %.1f s",
                                        stalled, $3 - before[3]
                        else if (stolen > most_stolen)
                                printf "the hypervisor took %.1f %% of the CPUs", stolen
                }' <<<"$1"$'\n'"$(rig_taken)"
}

rig_calmly() {
        local rig_try rig_status rig_before
        for ((rig_try = 1; ; rig_try++)); do
                rig_before=$(rig_taken)
                "$@"
                rig_status=$?
                sleep 0.2 # the simulator's truth is up to 0.1 s old
                RIG_DISTURBED=$(rig_taken_since "$rig_before")
                [[ -n $RIG_DISTURBED && $rig_try -lt $RIG_TRIES ]] || return "$rig_status"
                note "$RIG_DISTURBED: once more"
        done
}

# --- what a test starts ---------------------------------------------------------------------------

rig_is_root() {
        [[ $(id -u) -eq 0 ]]
}

# Ends the test, skipped, when it is not run by root.
rig_require_root() {
        rig_is_root && return 0
        skip "$(basename "$0" .sh)" "energatd must be started by root, this is $(id -un)"
        exit
}

# rig_require_python TEXT: ends the test, with TEXT skipped, where there is no Python.
rig_require_python() {
        command -v python3 >/dev/null && return 0
        skip "$1" "there is no python3"
        exit
}

# rig_share_python SCRIPT: a script of this folder that calls the daemon, as $RIG/py/live/SCRIPT:
# other users may not be able to read it where it is.
rig_share_python() {
        local here
        here=$(dirname "${BASH_SOURCE[0]}")
        mkdir -p "$RIG/py/live" "$RIG/py/bench"
        install -m 0755 "$here/$1" "$RIG/py/live/"
        install -m 0644 "$here/../bench/varlink_call.py" "$RIG/py/bench/"
}

rig_sockets() {
        cat /sys/devices/system/cpu/cpu*/topology/physical_package_id | sort -un | wc -l
}

# The given word once for each socket, as elements of a JSON array.
rig_per_socket() {
        local i n
        n=$(rig_sockets)
        for ((i = 0; i < n; i++)); do
                [[ $i -eq 0 ]] || printf ', '
                printf '%s' "$1"
        done
}

rig_baseline() {
        printf '{"pkg_base_w": [%s], "dram_base_w": [%s],\n "pkg_base_percents": [%s], "dram_base_percents": [%s]}\n' \
                "$(rig_per_socket "$1")" "$(rig_per_socket "${2:-null}")" \
                "$(rig_per_socket 0.0)" "$(rig_per_socket 0.0)" \
                >"$RIG/state/baseline_power.json"
}

rig_is_running() {
        kill -0 "$1" 2>/dev/null
}

rig_sim_is_ready() {
        ! rig_is_running "$RIG_SIM_PID" || grep -q '^ready$' "$RIG/sim.out"
}

rig_start_sim() {
        : >"$RIG/sim.out"
        # In a session of its own: Ctrl-C is the test's, which then stops everything in order.
        setpriv --pdeathsig TERM setsid "$RIG_BIN_DIR/energysim" --root "$RIG/powercap" \
                --truth "$RIG/sim.truth" --duration "$RIG_LIFETIME_S" --base 20 --per-core 10 "$@" \
                >"$RIG/sim.out" 2>"$RIG/sim.log" </dev/null &
        RIG_SIM_PID=$!
        if ! wait_for "$RIG_START_S" rig_sim_is_ready || ! rig_is_running "$RIG_SIM_PID"; then
                fail "the simulator starts"
                note "$(cat "$RIG/sim.log")"
                exit 1
        fi
        note "$(tail -n 1 "$RIG/sim.log")"
}

# rig_truth FILTER: of the simulator, at most 0.1 s old
rig_truth() {
        json "$RIG/sim.truth" "$1"
}

# rig_control COMMAND ZONE: have a zone fail or heal, and wait until it does
rig_control() {
        local before
        before=$(rig_truth .commands)
        timeout 5 sh -c 'echo "$1" >"$2"' - "$*" "$RIG/powercap/control" || return 1
        wait_for 2 rig_commands_above "$before"
}

rig_commands_above() {
        [[ $(rig_truth .commands) -gt $1 ]]
}

# A listening socket of that path: flag __SO_ACCEPTCON, and nothing has to be sent to find out.
rig_listens() {
        awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' \
                /proc/net/unix
}

rig_daemon_is_up() {
        ! rig_is_running "$RIG_DAEMON_JOB" || rig_listens "$RIG/energat.sock"
}

# Exit status 3 is "no energatd"; 124 and 137 are timeout's.
rig_daemon_answers() {
        timeout -k 1 5 "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" --check \
                >/dev/null 2>&1 </dev/null
        case $? in
        3 | 124 | 137) return 1 ;;
        *) return 0 ;;
        esac
}

rig_start_daemon() {
        # In a session of its own, as a service is: the scheduler shares CPUs out by sessions, too.
        # timeout(1) passes SIGTERM on; the shell in between tells the daemon's own pid.
        setpriv --pdeathsig TERM setsid timeout -k 5 "$RIG_LIFETIME_S" \
                sh -c 'echo $$ >"$1"; shift; exec "$@"' - "$RIG/daemon.pid" \
                "$ENERGAT_BIN_DIR/energatd" --config "$RIG/energatd.conf" \
                --socket "$RIG/energat.sock" --state-dir "$RIG/state" \
                --powercap-root "$RIG/powercap" "$@" \
                >"$RIG/daemon.log" 2>&1 </dev/null &
        RIG_DAEMON_JOB=$!
        if ! wait_for "$RIG_START_S" rig_daemon_is_up || ! rig_is_running "$RIG_DAEMON_JOB" ||
                ! rig_daemon_answers; then
                fail "energatd starts and answers within $RIG_START_S s"
                note "its log:" "$(cat "$RIG/daemon.log")"
                exit 1
        fi
        RIG_DAEMON_PID=$(cat "$RIG/daemon.pid")
}

rig_run() {
        setpriv --pdeathsig TERM timeout --foreground -k 5 "$RIG_LIMIT_S" \
                "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" "$@"
}

# Copies: the build directory can be below one that other users cannot enter.
rig_copy_programs() {
        [[ -e $RIG/bin/energat ]] ||
                install -m 0755 "$ENERGAT_BIN_DIR/energat" "$ENERGAT_BIN_DIR/energatd" \
                        "$RIG_BIN_DIR/loadgen" "$RIG/bin/"
}

rig_as() {
        local user=$1 program=$2
        shift 2
        rig_copy_programs || return 1
        (cd / && ENERGAT_SOCKET=$RIG/energat.sock exec timeout --foreground -k 5 "$RIG_LIMIT_S" \
                runuser -u "$user" -- "$RIG/bin/$program" "$@")
}

# rig_background COMMAND...: its pid is in RIG_PID; ended with the test.  Unlike with a bare "&",
# SIGINT and SIGQUIT are not ignored.
rig_background() {
        setpriv --pdeathsig TERM env --default-signal=INT,QUIT "$@" &
        RIG_PID=$!
        RIG_JOBS+=("$RIG_PID")
}

# rig_conforms NAME FILE: the schema of --format json says so
rig_conforms() {
        local live
        live=$(dirname "${BASH_SOURCE[0]}")
        "$live/schema_check.py" "$live/../../client/schema/energat.schema.json" "$1" "$2"
        case $? in
        0) pass "$1 is as the schema has it" ;;
        77) skip "$1 is as the schema has it" "python3-jsonschema is not installed" ;;
        *) fail "$1 is as the schema has it" ;;
        esac
}

# --- how a test ends ------------------------------------------------------------------------------

rig_has_ended() {
        ! rig_is_running "$1"
}

# rig_end PID: SIGTERM, SIGKILL when that is not enough; the process's status
rig_end() {
        kill -TERM "$1" 2>/dev/null
        wait_for "$RIG_START_S" rig_has_ended "$1" || kill -KILL "$1" 2>/dev/null
        wait "$1"
}

rig_stop_daemon() {
        local status early=
        [[ -n $RIG_DAEMON_JOB ]] || return 0
        rig_is_running "$RIG_DAEMON_JOB" || early="before it was told to, "
        rig_end "$RIG_DAEMON_JOB"
        status=$?
        RIG_DAEMON_JOB=
        RIG_DAEMON_PID=
        if [[ -z $early && $status -eq 0 ]] &&
                ! grep -Eq 'AddressSanitizer|LeakSanitizer|runtime error:' "$RIG/daemon.log"; then
                pass "energatd ends well"
        else
                fail "energatd ends well (${early}status $status)"
                note "its log:" "$(cat "$RIG/daemon.log")"
        fi
}

rig_stop_sim() {
        local status early=
        [[ -n $RIG_SIM_PID ]] || return 0
        rig_is_running "$RIG_SIM_PID" || early="before it was told to, "
        rig_end "$RIG_SIM_PID"
        status=$?
        RIG_SIM_PID=
        [[ -z $early && $status -eq 0 ]] && return 0
        fail "the simulator ends well (${early}status $status)"
        note "$(cat "$RIG/sim.log")"
}

rig_stop() {
        rig_stop_daemon
        rig_stop_sim
}

rig_finish() {
        local status=$? job
        trap - EXIT
        trap '' INT TERM HUP
        for job in "${RIG_JOBS[@]}"; do
                rig_is_running "$job" && rig_end "$job" 2>/dev/null
        done
        rig_stop
        if [[ $RIG_FAILED -gt 0 && -s $RIG/daemon.log ]]; then
                note "the end of energatd's log:" "$(tail -n 20 "$RIG/daemon.log")"
        fi
        rm -rf "$RIG"
        printf '1..%d\n' "$(rig_count)"
        printf '# passed %d, failed %d, skipped %d\n' "$RIG_PASSED" "$RIG_FAILED" "$RIG_SKIPPED"
        [[ $status -le 128 ]] || exit "$status" # interrupted
        [[ $RIG_FAILED -eq 0 ]] || exit 1
        [[ $status -eq 0 ]] || exit "$status"
        [[ $RIG_PASSED -gt 0 ]] && exit 0
        [[ $RIG_SKIPPED -gt 0 ]] && exit 77
        note "nothing was tested"
        exit 1
}

trap rig_finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

for rig_program in jq setpriv setsid runuser timeout awk; do
        if ! command -v "$rig_program" >/dev/null; then
                fail "the test machine has $rig_program"
                exit 1
        fi
done
for rig_program in "$ENERGAT_BIN_DIR/energat" "$ENERGAT_BIN_DIR/energatd" \
        "$RIG_BIN_DIR/energysim" "$RIG_BIN_DIR/loadgen"; do
        if [[ ! -x $rig_program ]]; then
                fail "$rig_program is built"
                exit 1
        fi
done
