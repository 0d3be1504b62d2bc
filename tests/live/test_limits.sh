#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What one client can do to the daemon has an end: each limit, tried, and the daemon answers others
# all the same.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

PROCESSES=200      # for a walk through /proc to take its time
MAX_MEMORY_KIB=65536 # well above what it needs; without limits the scenarios here need hundreds of MB

rig_require_python "limits of the server"
rig_share_python limits_check.py

# holds SCENARIO [COMMAND...]: COMMAND runs it
holds() {
        local scenario=$1
        shift
        (cd / && timeout -k 5 "$RIG_LIMIT_S" "$@" python3 -B "$RIG/py/live/limits_check.py" \
                "$RIG/energat.sock" "$scenario") </dev/null >"$RIG/out" 2>&1 && return 0
        note "$(tail -n 5 "$RIG/out")"
        return 1
}

# The most that it ever had: clients who have gone leave no trace in what it has now.
memory_is_bounded() {
        [[ $ENERGAT_SANITIZE == ON ]] && return
        check "the daemon's memory was bounded all the time" at_most \
                "$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$RIG_DAEMON_PID/status")" "$MAX_MEMORY_KIB"
}

printf '[server]\nidle_timeout = 1s\n' >"$RIG/energatd.conf"
rig_start_sim
rig_baseline 20
rig_start_daemon
# The log tells of some that are dropped, and counts the others: those that it is asked about come first.
for scenario in no_reader idle garbage length nesting unknown_fields wrong_types; do
        check "$scenario" holds "$scenario"
done
check "per_user" holds per_user runuser -u nobody --
if runuser -u nobody -- unshare -Urpf true 2>/dev/null; then
        for ((i = 0; i < PROCESSES; i++)); do
                rig_background sleep "$RIG_LIFETIME_S"
        done
        check "turns" holds turns runuser -u nobody -- unshare -Urpf
        note "$(tail -n 1 "$RIG/out")"
else
        skip "turns" "user nobody may make no pid namespace here"
fi
check "why a client was dropped is in the log" \
        matches "$(cat "$RIG/daemon.log")" 'dropping a client .*: it does not read its answers'
check "and of an idle one, too" matches "$(cat "$RIG/daemon.log")" 'dropping a client .*: it is idle'
check "follows" holds follows runuser -u nobody --
check "unread" holds unread runuser -u nobody --
memory_is_bounded
rig_stop_daemon
printf '[access]\ninterval = 30s\n' >"$RIG/energatd.conf"
rig_start_daemon
check "abandoned" holds abandoned runuser -u nobody --
check "surveys" holds surveys runuser -u nobody --
rig_background runuser -u nobody -- python3 -B "$RIG/py/bench/varlink_call.py" \
        "$RIG/energat.sock" io.energat.GetSensors 2>/dev/null
sleep 0.5
memory_is_bounded
