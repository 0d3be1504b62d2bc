#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What goes wrong for a user says what went wrong and what to do, with the exit status of its
# kind; nothing crashes, nothing hangs, nothing half-written is left.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
RIG_LIMIT_S=15

NO_SOCKET=$RIG/none.sock
NO_DAEMON="^energat: no energatd at $NO_SOCKET: .+; start it with 'systemctl start energatd'\$"

# fails_with STATUS COMMAND...: its output goes to $RIG/out and $RIG/err
fails_with() {
        local expected=$1
        shift
        timeout -k 5 "$RIG_LIMIT_S" "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
        equal "$?" "$expected" && return 0
        note "stderr:" "$(cat "$RIG/err")"
        return 1
}

says() {
        matches "$(cat "$RIG/err")" "$1"
}

energat() {
        local status=$1
        shift
        fails_with "$status" "$ENERGAT_BIN_DIR/energat" "$@"
}

# energatd_refuses ARGUMENT...: ends by itself with a failure that is no crash and no time limit
energatd_refuses() {
        local status
        timeout -k 5 "$RIG_LIMIT_S" "$ENERGAT_BIN_DIR/energatd" --socket "$RIG/refused.sock" \
                --state-dir "$RIG/state" --powercap-root "$RIG/powercap" "$@" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        status=$?
        [[ $status -gt 0 && $status -lt 124 ]] && return 0
        note "exit status $status, stderr:" "$(cat "$RIG/err")"
        return 1
}

test_no_daemon() {
        check "no daemon: --check exits 3" energat 3 --socket "$NO_SOCKET" --check
        check "and says what to do" says "$NO_DAEMON"
        check "no daemon: --pid exits 3" energat 3 --socket "$NO_SOCKET" --pid $$
        check "and says what to do" says "$NO_DAEMON"
        check "no daemon: --basepower exits 3" energat 3 --socket "$NO_SOCKET" --basepower
        check "and says what to do" says "$NO_DAEMON"
        check "no daemon: run exits 3" energat 3 --socket "$NO_SOCKET" run -- touch "$RIG/has-run"
        check "and says what to do" says "$NO_DAEMON"
        check "and the command has not run" test ! -e "$RIG/has-run"
        check "the socket can come from the environment" \
                fails_with 3 env "ENERGAT_SOCKET=$NO_SOCKET" "$ENERGAT_BIN_DIR/energat" --check
        check "and the message names it" says "$NO_DAEMON"

        : >"$RIG/file.sock"
        check "a file in the socket's place: exit 3" energat 3 --socket "$RIG/file.sock" --check
        check "and the message names it" says "^energat: no energatd at $RIG/file.sock: "
}

test_usage() {
        check "unknown option: exit 2" energat 2 --frobnicate
        check "and usage on stderr" says '^usage: '
        check "and stdout stays empty" test ! -s "$RIG/out"
        check "unknown option of run: exit 2" energat 2 run --frobnicate -- true
        check "run without a command: exit 2" energat 2 run
        check "a pid that is no number: exit 2" energat 2 --pid twelve
        check "a gamma out of range: exit 2" energat 2 run --gamma 7 -- true
        check "unknown option of energatd: exit 2" \
                fails_with 2 "$ENERGAT_BIN_DIR/energatd" --frobnicate
        check "and usage on stderr" says '^usage: '
}

# What only the daemon can refuse is told by the names of the command line, with the limit.
test_refused_by_daemon() {
        local least="at least energatd's sampling period, which 'energat status' shows"
        local simulated=(--socket "$RIG/energat.sock")
        check "an interval below the sampling period: exit 1" \
                energat 1 "${simulated[@]}" run --interval 0.001 -- touch "$RIG/has-run"
        check "with option, value and limit" \
                says "^energat: energatd does not accept 0\.001 for --interval .*: it has to be $least"
        check "and the command has not run" test ! -e "$RIG/has-run"
        check "a window below it: exit 1" \
                energat 1 "${simulated[@]}" --basepower --base-period 0.001 --windows 1 --force
        check "likewise" says "^energat: energatd does not accept 0\.001 for --base-period: it has to be $least"
        check "a window above the daemon's limit: exit 1" \
                energat 1 "${simulated[@]}" --basepower --base-period 3601 --force
        check "likewise" says "3601.* for --base-period: .* and at most 3600 s"
        check "too many windows: exit 1" \
                energat 1 "${simulated[@]}" --basepower --base-period 1 --windows 1001 --force
        check "likewise" says "1001 for --windows: it has to be at most 1000"
}

test_no_place_for_trace() {
        rig_background sleep 20
        check "a trace with no place to be: exit 1" energat 1 --socket "$RIG/energat.sock" --pid "$RIG_PID" \
                --output "$RIG/nowhere"
        check "and the message says what to do" \
                says "no trace can be written to $RIG/nowhere: .*; --output DIR chooses another folder"
        rig_end "$RIG_PID" 2>/dev/null
}

