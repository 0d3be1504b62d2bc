#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What may be followed, and when: processes that run already, that are about to exit, whose pid has
# been somebody else's, that are in another pid namespace, or of which there are too many.  Each
# gives its own CPU time or a clear refusal, and never another process's.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root
# shellcheck source=accounting.sh
. "$(dirname "$0")/accounting.sh"

TARGETS_LIMIT_S=120 # for one call of accounting_targets.py
SMALL_TABLE=1024    # the smallest there is, ROWS_MIN in daemon/cputime_bpf.c
USER_CONNECTIONS=256 # SERVER_MAX_CONNECTIONS_PER_USER in daemon/server.h
MANY_ROWS=8000
PROC_PERCENT=5      # what /proc may be off for a process that runs all the time

mkdir -m 0755 "$RIG/traces"
# With sanitizers the daemon is ten times slower.
[[ ${ENERGAT_SANITIZE:-OFF} == ON ]] && export ENERGAT_TEST_TARGETS=1000

# targets TEST...: of accounting_targets.py
targets() {
        local kind text
        if ! command -v python3 >/dev/null; then
                skip "targets: $*" "this machine has no python3"
                return
        fi
        while read -r kind text; do
                case $kind in
                pass) pass "$text" ;;
                fail) fail "$text" ;;
                skip) skip "${text##*: }" "${text%: *}" ;;
                note) note "$text" ;;
                *) note "$kind $text" ;;
                esac
        done < <(timeout -k 5 "$TARGETS_LIMIT_S" python3 \
                "$(dirname "$0")/accounting_targets.py" "$RIG/energat.sock" \
                "$ACCOUNTING_LOADGEN" "$RIG_DAEMON_PID" "$@" 2>&1 ||
                echo "fail accounting_targets.py $* comes to its end")
        # Whatever happened above, a stopped daemon would fail all that follows.
        kill -CONT "$RIG_DAEMON_PID" 2>/dev/null
}

# refused USER STATUS TEXT ARGUMENT...: energat, as that user
refused() {
        local user=$1 expected=$2 text=$3
        shift 3
        rig_as "$user" energat "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
        equal "$?" "$expected" && matches "$(cat "$RIG/err")" "$text"
}

