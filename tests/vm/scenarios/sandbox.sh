#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# limit: 300
#
# energatd as systemd runs it: never root, with four capabilities, in its sandbox; the journal has its
# fields, the socket can be systemd's own, and a clock that is set back does no harm.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

main_pid() {
        systemctl show --property MainPID --value energatd.service
}

# status_of FIELD: of every thread, each value once
status_of() {
        sed -n "s/^$1:[[:space:]]*//p" /proc/"$(main_pid)"/task/*/status | sed 's/[[:space:]]*$//' | sort -u
}

four() {
        printf '%s\t%s\t%s\t%s' "$1" "$1" "$1" "$1"
}

has_gone() {
        [[ $(main_pid) != "$1" ]]
}

lab_meter
# CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_PERFMON, CAP_BPF: 2, 19, 38, 39
kept=$(printf '%016x' $((1 << 2 | 1 << 19 | 1 << 38 | 1 << 39)))
check "all threads are user energat" equal "$(status_of Uid)" "$(four "$(id -u energat)")"
check "and group energat" equal "$(status_of Gid)" "$(four "$(id -g energat)")"
check "permitted is what docs/security.md says" equal "$(status_of CapPrm)" "$kept"
check "effective, too" equal "$(status_of CapEff)" "$kept"
check "the bounding set has no more" equal "$(status_of CapBnd)" "$kept"
check "nothing is ambient or inheritable" \
        equal "$(status_of CapAmb) $(status_of CapInh)" "0000000000000000 0000000000000000"
check "no new privileges, system calls filtered" equal "$(status_of NoNewPrivs) $(status_of Seccomp)" "1 2"
check "the tick has real-time priority" matches "$(energat --check)" 'ticks .*missed$'
check "by BPF, the quick way" matches "$(energat --check)" 'pass +probe .*tp_btf'
check "the meter is root's alone, and is read" matches "$(energat --check)" 'pass +domain package-1/dram'
check "systemd thinks that the sandbox is tight" at_most \
        "$(systemd-analyze security --no-pager energatd.service | sed -n 's/.*exposure level for .*: \([0-9.]*\).*/\1/p')" 2.0

# what happens later
check "calibration is kept" energat --basepower --base-period 1 --windows 1 --force
check "in a file of energat's" equal "$(stat -c %U "$STATE/baseline_power.json")" energat

# the journal's fields
lab_fault eio package-1
check "a fault is found in the journal by its domain" wait_for 30 eval \
        '[[ -n $(journalctl --no-pager --output cat ENERGAT_DOMAIN=package-1 ENERGAT_FAULT=read) ]]'
lab_fault eio
check "its end, too, by its message id" wait_for 30 eval \
        '[[ -n $(journalctl --no-pager --output cat MESSAGE_ID=c3bd700203eb276d34f721e62d92556b) ]]'

# a clock that somebody sets back
before=$(lab_call GetStatus | jq .ticks)
date --set "1 hour ago" >/dev/null
sleep 2
check "the clock set back: ticks go on" test "$(lab_call GetStatus | jq .ticks)" -gt "$before"
check "a command is measured in the right time" lab_run sleep 1
check "of which it took a second" within "$(report .duration_s)" 1 60
date --set "1 hour" >/dev/null

# the socket as a unit of its own
lab_stop
check "the socket can be systemd's" systemctl start energatd.socket
check "its first client starts energatd" runuser -u anna -- timeout 30 energat status
pid=$(main_pid)
systemctl --no-block restart energatd.service
check "it is restarted" wait_for 30 has_gone "$pid"
check "a client waits meanwhile" timeout 30 energat status
check "it is another one that has answered" test "$(main_pid)" -ne 0
lab_stop
check "the socket stays when energatd stops" test -S "$SOCKET"
systemctl stop energatd.socket
lab_start
