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

# follows USER INTERVAL REGEX: it says so, for a moment or, where that is too short, for longer
follows() {
        local seconds said
        for seconds in 2 6 20; do
                said=$(timeout -s INT "$seconds" runuser -u "$1" -- \
                        energat --pid "$pid" --interval "$2" --output "$LAB_WORK/$1" 2>&1)
                ! grep -Eq -- "$3" <<<"$said" || return 0
        done
        matches "$said" "$3"
}

lab_meter
chmod 0755 "$LAB_WORK"
for user in anna bert clara root; do
        install -d -o "$user" "$LAB_WORK/$user"
done
runuser -u anna -- "$LAB/loadgen" spin 100 &
check "anna runs something" wait_for 30 pgrep -u anna -x loadgen
pid=$(pgrep -u anna -x loadgen)

check "anna measures a command of hers" matches "$(as anna run --format json -- true)" '"exit_status": 0'
check "anna follows a process of hers" follows anna 1 package
check "bert may not follow it" follows bert 1 'not yours'
check "clara, who is in group energat, may" follows clara 1 package
check "root may" follows root 1 package
check "anna may not follow it every 0.1 s" follows anna 0.1 'below 1 s'
check "clara may" follows clara 0.1 package
check "anna may not calibrate" matches "$(as anna --basepower --base-period 1 --windows 1)" \
        'root and members of group energat'
check "nobody but root reads the meter itself" equal \
        "$(runuser -u clara -- cat /sys/class/powercap/intel-rapl:0/energy_uj 2>&1 | grep -c 'Permission denied')" 1
kill "$pid"
wait
