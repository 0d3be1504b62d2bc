#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# `energat run` must be as good as the command itself in any script: same exit status, same input
# and output, same signals.  And all of the command is counted, from its first instruction to its
# last descendant.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

TMUX_SERVER=energat-run-$$
LOADGEN=$RIG_BIN_DIR/loadgen

# exits_with STATUS COMMAND...: so does energat run
exits_with() {
        local expected=$1
        shift
        rig_run run -- "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
        equal "$?" "$expected"
}

test_status() {
        local status
        for status in 0 1 42 255; do
                check "exit status $status passes through" exits_with "$status" \
                        sh -c "exit $status"
        done
        check "a command that is not there: 127" exits_with 127 "$RIG/no-such-command"
        check "and the message names it" matches "$(cat "$RIG/err")" "^energat: .*no-such-command"
        printf 'not a program\n' >"$RIG/not-executable"
        check "a command that is not executable: 126" exits_with 126 "$RIG/not-executable"
        check "and the message names it" matches "$(cat "$RIG/err")" "^energat: .*not-executable"
        check "a directory: 126" exits_with 126 "$RIG"
        check "a command killed by SIGKILL: 137" exits_with 137 sh -c 'kill -KILL $$'
        check "a command killed by SIGTERM: 143" exits_with 143 sh -c 'kill -TERM $$'
        check "a command killed by SIGSEGV: 139" exits_with 139 sh -c 'kill -SEGV $$'
}

test_streams() {
        local args
        head -c 3000000 /dev/urandom >"$RIG/in"
        rig_run run -- cat <"$RIG/in" >"$RIG/out" 2>"$RIG/err"
        check "3 MB pass from stdin to stdout unchanged" cmp "$RIG/in" "$RIG/out"
        check "the text report is on stderr" test -s "$RIG/err"

        args=$(rig_run run -- printf '%s|' 'two words' '' '*' '-x' 2>/dev/null </dev/null)
        check "arguments arrive as they are" equal "$args" 'two words||*|-x|'

        rig_run run -- sh -c 'echo complaint >&2' >"$RIG/out" 2>"$RIG/err" </dev/null
        check "stderr passes" matches "$(cat "$RIG/err")" '^complaint$'
        check "nothing but the command writes to stdout" test ! -s "$RIG/out"
}

is_up() {
        grep -q '^up$' "$RIG/out"
}

# A command that says what it gets, and that ends by itself in any case
trapper() {
        printf '%s\n' "trap 'echo got $1; exit 42' $1; echo up" \
                'n=0; while [ $n -lt 400 ]; do sleep 0.05; n=$((n + 1)); done'
}

# signal_reaches NAME: sent to energat alone, as kill(1) and a supervisor do
signal_reaches() {
        : >"$RIG/out"
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run -- \
                sh -c "$(trapper "$1")" >"$RIG/out" 2>"$RIG/err" </dev/null
        wait_for 10 is_up || return 1
        kill "-$1" "$RIG_PID"
        wait "$RIG_PID"
        equal "$?" 42 && matches "$(cat "$RIG/out")" "^got $1\$"
}

test_signals() {
        local name
        for name in INT TERM HUP USR1; do
                check "SIG$name reaches the command" signal_reaches "$name"
        done
        : >"$RIG/out"
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run -- \
                sh -c 'echo up; exec sleep 20' >"$RIG/out" 2>"$RIG/err" </dev/null
        wait_for 10 is_up
        kill -TERM "$RIG_PID"
        wait "$RIG_PID"
        check "a command that SIGTERM ends: 143" equal "$?" 143
        check "and there is a report all the same" test -s "$RIG/err"
}

# In a terminal, where Ctrl-C reaches the command by itself.
in_terminal() {
        tmux -L "$TMUX_SERVER" -f /dev/null new-session -d -x 100 -y 40 \
                "$ENERGAT_BIN_DIR/energat --socket $RIG/energat.sock run -- sh -c '$1' \
                2>$RIG/err; echo \$? >$RIG/status"
}

screen_has() {
        tmux -L "$TMUX_SERVER" capture-pane -p | grep "$1" >/dev/null
}

