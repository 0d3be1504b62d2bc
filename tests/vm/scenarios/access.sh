#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
#
# Energy tells secrets.  Users see their own processes in steps of a second; root and members of group
# energat see all, at any step.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

# as USER ARGUMENT...: energat as that user; what it says
as() {
        local user=$1
        shift
        (cd "$LAB_WORK/$user" && timeout -k 5 "$LAB_LIMIT_S" runuser -u "$user" -- energat "$@" 2>&1)
}

lab_meter
chmod 0755 "$LAB_WORK"
for user in anna bert clara root; do
        install -d -o "$user" "$LAB_WORK/$user"
done
runuser -u anna -- "$LAB/loadgen" spin 60 &
sleep 1
pid=$(pgrep -u anna -x loadgen)
short() {
        timeout -s INT 3 runuser -u "$1" -- energat --pid "$pid" --interval "$2" --output "$LAB_WORK/$1" 2>&1
}

check "anna measures a command of hers" matches "$(as anna run --format json -- true)" '"exit_status": 0'
check "anna follows a process of hers" matches "$(short anna 1)" 'package'
check "bert may not follow it" matches "$(short bert 1)" 'not yours'
check "clara, who is in group energat, may" matches "$(short clara 1)" 'package'
check "root may" matches "$(short root 1)" 'package'
check "anna may not follow it every 0.1 s" matches "$(short anna 0.1)" 'below 1 s'
check "clara may" matches "$(short clara 0.1)" 'package'
check "anna may not calibrate" matches "$(as anna --basepower --base-period 1 --windows 1)" \
        'root and members of group energat'
check "nobody but root reads the meter itself" equal \
        "$(runuser -u clara -- cat /sys/class/powercap/intel-rapl:0/energy_uj 2>&1 | grep -c 'Permission denied')" 1
kill "$pid"
wait
