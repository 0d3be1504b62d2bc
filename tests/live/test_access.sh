#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Who may see what, tried as an ordinary user, as a member of the group, and with a policy of one's
# own.  docs/access.md says why.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

USER_=nobody
OTHER=daemon
GROUP=games # any group that is there; named as access.group below

rig_require_python "what an ordinary user is told"
rig_share_python access_check.py

# as_user SCENARIO [ARGUMENT]
as_user() {
        (cd / && timeout -k 5 "$RIG_LIMIT_S" runuser -u "$USER_" -- python3 -B \
                "$RIG/py/live/access_check.py" "$RIG/energat.sock" "$@") </dev/null >"$RIG/out" 2>&1 &&
                return 0
        note "$(tail -n 5 "$RIG/out")"
        return 1
}

# refused STATUS RULE ARGUMENT...: by the program itself
refused() {
        local status=$1 rule=$2
        shift 2
        rig_as "$USER_" energat "$@" >"$RIG/out" 2>"$RIG/err" </dev/null
        equal "$?" "$status" && matches "$(cat "$RIG/err")" "rule: $rule"
}

# says_window RUN...: after `energat run -- true`, the text says that half of it is of whole seconds
says_window() {
        "$@" run -- true 2>"$RIG/err" </dev/null || return 1
        grep -Eq '^  attributed and whole machine cover [1-9][.0-9]* s, share 0\.[0-9]+ s: ' "$RIG/err"
}

