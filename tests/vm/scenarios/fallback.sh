#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base no-btf
#
# Where the probe cannot be loaded, /proc is read instead, and everybody is told: a kernel without BTF,
# and a place where bpf(2) is forbidden.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

BTF=/sys/kernel/btf

# counts_by_proc WHERE REASON: what is told there, and that it measures
counts_by_proc() {
        local truth_s
        check "$1: it counts by /proc" matches "$(energat status)" 'proc'
        check "$1: --check warns" matches "$(energat --check)" 'warn +probe'
        check "$1: and says why" matches "$(energat --check)" "$2"
        lab_load spin 6 --cpu
        truth_s=$(json "$TRUTH" .cpu_s)
        # /proc is read four times a second: that much of the end may be missing.
        check "$1: a long command is measured well" within "$(report .cpu_s)" "$truth_s" 5 0.4
        # What was used by processes that nobody met goes to those that were.
        check "$1: its joules are right" within \
                "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 15
        check "$1: the result says how exact it is" matches "$(report '.warnings[]')" 'counted by proc'
        lab_call GetRows >"$LAB_WORK/rows.json"
        check "$1: threads and idle are the CPUs' time" within \
                "$(json "$LAB_WORK/rows.json" '.cpu_s + .idle_s + .stolen_s')" \
                "$(json "$LAB_WORK/rows.json" .wall_s)" 10
}

if [[ $TOPOLOGY_NAME == no-btf ]]; then
        check "the kernel has no BTF" test ! -e "$BTF/vmlinux"
        lab_meter
        counts_by_proc "no BTF since boot" 'bpf: cannot load'
        exit
fi

lab_meter
lab_stop
mount -t tmpfs tmpfs "$BTF"
lab_start
counts_by_proc "no BTF" 'bpf: cannot load'
umount "$BTF"

lab_drop_in 'SystemCallFilter=~bpf' 'SystemCallErrorNumber=EPERM'
counts_by_proc "no bpf(2)" 'bpf: cannot load.*not permitted'

lab_drop_in
check "with both the probe is back" matches "$(energat status)" 'bpf'
lab_configure '[accounting]' 'probe = proc'
check "as configured, without BPF" matches "$(energat status)" 'proc'
