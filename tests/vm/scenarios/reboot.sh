#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: reboot
# measures: yes
# boots: 2
#
# Totals survive a reboot of the machine, which is told from a restart of energatd: counters have begun
# anew, and what was used since the last save is not known and not made up.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

BEFORE=$LAB_KEPT/totals.json
NOW=$LAB_WORK/totals.json

if [[ $LAB_BOOT -eq 1 ]]; then
        lab_meter
        lab_load spin 2 --cpu
        sleep 1 # until it is saved
        lab_call GetTotals >"$BEFORE"
        cat /proc/sys/kernel/random/boot_id >"$LAB_KEPT/boot_id"
        check "a share is in the totals" at_most 15 "$(json "$BEFORE" '[.domains[] | .share_j // 0] | add')"
        lab_reboot
fi

# less FIELD: domains whose total is less than before
less() {
        json "$NOW" "[\$before[0].domains[] as \$b | .domains[] |
                select(.name == \$b.name and .$1 < \$b.$1) | .name] | join(\" \")" --slurpfile before "$BEFORE"
}

check "the machine has booted anew" test "$(</proc/sys/kernel/random/boot_id)" != "$(<"$LAB_KEPT/boot_id")"
check "energatd is up" systemctl is-active energatd.service
sleep 1
lab_call GetTotals >"$NOW"
check "all domains are there" equal "$(json "$NOW" '[.domains[].name] | sort | join(" ")')" \
        "$(json "$BEFORE" '[.domains[].name] | sort | join(" ")')"
check "no domain has less energy than before" equal "$(less energy_j)" ""
check "nor a smaller share" equal "$(less share_j)" ""
check "CPU time is not less" at_most "$(json "$BEFORE" .cpu_s)" "$(json "$NOW" .cpu_s)"
check "one more boot is counted" equal "$(json "$NOW" .boots)" "$(($(json "$BEFORE" .boots) + 1))"
check "no energy of the time between is made up" equal "$(json "$NOW" '[.gap_s, .domains[].gap_j] | tostring')" \
        "$(json "$BEFORE" '[.gap_s, .domains[].gap_j] | tostring')"
check "the log says what is not known" matches \
        "$(journalctl --no-pager --output cat --unit energatd.service)" 'the machine was started anew'

now() {
        lab_load spin 4 --cpu
        check "and what is used now is measured" within \
                "$(report .share.package_j)" "$(calculate "$CORE_W * $(json "$TRUTH" .cpu_s)")" 3
}
lab_measured now