test_no_such_process() {
        local gone
        sh -c 'exit 0' &
        gone=$!
        wait "$gone"
        check "no such process: exit 1" energat 1 --socket "$RIG/energat.sock" --pid "$gone"
        check "and the message names it" says "^energat: .*$gone"
        check "and no trace file is left" equal "$(find "$RIG" "$PWD" -maxdepth 2 -name 'energat_traces_*')" ""
}

test_not_root() {
        rig_as nobody energatd --config "$RIG/energatd.conf" --socket "$RIG/shared/energat.sock" \
                --state-dir "$RIG/state" --powercap-root "$RIG/powercap" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        check "energatd not as root fails" test $? -ne 0
        check "it says so in one line" equal "$(wc -l <"$RIG/err")" 1
        check "that names the missing capability" says 'CAP_[A-Z_]+'
        check "no socket is left" test ! -e "$RIG/shared/energat.sock"
}

# refused_at LINE KEY TEXT: a configuration with that text is refused, with its place named
refused_at() {
        local line=$1 key=$2
        printf '%b' "$3" >"$RIG/bad.conf"
        energatd_refuses --config "$RIG/bad.conf" && says "$RIG/bad.conf:$line: .*$key"
}

test_configuration() {
        local before
        before=$(cd "$RIG" && find state -printf '%p %s %T@\n' | sort)
        check "a value that is no number: file, line and key" \
                refused_at 3 period '# comment\n[sampling]\nperiod = banana\n'
        check "a value out of bounds: file, line and key" \
                refused_at 2 gamma '[model]\ngamma = 7\n'
        check "a line that is none: file and line" \
                refused_at 4 '' '[model]\ngamma = 0.3\n\nthis is no setting\n'
        check "a configuration that is not there is named" \
                energatd_refuses --config "$RIG/missing.conf"
        check "and the message says which" says "$RIG/missing.conf"
        check "a source that does not exist is named" energatd_refuses \
                --config "$RIG/energatd.conf" --source powercap --powercap-root "$RIG/nowhere"
        check "and the message says where it was looked for" says "$RIG/nowhere"
        check "no socket is left" test ! -e "$RIG/refused.sock"
        check "the state directory is as it was" \
                equal "$(cd "$RIG" && find state -printf '%p %s %T@\n' | sort)" "$before"
}

# starts_with ARGUMENT...: energatd comes up with these, and is left running as a job of the rig
starts_with() {
        : >"$RIG/err"
        rig_background "$ENERGAT_BIN_DIR/energatd" --config "$RIG/energatd.conf" \
                --powercap-root "$RIG/powercap" "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
        wait_for "$RIG_START_S" measures || says 'measuring with'
}

measures() {
        grep -q 'measuring with' "$RIG/err"
}

# ends_well: what starts_with has started, at SIGTERM
ends_well() {
        rig_end "$RIG_PID"
        equal "$?" 0
}

test_unknown_keys() {
        printf '[daemon]\nuser = bin\n[sampling]\nperoid = 10ms\n[weather]\nrain = 1\n' >"$RIG/odd.conf"
        check "unknown keys do not stop it" starts_with --config "$RIG/odd.conf" \
                --socket "$RIG/odd.sock" --state-dir "$RIG/state"
        check "each is named by file and line, with what was meant" \
                says "$RIG/odd.conf:4: sampling.peroid: unknown key, ignored; did you mean sampling.period\?"
        check "also one of a section that is none" says "$RIG/odd.conf:6: weather.rain: unknown key"
        check "and it ends well" ends_well
}

test_socket() {
        local long
        long=$RIG/$(printf 'x%.0s' {1..120})
        check "a socket path that is too long is refused" energatd_refuses --socket "$long"
        check "and the message says how long it may be" says '107 bytes'

        check "a directory that is not there is made" starts_with --socket "$RIG/new/run/e.sock" \
                --state-dir "$RIG/new/state"
        check "it is the daemon's" equal "$(stat -c %U "$RIG/new/run" "$RIG/new/state" | xargs)" "bin bin"
        check "a second start there is refused" energatd_refuses \
                --config "$RIG/energatd.conf" --socket "$RIG/new/run/e.sock"
        check "and the message says why" says "$RIG/new/run/e.sock: another energatd answers there"
        check "the first one still answers" \
                fails_with 0 "$ENERGAT_BIN_DIR/energat" --socket "$RIG/new/run/e.sock" status
        kill -KILL "$RIG_PID"
        wait "$RIG_PID" 2>/dev/null
        check "a socket that nobody answers on is there" test -S "$RIG/new/run/e.sock"
        check "and is replaced" starts_with --socket "$RIG/new/run/e.sock" --state-dir "$RIG/state"
        check "by one that is answered" \
                fails_with 0 "$ENERGAT_BIN_DIR/energat" --socket "$RIG/new/run/e.sock" status
        check "that goes when energatd ends" ends_well
        check "leaving nothing" test ! -e "$RIG/new/run/e.sock"

        : >"$RIG/new/run/e.sock"
        check "a file in its place is refused" energatd_refuses --config "$RIG/energatd.conf" \
                --socket "$RIG/new/run/e.sock"
        check "and left alone" test -f "$RIG/new/run/e.sock"
}

