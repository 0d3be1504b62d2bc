#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# limit: 240
#
# Memory is taken on both sockets alike, and each one's dram is fitted: the meter's is in proportion
# to its own memory in use.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

lab_meter
timeout "$LAB_LIMIT_S" energat calibrate --delta --base-period 0.2 --windows 4 --format json \
        >"$REPORT" 2>"$LAB_WORK/delta.err"
check "calibrate --delta succeeds" equal "$?" 0
note "$(tail -n 3 "$LAB_WORK/delta.err")"
check "delta is the meter's" within "$(report .value)" 1 0 0.1
for socket in $(sockets); do
        domain=".domains[] | select(.socket == $socket)"
        check "socket $socket: power of no memory" within \
                "$(report "$domain | .base_w")" "$DRAM_BASE_W" 0 0.5
        check "socket $socket: of each GiB" within "$(report "$domain | .slope_w")" "$DRAM_GIB_W" 10
done
# Where all memory is taken on one of them, the other shows no growth.
check "memory grew on both sockets alike" within \
        "$(report '[.points[] | select(.domain == 0) | .load] | max - min')" \
        "$(report '[.points[] | select(.domain == 1) | .load] | max - min')" 30
