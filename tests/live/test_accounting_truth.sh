#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The CPU time of a target is the kernel's own count of it, whatever the target does: it runs all
# the time, lives for 30 ms, forks, leaves daemons behind, has more threads than there are CPUs, or
# changes CPU every millisecond; and also when the daemon does not come to read for two seconds.
# tests/bench/cpu_truth.sh is the long form.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root
# shellcheck source=accounting.sh
. "$(dirname "$0")/accounting.sh"

EXECS=400

# exact TEXT MODE OPTION...: of loadgen
exact() {
        local text=$1
        shift
        if accounting_measure "$ACCOUNTING_LOADGEN" "$@" --truth "$ACCOUNTING_TRUTH"; then
                check "$text" accounting_is_exact
        else
                fail "$text: it is measured"
        fi
}

accounting_start_daemon

exact "one thread that spins" spin 3
exact "300 children of 5 ms" storm --children 300 --ms 5
exact "four daemons, three generations down" daemon --depth 3 --seconds 2 --count 4
exact "64 threads" threads --threads 64 --seconds 3
exact "a process of 30 ms" short 0.03
exact "50 times exec" exec-chain --depth 50 --ms 2

# hidden_by N TEXT OPTION...: switches that were hidden from the probe while exec-chain made N
hidden_by() {
        local n=$1 text=$2 before
        shift 2
        before=$(hidden_switches)
        exact "$text" exec-chain --depth "$n" --ms 0.1 "$@"
        HIDDEN=$(($(hidden_switches) - before))
}

hidden_switches() {
        "$(dirname "$0")/../bench/varlink_call.py" "$RIG/energat.sock" io.energat.GetStatus |
                jq .hidden_switches
}

# Another thread takes the first one's number while it runs.  A sandbox may hide switches of its own
# agent, as many in both.
if command -v python3 >/dev/null; then
        hidden_by "$EXECS" "$EXECS times exec by the first thread"
        beside=$HIDDEN
        hidden_by "$EXECS" "$EXECS times exec by another thread" --threads 2
        note "hidden switches: $beside and $HIDDEN"
        check "and it is not taken for a hidden switch" at_most "$HIDDEN" \
                "$((beside + EXECS * 3 / 4))"
else
        skip "$EXECS times exec by another thread than the first" "this machine has no python3"
fi
if [[ $(nproc) -ge 2 ]]; then
        exact "a thread that changes CPU every 1 ms" hop --seconds 2
else
        skip "a thread that changes CPU every 1 ms" "there is one CPU"
fi

text="10000 threads, one after the other"
if ! accounting_measure "$ACCOUNTING_LOADGEN" create --threads 10000 --truth "$ACCOUNTING_TRUTH"; then
        fail "$text: they are measured"
elif [[ $ACCOUNTING_CGROUP_S == none ]]; then
        skip "$text" "there is no cgroup v2, and getrusage(2) misses the end of each thread"
else
        check "$text" accounting_is_exact_by_cgroup
fi

ACCOUNTING_BESIDE=yes
exact "300 children of 5 ms, with all CPUs busy beside" storm --children 300 --ms 5
exact "a process of 30 ms, with all CPUs busy beside" short 0.03
ACCOUNTING_BESIDE=no

# Processes that are born and die while nobody reads.
ACCOUNTING_STOP_AFTER_S=0
exact "300 children of 5 ms, while energatd is stopped" storm --children 300 --ms 5
exact "a process of 30 ms, while energatd is stopped" short 0.03
check "that ticks were missed is said" matches "$(json "$ACCOUNTING_REPORT" '.warnings[]')" \
        'ticks were missed'
ACCOUNTING_STOP_AFTER_S=1
exact "one thread that spins, energatd stopped in between" spin 4
