#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# energat top in a real terminal (tmux): keys, sizes, colours, character sets; and --batch in pipes.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

TMUX_SERVER=energat-test-$$
WAIT_S=15

# The rows of --batch: what stands behind the empty line and the table's head.
rows_of() {
        sed '1,/^$/d' "$1" | tail -n +2
}

# --- in a terminal --------------------------------------------------------------------------------

tmux_do() {
        tmux -L "$TMUX_SERVER" -f /dev/null "$@"
}

screen() {
        tmux_do capture-pane -p "$@"
}

# shows REGEX: within WAIT_S a line of the screen matches
shows() {
        wait_for "$WAIT_S" screen_matches "$1" && return 0
        note "no line matches '$1' on the screen:" "$(screen)"
        return 1
}

screen_matches() {
        screen | grep -E -- "$1" >/dev/null
}

key() {
        tmux_do send-keys "$@"
}

# size WIDTH HEIGHT
size() {
        tmux_do resize-window -x "$1" -y "$2"
}

# open_top WIDTH HEIGHT 'ENVIRONMENT' [OPTION...]: its exit status goes to $RIG/top.status
open_top() {
        local width=$1 height=$2 environment=$3
        shift 3
        rm -f "$RIG/top.status"
        tmux_do new-session -d -x "$width" -y "$height" \
                "env $environment $ENERGAT_BIN_DIR/energat --socket $RIG/energat.sock top $* \
                2>$RIG/top.err; echo \$? >$RIG/top.status"
}

has_ended() {
        [[ -s $RIG/top.status ]]
}

# ends_with STATUS
ends_with() {
        wait_for "$WAIT_S" has_ended && equal "$(cat "$RIG/top.status")" "$1"
}

close_top() {
        tmux_do kill-server 2>/dev/null
        wait_for 5 no_server
}

no_server() {
        ! tmux_do has-session 2>/dev/null
}

test_keys() {
        open_top 80 24 "LC_ALL=C.UTF-8" -d 1
        check "80x24: the table is there" shows '^ +PID USER +POWER W +ENERGY +CPU % NAME'
        check "with a line for the socket" shows '^socket 0 +[0-9.]+ W \[.+\] static +[0-9.]+ share +[0-9.]+ unattr\. +[0-9.]+'
        check "and the busy process is there" shows '^ +[0-9]+ root +[0-9]+\.[0-9]{3} .* spin$'
        check "no line is wider than the screen" test "$(screen | wc -L)" -le 80
        key '?'
        check "? tells the keys" shows 'sort: next column'
        key x
        check "any key leaves the help" shows 'rows by power'
        key g
        check "g groups by user" shows 'one for each user'
        check "root has a row" shows ' root$'
        key g
        check "g again by unit" shows 'one for each unit'
        key g
        check "g again by target, and says when there is none" shows 'nothing is being followed'
        key g t
        check "t makes a tree" shows 'rows by power, tree'
        key t C
        check "C sorts by CPU time" shows 'rows by cpu'
        key C
        check "and again reverses" shows 'rows by cpu, reversed'
        key P f spin Enter
        check "f filters" shows '^[1-9] of [0-9]+ rows by power, filter: spin'
        key p
        check "p pauses" shows 'PAUSED'
        key p / spin Enter
        check "/ searches" shows 'filter: spin'
        key +
        check "+ makes it slower" shows 'every 2 s'
        key q
        check "q ends it with status 0" ends_with 0
        check "nothing was said on stderr" test ! -s "$RIG/top.err"
        close_top
}

# mouse FORM BUTTON COLUMN LINE: press and release, as a terminal sends them; 64 and 65: the wheel
mouse() {
        local form=$1 button=$2 column=$3 line=$4 bytes
        case $form in
        sgr) # what terminals send for TERM=xterm
                bytes=$(printf '\033[<%d;%d;%dM' "$button" "$column" "$line")
                [[ $button -ge 64 ]] || bytes+=$(printf '\033[<%d;%d;%dm' "$button" "$column" "$line")
                ;;
        x10) # and for TERM=screen
                bytes=$(x10_event "$button" "$column" "$line")
                [[ $button -ge 64 ]] || bytes+=$(x10_event 3 "$column" "$line")
                ;;
        esac
        # shellcheck disable=SC2046 # one argument for each byte
        tmux_do send-keys -H $(printf '%s' "$bytes" | od -An -tx1)
}

