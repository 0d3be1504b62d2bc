#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# energatd as a service: what it may do once it runs, as the kernel reports it; what it says to the
# service manager; its watchdog; the configuration read again while it measures.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

HERE=$(dirname "$0")
NOTES=$RIG/notes
USER_NAME=bin # of the rig's configuration

# --- the documented set ---------------------------------------------------------------------------

# mask CAPABILITY...: as /proc/PID/status has it; numbers of linux/capability.h
mask() {
        local name mask=0
        declare -A number=([dac_read_search]=2 [sys_ptrace]=19 [sys_nice]=23 [perfmon]=38 [bpf]=39)
        for name in "$@"; do
                mask=$((mask | 1 << number[$name]))
        done
        printf '%016x' "$mask"
}

# status_of FIELD: of every thread, each value once
status_of() {
        sed -n "s/^$1:[[:space:]]*//p" /proc/"$RIG_DAEMON_PID"/task/*/status | sed 's/[[:space:]]*$//' |
                sort -u
}

four() {
        printf '%s\t%s\t%s\t%s' "$1" "$1" "$1" "$1"
}

# Real-time priority is by RLIMIT_RTPRIO where energatd may raise it, otherwise by CAP_SYS_NICE.
kept() {
        if prlimit --rtprio=1 true 2>/dev/null; then
                mask dac_read_search sys_ptrace perfmon bpf
        else
                mask dac_read_search sys_ptrace perfmon bpf sys_nice
        fi
}

# What each descriptor is, without numbers and names that differ.
descriptors() {
        local fd
        for fd in /proc/"$RIG_DAEMON_PID"/fd/*; do
                readlink "$fd"
        done | sed -E -e "s#^$RIG/powercap/.*/energy_uj#energy_uj#" -e 's#^(socket|pipe):.*#\1#' \
                -e "s#^$RIG/daemon.log#the log#" | sort -u
}

test_rights() {
        local uid gid
        uid=$(id -u "$USER_NAME")
        gid=$(id -g "$USER_NAME")
        check "all threads are user $USER_NAME" equal "$(status_of Uid)" "$(four "$uid")"
        check "and their group" equal "$(status_of Gid)" "$(four "$gid")"
        check "without other groups" equal "$(status_of Groups)" ""
        check "permitted is what is documented" equal "$(status_of CapPrm)" "$(kept)"
        check "effective, too" equal "$(status_of CapEff)" "$(kept)"
        check "nothing is inheritable" equal "$(status_of CapInh)" "$(mask)"
        check "nor ambient" equal "$(status_of CapAmb)" "$(mask)"
        check "the bounding set is empty" equal "$(status_of CapBnd)" "$(mask)"
        check "no new privileges" equal "$(status_of NoNewPrivs)" 1
        # the owner of /proc/PID/* is root when a process may not be dumped, proc(5)
        check "not dumpable" equal "$(stat -c %u "/proc/$RIG_DAEMON_PID/environ")" 0
        check "debuggers of the same user are kept out" \
                equal "$(runuser -u "$USER_NAME" -- cat "/proc/$RIG_DAEMON_PID/environ" 2>&1 | grep -c 'Permission denied')" 1
}

# Sockets: the clients' and the kernel's news of CPUs.
test_descriptors() {
        local allowed='^(/dev/null|the log|pipe|socket|energy_uj'
        allowed+='|anon_inode:(btf|bpf-map|bpf-prog|bpf_link|\[eventpoll\]|\[eventfd\]|\[signalfd\]|\[timerfd\]|\[perf_event\]))$'
        check "descriptors are those that are documented" \
                equal "$(descriptors | grep -Ev "$allowed")" ""
        check "among them the meter's, open since the start" \
                matches "$(descriptors)" '^energy_uj$'
        check "no directory and no device but /dev/null is open" \
                equal "$(find -L "/proc/$RIG_DAEMON_PID/fd" \( -type d -o -type b -o -type c \) -not -samefile /dev/null -mindepth 1 2>/dev/null | wc -l)" 0
}

test_no_such_user() {
        printf '[daemon]\nuser = nobody-of-that-name\n' >"$RIG/energatd.conf"
        rig_start_daemon
        check "no such user: it stays root" equal "$(status_of Uid)" "$(four 0)"
        check "and says so, and what to do" matches "$(cat "$RIG/daemon.log")" \
                "no user 'nobody-of-that-name'.* stays root.*useradd"
        check "with no more capabilities than otherwise" \
                equal "$(status_of CapEff)" "$(kept)"
        check "and none to get back" equal "$(status_of CapBnd)" "$(mask)"
        rig_stop_daemon
}

# --- what later work needs ------------------------------------------------------------------------

calibrates() {
        rig_run --basepower --base-period 1 --force >"$RIG/out" 2>&1 </dev/null
}

test_later_work() {
        check "a file of root's alone is the meter's" \
                equal "$(stat -c %a "$(find "$RIG/powercap" -name energy_uj | head -n 1)")" 400
        check "calibration writes to the state directory" calibrates
        check "and the file is the daemon's" \
                equal "$(stat -c %U "$RIG/state/baseline_power.json")" "$USER_NAME"
}