# CPU time of the daemon's threads
daemon_ns() {
        cat "/proc/$RIG_DAEMON_PID/task"/*/schedstat | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

# The report and the truth of a load that ran in a namespace of its own
inside_agrees() {
        within "$(json "$RIG/inside.json" .cpu_s)" "$(json "$RIG/inside.truth" .cpu_s)" "$1" "$2" &&
                equal "$(json "$RIG/inside.json" .name)" loadgen
}

test_namespace() {
        if ! unshare -p -f --mount-proc true 2>/dev/null; then
                skip "a pid namespace" "none can be made here"
                return
        fi
        timeout -k 5 "$RIG_LIMIT_S" unshare -p -f --mount-proc \
                "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --format json -- \
                "$ACCOUNTING_LOADGEN" spin 1 --truth "$RIG/inside.truth" \
                >"$RIG/inside.json" 2>"$RIG/err" </dev/null
        check "energat run works in a pid namespace" inside_agrees 0.5 0.002
        check "and calls the process as it is called there" \
                at_most "$(json "$RIG/inside.json" .pid)" 10

        # A pid that is quite another process outside.
        # shellcheck disable=SC2016 # expanded by the inner shell
        timeout -k 5 "$RIG_LIMIT_S" unshare -p -f --mount-proc sh -c '
                "$1/loadgen" spin 2 --truth "$2" &
                sleep 0.3
                exec "$3/energat" --socket "$4" --pid $! --format json --output "$5"' - \
                "$RIG_BIN_DIR" "$RIG/inside.truth" "$ENERGAT_BIN_DIR" "$RIG/energat.sock" \
                "$RIG/traces" >"$RIG/inside.json" 2>"$RIG/err" </dev/null
        # It had run for 0.3 s before.
        check "a pid from inside is the process that has it there" inside_agrees 0 0.5
        check "not the one that has it outside" at_most "$(json "$RIG/inside.json" .pid)" 10
        rig_run --pid 1073741824 --output "$RIG/traces" >"$RIG/out" 2>"$RIG/err" </dev/null
        check "a pid that cannot be: exit 1" equal "$?" 1
        check "and the message names it" matches "$(cat "$RIG/err")" '1073741824'
}

# hold USER N: connections, until $RIG_PID ends
hold() {
        rm -f "$RIG/shared/held"
        rig_background python3 -c '
import os, pwd, socket, sys, time
os.setuid(pwd.getpwnam(sys.argv[4]).pw_uid)
held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[3]))]
for s in held:
    s.connect(sys.argv[1])
open(sys.argv[2], "w").close()
time.sleep(20)' "$RIG/energat.sock" "$RIG/shared/held" "$2" "$1"
        wait_for 20 test -e "$RIG/shared/held"
}

# Too many clients: energat must not say that there is no daemon.
test_full_house() {
        if ! command -v python3 >/dev/null; then
                skip "a daemon with no place left" "this machine has no python3"
                return
        fi
        hold nobody "$USER_CONNECTIONS"
        check "no place left for a user: energat run fails, and says why" \
                refused nobody 1 '^energat: .*its limit of [0-9]+' run -- true
        check "it is not the other users' fault" rig_run run -- true 2>/dev/null
        rig_end "$RIG_PID" 2>/dev/null
        check "when they have gone, there is place" rig_as nobody energat run -- true 2>/dev/null

        # Fewer descriptors than clients: they wait, and the daemon does, too.
        prlimit --pid "$RIG_DAEMON_PID" --nofile=64:64
        hold root 100
        daemon_ns=$(daemon_ns)
        sleep 2
        check "out of descriptors, energatd does not turn in circles" at_most \
                "$(calculate "($(daemon_ns) - $daemon_ns) / 1e9")" 0.2
        rig_end "$RIG_PID" 2>/dev/null
        check "when they have gone, it answers" rig_run run -- true 2>/dev/null
}

test_kernel_thread() {
        check "nobody may not follow a kernel thread, by rule own-processes" \
                refused nobody 1 'own-processes' --pid 2 --output "$RIG/shared"
        check "nor the daemon" \
                refused nobody 1 'own-processes' --pid "$RIG_DAEMON_PID" --output "$RIG/shared"
        check "nor is a trace left" equal "$(find "$RIG/shared" -name 'energat_traces_*')" ""
        targets daemon_itself kernel_thread
}

# Their rows are more than a megabyte of JSON.
test_many_rows() {
        local rows
        if ! command -v python3 >/dev/null; then
                skip "the rows of $MANY_ROWS processes" "this machine has no python3"
                return
        fi
        # shellcheck disable=SC2016 # expanded by the inner shell
        rig_background setsid bash -c '
                for ((i = 0; i < $1; i++)); do
                        sleep 600 &
                done
                : >"$2"
                wait' - "$MANY_ROWS" "$RIG/spawned"
        wait_for 60 test -e "$RIG/spawned"
        sleep 0.1 # a few ticks
        rows=$("$(dirname "$0")/../bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetRows \
                2>"$RIG/err" | jq '.rows | length')
        kill -KILL -- "-$RIG_PID"
        wait "$RIG_PID" 2>/dev/null
        note "$(cat "$RIG/err")"
        check "the rows of $MANY_ROWS processes can be had" at_most "$MANY_ROWS" "${rows:-none}"
}

# In a pid namespace of its own the daemon knows processes by other numbers than BPF does.
test_private_daemon() {
        if ! unshare -p -f --mount-proc true 2>/dev/null; then
                skip "energatd in a pid namespace" "none can be made here"
                return
        fi
        mkdir "$RIG/private"
        # shellcheck disable=SC2016 # expanded by the inner shell
        timeout -k 5 "$RIG_LIMIT_S" unshare -p -f --kill-child --mount-proc bash -c '
                export ENERGAT_SOCKET=$1/private.sock
                "$2/energatd" --config "$1/energatd.conf" --socket "$ENERGAT_SOCKET" \
                        --state-dir "$1/private" --source estimate &
                for ((i = 0; i < 200; i++)); do
                        [[ -S $ENERGAT_SOCKET ]] && break
                        sleep 0.1
                done
                "$2/energat" --check >"$1/private.check"
                "$2/energat" run --format json -- "$3" spin 2 --cpu --truth "$1/inside.truth" \
                        >"$1/inside.json"
                kill %1
                wait' - "$RIG" "$ENERGAT_BIN_DIR" "$ACCOUNTING_LOADGEN" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        check "energatd in a pid namespace of its own counts by /proc" \
                matches "$(cat "$RIG/private.check")" 'probe +proc \('
        check "and says why" matches "$(cat "$RIG/private.check")" 'pid namespace of its own'
        # Four looks a second: the last part may be missing.
        check "and measures there" inside_agrees 5 0.4
}

# warns TEXT: in the last report
warns() {
        matches "$(json "$ACCOUNTING_REPORT" '.warnings[]')" "$1"
}

test_small_table() {
        printf '[accounting]\nmax_processes = 64\n' >"$RIG/energatd.conf"
        accounting_start_daemon
        # The shell has its children waited for before it becomes the load, which then has their time
        # in its own truth.
        # shellcheck disable=SC2016 # expanded by the inner shell
        if accounting_measure sh -c '
                n=0
                while [ $n -lt "$1" ]; do
                        sleep 3 &
                        n=$((n + 1))
                done
                wait
                shift
                exec "$@"' - $((SMALL_TABLE + 200)) \
                "$ACCOUNTING_LOADGEN" storm --children 300 --ms 5 --truth "$ACCOUNTING_TRUTH"; then
                check "more processes than the table has rows: CPU time is exact all the same" \
                        accounting_is_exact
                check "and it is said that the table was full, and what to do" \
                        warns 'table was full.*accounting.max_processes'
        else
                fail "more processes than the table has rows: they are measured"
        fi
        targets full_table
        rig_stop_daemon
}

# For a second nothing of /proc can be opened: no process has gone, and none comes again as new.
test_proc_without_descriptors() {
        local limit
        limit=$(prlimit --pid "$RIG_DAEMON_PID" --nofile --output SOFT --noheadings)
        (
                sleep 2
                prlimit --pid "$RIG_DAEMON_PID" --nofile=3:
                sleep 1
                prlimit --pid "$RIG_DAEMON_PID" --nofile="${limit// /}":
        ) &
        if accounting_measure "$ACCOUNTING_LOADGEN" spin 6 --truth "$ACCOUNTING_TRUTH"; then
                # Four looks a second: the last part may be missing.
                check "out of descriptors for a second, a process is within $PROC_PERCENT % all the same" \
                        within "$ACCOUNTING_ENERGAT_S" "$ACCOUNTING_TRUTH_S" "$PROC_PERCENT" 0.3
                check "and the report says that CPU time could not be read" \
                        warns 'CPU time could not be read [1-9]'
        else
                fail "out of descriptors for a second, a process is measured"
        fi
        wait $!
}

test_proc() {
        local text
        printf '[accounting]\nprobe = proc\n' >"$RIG/energatd.conf"
        accounting_start_daemon
        text=$(rig_run --check 2>&1)
        check "without BPF, --check warns and says how precise CPU time is" \
                matches "$text" 'warn.*probe.*proc \(.*second'
        # shellcheck disable=SC2034 # read by accounting.sh
        if accounting_measure "$ACCOUNTING_LOADGEN" spin 8 --truth "$ACCOUNTING_TRUTH"; then
                check "a process that runs all the time is within $PROC_PERCENT %" \
                        within "$ACCOUNTING_ENERGAT_S" "$ACCOUNTING_TRUTH_S" "$PROC_PERCENT"
                check "and the report says how CPU time was counted" warns 'counted by proc'
        else
                fail "a process that runs all the time is measured without BPF"
        fi
        test_proc_without_descriptors
        # What lives between two looks is not seen, and that is said, not hidden.
        if accounting_measure "$ACCOUNTING_LOADGEN" storm --children 300 --ms 5 \
                --truth "$ACCOUNTING_TRUTH"; then
                check "short-lived children are never more than they were" at_most \
                        "$ACCOUNTING_ENERGAT_S" "$(calculate "1.05 * $ACCOUNTING_TRUTH_S")"
                check "and the report says what is missing" warns 'lives shorter is not seen'
        else
                fail "short-lived children are measured without BPF"
        fi
        rig_stop_daemon
}

accounting_start_daemon
targets attach
targets exit_during_attach zombie thread
targets pid_reuse
test_kernel_thread
test_namespace
test_private_daemon
targets many
targets many_of_one
targets too_many
test_full_house
test_many_rows
rig_stop_daemon
test_small_table
test_proc