# Each number is a byte, 32 more than it.
x10_event() {
        # shellcheck disable=SC2059 # the format is made of numbers
        printf "\\033[M\\x$(printf '%x' $(($1 + 32)))\\x$(printf '%x' $(($2 + 32)))\\x$(printf '%x' $(($3 + 32)))"
}

# head_at: line of the table's head on the screen, counted from 1; column_of TITLE: its last column
head_at() {
        screen | grep -n '^ *PID USER' | cut -d : -f 1
}

column_of() {
        screen | grep '^ *PID USER' | awk -v title="$1" '{ print index($0, title) + length(title) - 1 }'
}

# The line of the row under the cursor, which is in reverse.
selected_line() {
        screen -e | grep -n $'^\033\\[[0-9;]*7m *[0-9]' | head -n 1 | cut -d : -f 1
}

selected_is() {
        [[ $(selected_line) == "$1" ]]
}

# In black and white, where the row under the cursor is in reverse.
test_mouse() {
        local form=$1 term=$2 head
        open_top 80 24 "LC_ALL=C.UTF-8 NO_COLOR=1 TERM=$term" -d 1
        check "mouse ($form): the table is there" shows '^ +PID USER +POWER W'
        head=$(head_at)
        mouse "$form" 0 "$(column_of 'CPU %')" "$head"
        check "a click on a column's head sorts by it" shows 'rows by cpu(,|$| )'
        mouse "$form" 0 "$(column_of 'CPU %')" "$head"
        check "and again reverses" shows 'rows by cpu, reversed'
        mouse "$form" 0 "$(column_of PID)" "$head"
        check "another column's head: that column" shows 'rows by pid$'
        mouse "$form" 0 10 $((head + 5))
        check "a click on a row moves the cursor there" wait_for "$WAIT_S" selected_is $((head + 5))
        mouse "$form" 65 10 $((head + 5))
        check "the wheel moves it on" wait_for "$WAIT_S" selected_is $((head + 8))
        mouse "$form" 64 10 $((head + 5))
        check "and back" wait_for "$WAIT_S" selected_is $((head + 5))
        key q
        check "q ends it" ends_with 0
        close_top
}

test_sizes() {
        open_top 80 24 "LC_ALL=C.UTF-8"
        check "it starts" shows 'PID USER'
        size 40 8
        check "too small: it says so" shows 'terminal too small'
        check "and what it needs" shows '40x8, needs 50x10'
        size 120 40
        check "larger again: it recovers" shows 'PID USER .* UNIT +NAME'
        size 50 10
        check "the smallest size works" shows '^ +PID USER +POWER W +ENERGY +CPU'
        check "and fits" test "$(screen | wc -L)" -le 50
        size 240 60
        check "and a large one" shows 'PID USER .* UNIT +NAME'
        tmux_do kill-session
        check "a terminal that goes ends it" wait_for "$WAIT_S" no_top
        close_top
}

no_top() {
        ! pgrep -f "energat --socket $RIG/energat.sock top" >/dev/null
}

test_looks() {
        open_top 80 24 "LC_ALL=C.UTF-8 TERM=screen-256color"
        check "with colours" shows 'socket 0'
        check "there are colours" wait_for "$WAIT_S" has_colours
        key q
        close_top
        open_top 80 24 "LC_ALL=C.UTF-8 NO_COLOR=1 TERM=screen-256color"
        check "NO_COLOR: the table is there" shows 'socket 0 +[0-9.]+ W'
        check "and no colour" no_colours
        key q
        close_top
        open_top 80 24 "LC_ALL=C"
        check "without UTF-8: bars of ASCII" shows '^socket 0 +[0-9.]+ W \[=*#+-* *\]'
        check "and nothing else" no_bytes_above_ascii
        key C-c
        check "Ctrl-C is a way to leave" ends_with 0
        close_top
        open_top 80 24 "LC_ALL=C.UTF-8 TERM=no-such-terminal"
        check "a terminal of no known type: status 2" ends_with 2
        check "and it names it" matches "$(cat "$RIG/top.err")" "no-such-terminal.*--batch"
        close_top
}

