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

test_no_daemon
test_usage
if rig_is_root; then
        rig_start_sim
        rig_baseline 20
        test_not_root
        test_configuration
        rig_start_daemon
        test_no_such_process
else
        skip "energatd's own refusals" "they need root, this is $(id -un)"
fi
