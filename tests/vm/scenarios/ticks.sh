#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# A thread that never leaves its CPU makes no switch that could be seen; it is charged at every tick
# all the same.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

cpu=$(nproc --all)
cpu=$((cpu - 1))
socket=$(cat "/sys/devices/system/cpu/cpu$cpu/topology/physical_package_id")

lab_meter
# Real-time, and with leave to keep the CPU: not even the kernel's own threads take it off.
throttling=$(</proc/sys/kernel/sched_rt_runtime_us)
echo -1 >/proc/sys/kernel/sched_rt_runtime_us
chrt --fifo 20 taskset -c "$cpu" "$LAB/loadgen" spin 20 --cpu --truth "$TRUTH" &
sleep 1
pid=$(pgrep -x loadgen)
switches_before=$(awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$pid/status")
cpu_before_ns=$(cut -d ' ' -f 1 "/proc/$pid/schedstat")
timeout -s INT 6 energat --pid "$pid" --gamma 1 --interval 1 --name ticks --output "$LAB_WORK" \
        --format json >"$REPORT"
cpu_after_ns=$(cut -d ' ' -f 1 "/proc/$pid/schedstat")
switches_after=$(awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$pid/status")
kill -KILL "$pid"
echo "$throttling" >/proc/sys/kernel/sched_rt_runtime_us

check "it keeps its CPU meanwhile" at_most "$((switches_after - switches_before))" 5
check "CPU time is that of the clock" within "$(report .cpu_s)" "$(report .duration_s)" 1 0.03
check "and not above the scheduler's own" at_most "$(report .cpu_s)" \
        "$(calculate "($cpu_after_ns - $cpu_before_ns) / 1e9 + 0.02")"
check "joules" within "$(report ".sockets[$socket].share.package_j")" \
        "$(calculate "$CORE_W * $(report .duration_s)")" 3
# Columns: time, socket, duration_sec, ..., ascribed_pkg_joules (12th).
awk -F , -v socket="$socket" 'NR > 1 && $2 == socket && $3 > 0.9 { print $12 / $3 }' \
        "$LAB_WORK/energat_traces_ticks.csv" >"$LAB_WORK/watts"
check "there are four intervals or more" at_most 4 "$(wc -l <"$LAB_WORK/watts")"
check "none has less than its part" within "$(sort -g "$LAB_WORK/watts" | head -n 1)" "$CORE_W" 5
check "none has more" within "$(sort -g "$LAB_WORK/watts" | tail -n 1)" "$CORE_W" 5