# --- reload ---------------------------------------------------------------------------------------

configure() {
        printf '[daemon]\nuser = %s\n%b' "$USER_NAME" "$1" >"$RIG/energatd.conf"
}

logged() {
        grep -Eq -- "$1" "$RIG/daemon.log"
}

noted() {
        grep -Eq -- "$1" "$NOTES"
}

# status FILTER
status() {
        rig_run status --format json >"$RIG/status.json" </dev/null
        json "$RIG/status.json" "$1"
}

test_reload() {
        configure '[model]\nmodel = additive\ngamma = 0.5\n[sampling]\nperiod = 20ms\n'
        kill -HUP "$RIG_DAEMON_PID"
        check "a key that can take effect does" wait_for 5 logged 'model.gamma is 0.5 now, no longer 0.3'
        check "one that cannot is named" \
                wait_for 5 logged 'sampling.period stays 10ms until energatd is restarted; the file says 20ms'
        check "clients see that it waits" matches "$(status '.warnings[]')" 'waits for a restart.*sampling.period'
        rig_run run --format json -- true >"$RIG/report.json" </dev/null
        check "the next report has the new values" \
                equal "$(json "$RIG/report.json" '"\(.model) \(.gamma)"')" "additive 0.5"
        rig_run run --model energat --format json -- true >"$RIG/report.json" </dev/null
        check "but for what it asks for itself" \
                equal "$(json "$RIG/report.json" '"\(.model) \(.gamma)"')" "energat 0.5"
        configure '[model]\ngamma = banana\n'
        kill -HUP "$RIG_DAEMON_PID"
        check "a bad value is refused, with its place" \
                wait_for 5 logged "energatd.conf:4: model.gamma: 'banana' is not valid"
        check "and it is said that the one before stays" \
                wait_for 5 logged 'not reloaded, the one before stays in force'
        check "clients see that" matches "$(status '.warnings[]')" "not reloaded.*banana"
        rig_run run --format json -- true >"$RIG/report.json" </dev/null
        check "it does stay" equal "$(json "$RIG/report.json" .gamma)" 0.5
        check "the service manager was told of each reload" equal "$(grep -c '^RELOADING=1' "$NOTES")" 2
        check "and of its end" equal "$(grep -c '^READY=1' "$NOTES")" 3
        check "and why it was refused" noted 'STATUS=.*not reloaded.*banana'
        configure ''
        for _ in {1..50}; do
                kill -HUP "$RIG_DAEMON_PID"
                sleep 0.02
        done
        check "it still measures after fifty more" wait_for 5 logged 'gamma is 0.3 now, no longer 0.5'
        check "and no tick is lost: those made and those missed are all the time" \
                equal "$(status '.ticks + .missed_ticks - .uptime_s / .period_s | fabs | . < 2')" true
}

# --- watchdog -------------------------------------------------------------------------------------

# thread NAME: its id
thread() {
        grep -lx "$1" /proc/"$RIG_DAEMON_PID"/task/*/comm | head -n 1 | cut -d / -f 5
}

fed() {
        grep -c '^WATCHDOG=1' "$NOTES"
}

# stops_feeding THREAD: held by a debugger for a while, as if it hung
stops_feeding() {
        local before
        rig_background python3 "$HERE/hold_thread.py" "$1" 6
        sleep 2.5 # what was on its way, and the time without a tick that is borne
        before=$(fed)
        sleep 2
        equal "$(fed)" "$before"
}

feeds_again() {
        local before
        before=$(fed)
        wait_for 10 fed_above $((before + 1))
}

fed_above() {
        [[ $(fed) -gt $1 ]]
}

test_watchdog() {
        check "it is fed" wait_for 5 fed_above 3
        if ! python3 "$HERE/hold_thread.py" "$(thread energatd/tick)" 0; then
                skip "a thread that hangs starves it" "ptrace(2) is not allowed here"
                return
        fi
        check "not when the sampler hangs" stops_feeding "$(thread energatd/tick)"
        check "which is said" logged 'the sampler has made no tick for'
        check "again when it goes on" feeds_again
        check "not when the main loop hangs" stops_feeding "$RIG_DAEMON_PID"
        check "again when it goes on" feeds_again
}

# --------------------------------------------------------------------------------------------------

rig_require_python "energatd as a service"
rig_start_sim --dram
rig_baseline 20 3
find "$RIG/powercap" -name energy_uj -exec chmod 0400 {} +
test_no_such_user

configure ''
rig_background python3 "$HERE/notify_socket.py" "$RIG/notify.sock" "$NOTES"
check "the stand-in of the service manager listens" wait_for 5 test -S "$RIG/notify.sock"
export NOTIFY_SOCKET=$RIG/notify.sock WATCHDOG_USEC=2000000
rig_start_daemon
unset NOTIFY_SOCKET WATCHDOG_USEC
check "it is ready by its own word" wait_for 5 noted '^READY=1'
check "and says what it measures with" noted '^STATUS=Measuring with powercap, CPU time by '
test_rights
test_descriptors
test_later_work
test_reload
test_watchdog
rig_stop_daemon
check "it says that it stops" noted '^STOPPING=1'