has_colours() {
        screen -e | grep $'\033\\[[34][0-7]m' >/dev/null
}

no_colours() {
        ! has_colours
}

no_bytes_above_ascii() {
        ! screen | LC_ALL=C grep '[^ -~]' >/dev/null
}

test_daemon_gone() {
        open_top 80 24 "LC_ALL=C.UTF-8"
        check "it starts" shows 'PID USER'
        rig_stop_daemon
        check "a daemon that goes is told" shows '! no energatd: .*; trying again'
        rig_start_daemon
        check "and found when it is back" shows '^socket 0 +[0-9.]+ W .*share +[0-9]+\.[0-9]'
        key q
        check "q still ends it" ends_with 0
        close_top
}

# --- in a pipe ------------------------------------------------------------------------------------

batch() {
        rig_run top --batch "$@" >"$RIG/batch" 2>"$RIG/batch.err" </dev/null
}

test_batch() {
        local sum share
        check "--batch prints once" batch -n 1
        check "the head" matches "$(cat "$RIG/batch")" '^ +PID USER +POWER W +ENERGY +CPU % UNIT +NAME$'
        check "the busy process is among the first rows" matches \
                "$(rows_of "$RIG/batch" | head -n 8)" ' root .* spin$'
        check "no colours in a pipe" equal "$(grep -c $'\033' "$RIG/batch")" 0
        check "two views with -n 2" batch -n 2 -d 0.3
        check "with two heads" equal "$(grep -c '^ *PID USER' "$RIG/batch")" 2
        check "--filter" batch -n 1 --filter spin
        check "leaves nothing else" equal "$(rows_of "$RIG/batch" | grep -cv ' spin$')" 0
        check "--group user" batch -n 1 --group user
        check "has a row for root" matches "$(rows_of "$RIG/batch")" ' root$'

        rig_calmly batch -n 1 --format json
        check "--format json" equal "$?" 0
        check "is one line" equal "$(wc -l <"$RIG/batch")" 1
        check "for the rows" test "$(json "$RIG/batch" '.rows | length')" -gt 5
        sum=$(json "$RIG/batch" '[.rows[].power_w] | add')
        share=$(json "$RIG/batch" '[.sockets[].share_w] | add')
        check "rows add up to the share of the sockets" within "$sum" "$share" 0.1 0.01
        check "parts of a socket add up" within \
                "$(json "$RIG/batch" '.sockets[0] | .static_w + .share_w + .unattributed_w')" \
                "$(json "$RIG/batch" '.sockets[0].power_w')" 0.001
        figure "the busy process has 10 W for each core second" within \
                "$(json "$RIG/batch" '[.rows[] | select(.name == "spin")] | map(.power_w / .cpu_percent) | add')" \
                0.1 15
        check "a reader that goes early is no crash" head_of_batch
        check "not a terminal: status 2" refused_without_terminal
        check "and --batch is named" matches "$(cat "$RIG/err")" 'energat top --batch'
}

head_of_batch() {
        rig_run top --batch -n 3 -d 0.1 2>/dev/null </dev/null | head -n 1 >"$RIG/batch"
        equal "$(wc -l <"$RIG/batch")" 1
}

refused_without_terminal() {
        rig_run top >"$RIG/out" 2>"$RIG/err" </dev/null
        equal "$?" 2
}

test_ordinary_user() {
        local mine
        rig_copy_programs
        rig_background runuser -u nobody -- sleep 60
        sleep 0.5
        mine=$(pgrep -n -u nobody sleep)
        check "an ordinary user gets an answer" as_nobody top --format json -n 1
        check "which says that it is theirs only" equal "$(json "$RIG/out" .own_only)" true
        check "with their process" equal \
                "$(json "$RIG/out" "[.rows[] | select(.pid == $mine)] | length")" 1
        check "and nobody else's" equal \
                "$(json "$RIG/out" '[.rows[] | select(.user != "nobody")] | length')" 0
        check "power of the machine is known" test "$(json "$RIG/out" '.sockets[0].power_w')" != null
        check "and as text" as_nobody top --batch -n 1
        check "says whose they are" matches "$(cat "$RIG/out")" \
                'your own processes \(nobody\); root and group energat see all'
}