# rows_as GROUP_OPTION...: GetRows by nobody with these groups
rows_as() {
        (cd / && timeout -k 5 "$RIG_LIMIT_S" setpriv --reuid "$USER_" "$@" \
                env PATH=/usr/local/bin:/usr/bin:/bin python3 -B \
                "$RIG/py/bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetRows) \
                >"$RIG/out" 2>"$RIG/err" </dev/null
}

# GetOwnRows by nobody in the group has a process of nobody's, and none of others.
own_rows_are_own() {
        local pids
        rig_background runuser -u "$USER_" -- sleep 60
        wait_for 5 pgrep -u "$USER_" -x sleep >/dev/null || return 1
        sleep 1.1 # whoever asks within a second is told what was told before
        (cd / && timeout -k 5 "$RIG_LIMIT_S" setpriv --reuid "$USER_" --regid nogroup \
                --groups "$GROUP" env PATH=/usr/local/bin:/usr/bin:/bin python3 -B \
                "$RIG/py/bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetOwnRows) \
                >"$RIG/out" 2>"$RIG/err" </dev/null || return 1
        pids=$(json "$RIG/out" '.rows[].pid')
        matches "$pids" "^$(pgrep -u "$USER_" -x sleep | head -n 1)\$" &&
                ! grep -Eqx "1|$RIG_DAEMON_PID|$other" <<<"$pids"
}

# compared ENERGAT...: how many pairs attributed energy was compared by, whether it differs, and whether
# there is a warning of whole seconds
compared() {
        "$@" run --repeat 3 --compare true --format json -- true </dev/null 2>/dev/null | jq -r \
                '"\(.comparison.attributed_j | "\(.count) \(.differs)") \(.warnings | any(test("whole seconds")))"'
}

# exported FORMAT: a recording of the user's, a moment long
exported() {
        rig_as "$USER_" energat record -o "$RIG/shared/recording" -- true >/dev/null 2>&1 </dev/null &&
                "$ENERGAT_BIN_DIR/energat" export --format "$1" "$RIG/shared/recording" -
}

# The columns of CSV are found by their names.
rounded_csv() {
        exported csv | awk -F, '
                NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i }
                NR == 2 { longer = $at["machine_s"] - $at["duration_s"] }
                END { printf "# the machine %.3f s longer\n", longer; exit !(longer > 0.1) }'
}

rig_copy_programs || exit 1
rig_start_sim --dram
rig_baseline 20 3
printf '[access]\ngroup = %s\n' "$GROUP" >"$RIG/energatd.conf"
rig_start_daemon
sleep 1.2 # the first mark; what came before has no edge to be rounded to
rig_background runuser -u "$OTHER" -- sleep 60
other=$RIG_PID
wait_for 5 pgrep -u "$OTHER" -x sleep >"$RIG/other" || exit 1
other=$(head -n 1 "$RIG/other")

check "processes of others, the machine at 10 ms, all rows, calibration: denied by name" \
        as_user denials "$other"
check "energat --pid of root's process: denied by name" \
        refused 1 own-processes --pid "$RIG_DAEMON_PID" --output "$RIG/shared"
check "energat --pid of another user's process: denied by name" \
        refused 1 own-processes --pid "$other" --output "$RIG/shared"
check "energat run at 10 ms: denied by name" \
        refused 1 interval-of-one-second run --interval 0.01 -- true
check "energat --basepower: denied by name" refused 1 administrators --basepower
check "the machine's totals have the same edges for everybody" as_user same_windows
check "a short run tells of the machine in whole seconds" as_user short_run
check "and its text says so" says_window rig_as "$USER_" energat
check "which root's does not" eval '! says_window rig_run && grep -q "whole machine" "$RIG/err"'
check "nor are repeated runs compared by it" equal \
        "$(compared rig_as "$USER_" energat)" "0 null true"
check "CSV of a recording has the time of the machine's columns" rounded_csv
check "and what CI of others reads says of what time attributed energy is" matches \
        "$(exported bench | jq -r '.[] | select(.name | endswith("attributed")) | .extra')" \
        'of whole seconds of the machine'
check "repeated runs of root are compared" matches "$(compared rig_run)" '^3 (true|false) false$'
check "totals of the status stand still within a second" as_user same_totals
check "no single step of a counter is told" as_user no_steps

check "without the group: denied" matches "$(rows_as --regid nogroup --clear-groups; cat "$RIG/err")" \
        "administrators"
check "with the group as a supplementary one: told" rows_as --regid nogroup --groups "$GROUP"
check "whoever may see all: their own rows are their own" own_rows_are_own
check "with the group as the first one: told" rows_as --regid "$GROUP" --clear-groups
check "root at 10 ms: told" rig_run run --interval 0.01 --format json -- sleep 0.1 >/dev/null
rig_stop_daemon

printf '[access]\ninterval = 2s\nown_processes = yes\n' >"$RIG/energatd.conf"
rig_start_daemon
check "access.interval: 1 s is denied where 2 s are the finest step" \
        refused 1 interval-of-one-second run --interval 1 -- true
check "and for the sensors, too" as_user coarse_sensors
rig_stop_daemon

printf '[access]\nown_processes = no\n' >"$RIG/energatd.conf"
rig_start_daemon
check "access.own_processes: where it is no, one's own are denied" \
        refused 1 own-processes run -- true
rig_stop_daemon

# What a reload changes holds for who is there, too.
reload_with() {
        printf '[access]\n%s\n' "$1" >"$RIG/energatd.conf" &&
        kill -HUP "$RIG_DAEMON_PID"
}
told_group() {
        rows_as --regid "$GROUP" --clear-groups
}
not_told_group() {
        ! told_group && matches "$(cat "$RIG/err")" administrators
}
printf '[access]\n' >"$RIG/energatd.conf"
rig_start_daemon
rig_background runuser -u "$USER_" -- "$RIG/bin/energat" --socket "$RIG/energat.sock" \
        run --interval 1 -- sleep 4 >"$RIG/followed" 2>&1 </dev/null
followed=$RIG_PID
sleep 1
check "another group is not told" not_told_group
reload_with "group = $GROUP"
check "a reload names it: now it is" wait_for 5 told_group
reload_with 'own_processes = no'
check "and takes it back: it is not any more" wait_for 5 not_told_group
check "access.own_processes = no ends what somebody else follows" \
        wait_for 5 grep -q 'dropping a client .*: who may see what has changed' "$RIG/daemon.log"
wait "$followed"
check "its command runs to its end, and its client says that there is no result" \
        matches "$(cat "$RIG/followed")" 'there is no result for sleep'
check "and nobody may begin anew" refused 1 own-processes run -- true
check "root's processes are root's to see all the same" rig_run run --format json -- true >/dev/null
