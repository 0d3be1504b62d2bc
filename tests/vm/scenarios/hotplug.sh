#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# CPUs that go and come while a command runs on them: no CPU time is lost, and it stays on its socket.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

cpu=$(tail -n 1 <<<"$(seq 0 "$(($(nproc --all) - 1))")") # the last; CPU 0 cannot go
online=/sys/devices/system/cpu/cpu$cpu/online

# switch 0|1: takes it away or brings it back, and that has to work
switch() {
        echo "$1" >"$online" && equal "$(<"$online")" "$1"
}

# switches STATE...: meanwhile
switches() {
        local state
        for state in "$@"; do
                sleep 0.8
                check "CPU $cpu is switched to $state" switch "$state"
        done
}

goes_and_comes() {
        local truth_s socket
        switches 0 1 0 1 >"$LAB_WORK/switched" &
        lab_load spin 5 --threads 4
        wait
        cat "$LAB_WORK/switched"
        check "all of it while the load ran" equal "$(grep -c '^ok' "$LAB_WORK/switched")" 4
        truth_s=$(json "$TRUTH" .cpu_s)
        check "CPU $cpu goes twice and comes back: CPU time" within "$(report .cpu_s)" "$truth_s" 1 0.05
        # To stop a CPU stops the machine, for tenths of a second when the host is busy, too: whose time
        # that was is known later than whose energy.
        check "joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 3
        for socket in $(sockets); do
                check "joules of socket $socket are those of its CPU time" within \
                        "$(report ".sockets[$socket].share.package_j")" \
                        "$(calculate "$CORE_W * $(report ".sockets[$socket].cpu_s")")" 3
        done
        json "$REPORT" '.sockets[] | "# socket \(.socket): \(.busy_s) s busy, \(.machine.package_j - .machine.static_package_j) J dynamic"'
        check "and no domain was ill" equal \
                "$(lab_call GetStatus | jq -r '[.domains[] | .faults] | add')" 0
}

comes_later() {
        local truth_s node
        node=$(basename /sys/devices/system/cpu/cpu"$cpu"/node*)
        rm -f "$TRUTH"
        taskset -c "$cpu" timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json --output "$REPORT" -- \
                "$LAB/loadgen" spin 3 --cpu --truth "$TRUTH"
        truth_s=$(json "$TRUTH" .cpu_s)
        check "CPU $cpu comes after energatd: CPU time on its socket" within \
                "$(report ".sockets[$(sockets_of_node "${node#node}")].cpu_s")" "$truth_s" 1 0.04
        check "its joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 3
}

lab_meter
lab_measured goes_and_comes
check "CPU $cpu goes" switch 0
systemctl restart energatd.service
check "it is not there when energatd starts, and comes" switch 1
sleep 1
lab_measured comes_later