# Targets: what `energat run` follows; an ordinary user's top has their own only.
test_targets() {
        local ours='.rows[] | select(.name == "ours")'
        check "--group target, with none" batch -n 1 --group target
        check "has no rows" equal "$(rows_of "$RIG/batch")" ""
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --name ours \
                --format json -- sh -c 'while :; do /bin/true; done' >"$RIG/ours" 2>&1
        rig_as nobody energat run --name theirs --no-wait --format json -- sleep 60 \
                >"$RIG/theirs" 2>&1 </dev/null &
        check "both are targets" wait_for "$WAIT_S" targets_are 'ours theirs'
        rig_calmly batch -n 1 --format json --group target
        check "of a target that is made of short processes" equal "$?" 0
        check "the CPU time is known" test "$(json "$RIG/batch" "($ours).cpu_percent > 20")" = true
        figure "and its power, 10 W for each core second" within \
                "$(json "$RIG/batch" "$ours | .power_w / .cpu_percent")" 0.1 15
        check "with its user" equal "$(json "$RIG/batch" "$ours | .user")" root
        check "and text has its pid" batch -n 1 --group target
        check "and name" matches "$(rows_of "$RIG/batch")" '^ +[0-9]+ root .* ours$'
        check "an ordinary user's top" as_nobody top --format json -n 1 --group target
        check "has the target that is theirs" equal "$(json "$RIG/out" '[.rows[].name] | join(" ")')" theirs
        pkill -P "$RIG_PID" # the commands end, and so do the targets
        pkill -u nobody -x sleep
        check "who ends is gone" wait_for "$WAIT_S" targets_are ''
}

# targets_are NAMES
targets_are() {
        batch -n 1 -d 0.1 --format json --group target &&
                [[ $(json "$RIG/batch" '[.rows[].name] | sort | join(" ")') == "$1" ]]
}

as_nobody() {
        rig_as nobody energat "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
}

# A locale with decimal commas changes no number, and two at once are no trouble.
test_locale_and_company() {
        local first second
        if [[ -d $RIG/locale/de_DE.UTF-8 ]]; then
                check "with decimal commas in the locale" german_batch -n 1 --format json
                check "JSON is JSON" test "$(json "$RIG/batch" '.rows | length')" -gt 5
                check "text, and an option with a point" german_batch -n 1 -d 0.25
                check "and text has points" matches "$(rows_of "$RIG/batch")" ' [0-9]+\.[0-9]{3} '
                check "and no comma in a number" equal "$(rows_of "$RIG/batch" | grep -cE '[0-9],[0-9]')" 0
        else
                skip "a locale with decimal commas" "localedef cannot make de_DE.UTF-8 (package locales)"
        fi
        rig_run top --format json -n 2 >"$RIG/first" 2>&1 </dev/null &
        first=$!
        rig_run top --format json -n 2 >"$RIG/second" 2>&1 </dev/null &
        second=$!
        check "two at once: the first" wait "$first"
        check "and the second" wait "$second"
        check "both have two views" equal "$(cat "$RIG/first" "$RIG/second" | wc -l)" 4
}

german_batch() {
        LOCPATH=$RIG/locale LC_ALL=de_DE.UTF-8 batch "$@"
}

make_locale() {
        mkdir "$RIG/locale"
        localedef -i de_DE -f UTF-8 "$RIG/locale/de_DE.UTF-8" >/dev/null 2>&1 || true
}

rig_baseline 20 3
rig_start_sim --dram
rig_start_daemon
make_locale
cat >"$RIG/spin" <<'END'
#!/bin/sh
while :; do :; done
END
chmod +x "$RIG/spin"
rig_background nice -n -10 "$RIG/spin"
test_batch
test_ordinary_user
test_targets
test_locale_and_company
if command -v tmux >/dev/null; then
        test_keys
        test_mouse x10 screen
        test_mouse sgr xterm
        test_sizes
        test_looks
        test_daemon_gone
else
        skip "energat top in a terminal" "there is no tmux"
fi