interrupt() {
        tmux -L "$TMUX_SERVER" send-keys C-c
}

has_status() {
        [[ -s $RIG/status ]]
}

# ends_with STATUS: in the terminal
ends_with() {
        wait_for 10 has_status && equal "$(cat "$RIG/status")" "$1"
}

test_ctrl_c() {
        if ! command -v tmux >/dev/null; then
                skip "Ctrl-C in a terminal" "there is no tmux"
                return
        fi
        rm -f "$RIG/status"
        in_terminal 'trap "" INT; echo up; exec sleep 30'
        check "a command that ignores Ctrl-C starts" wait_for 10 screen_has '^up'
        interrupt
        sleep 2.5
        check "and goes on after one" eval '! has_status'
        interrupt
        check "a second one, though later, ends energat: 130" ends_with 130
        check "which says that the command runs on" matches "$(cat "$RIG/err")" 'sh runs on, and is not measured'
        check "with a report" matches "$(cat "$RIG/err")" '^  attributed'
        pkill -x -f 'sleep 30'
        rm -f "$RIG/status"
        in_terminal 'trap "echo got" INT; echo up; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.5; done; exit 42'
        check "a command that handles Ctrl-C starts" wait_for 10 screen_has '^up'
        interrupt
        sleep 2.5
        interrupt
        check "and may be told so again" ends_with 42
        rm -f "$RIG/status"
        in_terminal 'trap "echo got" INT; echo up; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done'
        wait_for 10 screen_has '^up'
        interrupt
        wait_for 5 screen_has 'got'
        interrupt
        check "but twice at once ends energat: 130" ends_with 130
        check "with a report" matches "$(cat "$RIG/err")" '^  attributed'
        tmux -L "$TMUX_SERVER" kill-server 2>/dev/null
}

# report_of COMMAND...: into report.json
report_of() {
        rig_run run --format json -- "$@" >"$RIG/report.json" 2>"$RIG/err" </dev/null
}

# counted PERCENT SECONDS TRUTH...: the report's CPU time is the truths' sum
counted() {
        local percent=$1 seconds=$2 truth
        shift 2
        truth=$(jq -s 'map(.cpu_s) | add' "$@")
        within "$(json "$RIG/report.json" .cpu_s)" "$truth" "$percent" "$seconds"
}

# The tolerances are below one tick of 10 ms: what is missed there is missed for good.
test_counting() {
        local truth=$RIG/load.json other=$RIG/other.json i
        for i in 1 2 3; do
                report_of "$LOADGEN" short 0.03 --truth "$truth"
                check "a process of 30 ms is counted whole ($i of 3)" counted 0 0.003 "$truth"
        done
        report_of sh -c '"$1" short 0.2 --truth "$2"; exec "$1" short 0.03 --truth "$3"' - \
                "$LOADGEN" "$truth" "$other"
        # The second truth has both: children once reaped stay with a process over exec.
        check "exec does not restart the count" counted 1 0.004 "$other"
        report_of "$LOADGEN" exec-chain --depth 20 --ms 5 --truth "$truth"
        check "nor do 20 of them" counted 1 0.004 "$truth"
        report_of sh -c '"$1" short 0.2 --truth "$2"; "$1" short 0.03 --truth "$3"' - \
                "$LOADGEN" "$truth" "$other"
        check "the last child is counted whole" counted 1 0.006 "$truth" "$other"
        report_of "$LOADGEN" daemon --depth 3 --seconds 1 --count 2 --truth "$truth"
        check "orphans three generations down are counted" counted 1 0.006 "$truth"

        rm -f "$truth"
        report_of sh -c '"$1" short 0.5 --truth "$2" & exit 7' - "$LOADGEN" "$truth"
        check "the status is the command's, not that of a child left behind" equal "$?" 7
        check "a child left behind is counted to its end" counted 1 0.006 "$truth"
        check "the report has the command's status" \
                equal "$(json "$RIG/report.json" .exit_status)" 7
}

rig_start_sim
rig_baseline 20
rig_start_daemon
test_status
test_streams
test_signals
test_ctrl_c
test_counting