test_directories() {
        mkdir -m 0777 "$RIG/open"
        check "a socket where anybody could replace it is refused" energatd_refuses \
                --config "$RIG/energatd.conf" --socket "$RIG/open/e.sock"
        check "and the message says what to do" says "$RIG/open: anybody may replace.*chmod o-w"
        check "and so is such a state directory" energatd_refuses --config "$RIG/energatd.conf" \
                --state-dir "$RIG/open"
        check "with the same message" says "$RIG/open: anybody may replace.*chmod o-w"

        : >"$RIG/file"
        check "a file in the state directory's place is refused, or measured without" \
                starts_or_refuses --state-dir "$RIG/file/state"

        # somebody else's: not taken, measured without, and that is said
        install -d -m 0755 -o daemon -g daemon "$RIG/theirs"
        check "a state directory that it cannot write to does not stop it" \
                starts_with --socket "$RIG/none2.sock" --state-dir "$RIG/theirs"
        check "it is named, with what to do" says "$RIG/theirs: user [0-9]+ cannot write there"
        check "and so is who may replace what is in there" \
                says "$RIG/theirs: user [0-9]+, whose it is, may replace.*chown"
        check "and it stays whose it was" equal "$(stat -c %U "$RIG/theirs")" daemon
        check "energatd ends well" ends_well

        # of root's, but with more in it than energat's
        mkdir -p "$RIG/shared-by-more/etc"
        check "a directory with directories in it is no state directory" \
                starts_with --socket "$RIG/none2.sock" --state-dir "$RIG/shared-by-more"
        check "it is not taken from root" equal "$(stat -c %U "$RIG/shared-by-more")" root
        check "and that is said" says "$RIG/shared-by-more: has directories in it"
        check "energatd ends well" ends_well
}

starts_or_refuses() {
        starts_with --socket "$RIG/none2.sock" "$@" && ends_well && says 'cannot make the state directory'
}

# The same machine with another microcode: its baseline is used, with a word.
test_changed_since() {
        if ! grep -q '^microcode' /proc/cpuinfo; then
                skip "a baseline of another microcode" "this processor tells none"
                return
        fi
        rig_run --check >"$RIG/out" 2>&1 </dev/null
        check "a baseline of another microcode is a warning" matches "$(cat "$RIG/out")" \
                'warn +calibration.*the microcode was another and is '
        rig_run status --format json >"$RIG/status.json" </dev/null
        check "in the status, too" matches "$(json "$RIG/status.json" '.warnings[]')" \
                'the microcode was another and is .*energat --basepower'
        rig_run run --format json -- true >"$RIG/run.json" </dev/null
        check "and it is in force" equal "$(json "$RIG/run.json" .baseline)" measured
}

# A file that is no baseline: said, and base power is learned.
test_refused_baseline() {
        rig_baseline 20000
        rig_start_daemon
        check "a baseline in milliwatts is refused" matches "$(cat "$RIG/daemon.log")" \
                'pkg_base_w\[0\] is not a number from 0 to 1000; calibrate again'
        rig_run run --format json -- true >"$RIG/run.json" </dev/null
        check "and base power is learned meanwhile" equal "$(json "$RIG/run.json" .baseline)" learning
        rig_stop_daemon
        rig_baseline 20
}

# Half a minute of calibration, ended after two seconds.
test_end_while_calibrating() {
        local client before
        before=$(stat -c %Y.%s "$RIG/state/baseline_power.json")
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" --basepower \
                --base-period 5 --force >"$RIG/out" 2>&1 </dev/null
        client=$RIG_PID
        sleep 2
        rig_stop_daemon
        wait "$client"
        check "the client of a calibration that was cut says so" test $? -ne 0
        check "and names the reason" matches "$(cat "$RIG/out")" '^energat: '
        check "the baseline is as it was" \
                equal "$(stat -c %Y.%s "$RIG/state/baseline_power.json")" "$before"
        check "nothing half-written is left" equal "$(find "$RIG/state" -name '*.tmp' -o -name '.*' -type f)" ""
}

test_no_daemon
test_usage
if rig_is_root; then
        rig_start_sim
        rig_baseline 20
        test_not_root
        test_configuration
        test_unknown_keys
        test_socket
        test_directories
        test_refused_baseline
        jq '. + {machine: {microcode: "another"}}' "$RIG/state/baseline_power.json" >"$RIG/changed" &&
                mv "$RIG/changed" "$RIG/state/baseline_power.json"
        rig_start_daemon
        test_changed_since
        test_refused_by_daemon
        test_no_place_for_trace
        test_no_such_process
        test_end_while_calibrating
else
        skip "energatd's own refusals" "they need root, this is $(id -un)"
fi
