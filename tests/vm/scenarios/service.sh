#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# order: first
#
# systemd starts energatd, hears that it is ready, and any user gets an answer.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

property() {
        systemctl show --property "$1" --value energatd.service
}

is_ready() {
        [[ $(property ActiveState) == active ]]
}

# is_new PID: it is another one
is_new() {
        local now
        now=$(property MainPID)
        [[ $now -ne 0 && $now -ne $1 ]] && is_ready
}

check "energatd is up when the machine is, ready by its own word" equal \
        "$(property Type) $(property ActiveState) $(property NRestarts)" "notify active 0"
check "in its sandbox it counts as exactly as outside, and its ticks interrupt no CPU" matches \
        "$(energat status)" 'bpf \(tp_btf sched_switch\)'
check "a user without rights measures a command" \
        runuser -u anna -- timeout 30 energat run -- true
check "systemctl restart gives a new one" systemctl restart energatd.service
check "that is ready, too" wait_for 30 is_ready
check "and answers" energat status
pid=$(property MainPID)
kill -KILL "$pid"
check "killed, it is started again" wait_for 60 is_new "$pid"
check "and measures" runuser -u anna -- timeout 30 energat run -- true

# As if it hung; how long it may is set to something short.
lab_drop_in WatchdogSec=3
pid=$(property MainPID)
kill -STOP "$pid"
check "when it hangs, the watchdog starts it again" wait_for 60 is_new "$pid"
lab_drop_in # where that is short it would be stopped for being slow
check "and it measures" runuser -u anna -- timeout 30 energat run -- true

check "systemctl stop ends it" systemctl stop energatd.service
check "well" equal \
        "$(property ExecMainStatus) $(property Result)" "0 success"
systemctl stop energatd.socket # which would start it again
check "without it and its socket energat names the socket and what to do" matches \
        "$(energat run -- true 2>&1)" "no energatd at $SOCKET: .*systemctl start energatd"

lab_start # as it was found: a scenario that fails is run once more
