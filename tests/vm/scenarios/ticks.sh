#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# A thread that never leaves its CPU makes no switch that could be seen; it is charged at every tick
# all the same.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

cpu=$(nproc --all)
cpu=$((cpu - 1))
socket=$(cat "/sys/devices/system/cpu/cpu$cpu/topology/physical_package_id")

lab_meter

# cpu_ns PID, switches PID: of its only thread
cpu_ns() {
        cut -d ' ' -f 1 "/proc/$1/schedstat"
}

switches() {
        awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$1/status"
}

follows() {
        local pid switches cpu_ns
        # Real-time, and with leave to keep the CPU: not even the kernel's own threads take it off.
        chrt --fifo 20 taskset -c "$cpu" "$LAB/loadgen" spin 60 --cpu --truth "$TRUTH" &
        pid=$! # taskset's and chrt's own, which become what they start
        sleep 1
        switches=$(switches "$pid")
        cpu_ns=$(cpu_ns "$pid")
        timeout -s INT 6 energat --pid "$pid" --gamma 1 --interval 1 --name ticks --output "$LAB_WORK" \
                --format json >"$REPORT"
        cpu_ns=$(($(cpu_ns "$pid") - cpu_ns))
        switches=$(($(switches "$pid") - switches))
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null
        check "it keeps its CPU meanwhile" at_most "$switches" 5
        check "CPU time is that of the clock" within "$(report .cpu_s)" "$(report .duration_s)" 1 0.03
        check "and not above the scheduler's own" at_most "$(report .cpu_s)" \
                "$(calculate "$cpu_ns / 1e9 + 0.02")"
        check "joules" within "$(report ".sockets[$socket].share.package_j")" \
                "$(calculate "$CORE_W * $(report .duration_s)")" 3
        # Columns: time, socket, duration_sec, ..., ascribed_pkg_joules (12th).
        awk -F , -v socket="$socket" 'NR > 1 && $2 == socket && $3 > 0.9 { print $12 / $3 }' \
                "$LAB_WORK/energat_traces_ticks.csv" >"$LAB_WORK/watts"
        check "there are four intervals or more" at_most 4 "$(wc -l <"$LAB_WORK/watts")"
        check "none has less than its part" within "$(sort -g "$LAB_WORK/watts" | head -n 1)" "$CORE_W" 5
        check "none has more" within "$(sort -g "$LAB_WORK/watts" | tail -n 1)" "$CORE_W" 5
}

throttling=$(</proc/sys/kernel/sched_rt_runtime_us)
echo -1 >/proc/sys/kernel/sched_rt_runtime_us
lab_measured follows
echo "$throttling" >/proc/sys/kernel/sched_rt_runtime_us
