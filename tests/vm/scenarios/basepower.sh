#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base dies
# measures: yes
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

# What each socket's takes now, W, into dram_w[].
dram_w=()
take_dram_w() {
        local socket
        local -a from_uj from_s
        for socket in $(sockets); do
                from_s[socket]=$EPOCHREALTIME
                from_uj[socket]=$(dram_uj "$socket")
        done
        sleep 2
        for socket in $(sockets); do
                dram_w[socket]=$(calculate "($(dram_uj "$socket") - ${from_uj[socket]}) / 1e6 /
                        ($EPOCHREALTIME - ${from_s[socket]})")
        done
}

lab_meter
rm "$STATE/baseline_power.json"
systemctl restart energatd.service
sleep 1 # systemd and journald rest
# A busy host makes this machine busy, too: energatd does not calibrate then, unless it is told to.
calibrate() {
        local tries
        for tries in 1 2 3; do
                timeout 60 energat --basepower --base-period 1 --windows 3 && return 0
                note "try $tries: not idle"
                sleep 2
        done
        timeout 60 energat --basepower --base-period 1 --windows 3 --force
}

check "energat --basepower succeeds" calibrate
take_dram_w
file=$STATE/baseline_power.json
at=0
too_much_w=()
for socket in $(sockets); do
        n=$(domains_of_socket "$socket")
        base_w=$(json "$file" ".pkg_base_w[$at]")
        # Some percent of a CPU are busy in an idle machine that is emulated.
        check "package power of socket $socket is not below the meter's" at_most "$((n * BASE_W))" "$base_w"
        check "nor much above it" at_most "$base_w" "$(calculate "$n * $BASE_W + 0.3 * $CORE_W")"
        check "dram power of socket $socket" within \
                "$(json "$file" ".dram_base_w[$at]")" "${dram_w[socket]}" 3 0.5
        too_much_w[socket]=$(calculate "$base_w - $n * $BASE_W")
        at=$((at + 1))
done
check "there is one for each socket" equal "$(json "$file" '.pkg_base_w | length')" "$at"
check "the calibration is what --check tells of now" matches \
        "$(energat --check)" 'pass +calibration'

# On a socket of dies what is too much is on all of them, and a command on one.
share_is_right() {
        local truth_j less_j domains
        rm -f "$TRUTH"
        numactl --cpunodebind=0 timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json \
                --output "$REPORT" -- "$LAB/loadgen" spin 4 --cpu --truth "$TRUTH"
        truth_j=$(calculate "$CORE_W * $(json "$TRUTH" .cpu_s)")
        less_j=$(calculate "${too_much_w[0]} * $(report .duration_s)")
        domains=$(domains_of_socket 0)
        check "with it, the share of a command is what it cost, less what the base is too high" within \
                "$(report .share.package_j)" "$(calculate "$truth_j - $less_j / $domains")" 5 \
                "$(calculate "($domains - 1) * $less_j")"
}
lab_measured share_is_right
