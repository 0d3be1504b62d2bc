#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# order: first
#
# systemd starts energatd, hears that it is ready, and any user gets an answer.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

is_ready() {
        [[ $(systemctl show --property ActiveState --value energatd.service) == active ]]
}

check "energatd is up when the machine is, ready by its own word" equal \
        "$(systemctl show --property Type,ActiveState,NRestarts energatd.service | sort | xargs)" \
        "ActiveState=active NRestarts=0 Type=notify"
check "a user without rights measures a command" \
        runuser -u anna -- timeout 30 energat run -- true
check "systemctl restart gives a new one" systemctl restart energatd.service
check "that is ready, too" wait_for 5 is_ready
check "and answers" energat status
pid=$(systemctl show --property MainPID --value energatd.service)
kill -KILL "$pid"
is_new() {
        local state
        state=$(systemctl show --property ActiveState,MainPID energatd.service | sort | xargs)
        [[ $state == "ActiveState=active MainPID="* && $state != *"=$pid" ]]
}
check "killed, it is started again" wait_for 10 is_new
check "and measures" runuser -u anna -- timeout 30 energat run -- true

# As if it hung; how long it may is set to something short.
lab_drop_in WatchdogSec=3
pid=$(systemctl show --property MainPID --value energatd.service)
kill -STOP "$pid"
check "when it hangs, the watchdog starts it again" wait_for 20 is_new
check "and it measures" runuser -u anna -- timeout 30 energat run -- true

check "systemctl stop ends it" systemctl stop energatd.service
check "well" equal \
        "$(systemctl show --property Result,ExecMainStatus energatd.service | sort | xargs)" \
        "ExecMainStatus=0 Result=success"
systemctl stop energatd.socket # which would start it again
check "without it and its socket energat names the socket and what to do" matches \
        "$(energat run -- true 2>&1)" "no energatd at $SOCKET: .*systemctl start energatd"
