#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base dies
# limit: 180
#
# Calibration finds the idle machine's power, which the meter knows exactly.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

# Microjoules of a socket's memory, all its dies together.
dram_uj() {
        local name sum=0
        for name in /sys/class/powercap/intel-rapl:*:*/name; do
                if [[ $(<"$name") == dram && $(<"${name%:*}/name") =~ ^package-$1(-die-[0-9]+)?$ ]]; then
                        sum=$((sum + $(<"${name%name}energy_uj")))
                fi
        done
        echo "$sum"
}

# What it takes now, W.
dram_w() {
        local from_uj to_uj from_s to_s
        from_s=$EPOCHREALTIME
        from_uj=$(dram_uj "$1")
        sleep 2
        to_s=$EPOCHREALTIME
        to_uj=$(dram_uj "$1")
        calculate "($to_uj - $from_uj) / 1e6 / ($to_s - $from_s)"
}

lab_meter
rm "$STATE/baseline_power.json"
systemctl restart energatd.service
sleep 2 # systemd and journald rest
# A busy host makes this machine busy, too: energatd does not calibrate then, unless it is told to.
calibrate() {
        local tries
        for tries in 1 2 3; do
                timeout 60 energat --basepower --base-period 1 --windows 5 && return 0
                note "try $tries: not idle"
                sleep 2
        done
        timeout 60 energat --basepower --base-period 1 --windows 5 --force
}

check "energat --basepower succeeds" calibrate
file=$STATE/baseline_power.json
at=0
for socket in $(sockets); do
        n=$(domains_of_socket "$socket")
        base_w=$(json "$file" ".pkg_base_w[$at]")
        # Some percent of a CPU are busy in an idle machine that is emulated.
        check "package power of socket $socket is not below the meter's" at_most "$((n * BASE_W))" "$base_w"
        check "nor much above it" at_most "$base_w" "$(calculate "$n * $BASE_W + 0.3 * $CORE_W")"
        check "dram power of socket $socket" within \
                "$(json "$file" ".dram_base_w[$at]")" "$(dram_w "$socket")" 3 0.5
        too_much_w=$(calculate "${too_much_w:-0} + $base_w - $n * $BASE_W")
        at=$((at + 1))
done
check "there is one for each socket" equal "$(json "$file" '.pkg_base_w | length')" "$at"
check "the calibration is what --check tells of now" matches \
        "$(energat --check)" 'pass +calibration'
lab_load spin 4 --cpu
check "with it, the share of a command is what it cost" within \
        "$(report .share.package_j)" "$(calculate "$CORE_W * $(json "$TRUTH" .cpu_s)")" 5 \
        "$(calculate "$too_much_w * $(report .duration_s)")"
