#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# Services and users' sessions, each in a cgroup of its own: a service with a quota beside one without,
# and a user who has logged in.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

# measured USER DIRECTORY CPU_S SYSTEMD-RUN-OPTION...: a load in a service, measured by who runs it
measured() {
        local user=$1 directory=$2 cpu_s=$3
        shift 3
        systemd-run --quiet --wait --collect --uid "$user" "$@" -- \
                timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json \
                --output "$directory/report" -- \
                bash -c 'cat /proc/self/cgroup >"$1/cgroup"; exec "$2/loadgen" spin "$3" --cpu --truth "$1/truth"' \
                - "$directory" "$LAB" "$cpu_s"
}

# is_right NAME DIRECTORY CGROUP [PERCENT]
is_right() {
        local truth_s
        truth_s=$(json "$2/truth" .cpu_s)
        check "$1: it was in its cgroup" matches "$(cat "$2/cgroup")" "$3"
        check "$1: CPU time" within "$(json "$2/report" .cpu_s)" "$truth_s" 1 0.05
        check "$1: joules" within \
                "$(json "$2/report" .share.package_j)" "$(calculate "$CORE_W * $truth_s")" "${4:-3}" 0.5
}

lab_meter
chmod 0755 "$LAB_WORK"
for name in quota free session; do
        install -d -m 0777 "$LAB_WORK/$name"
done

side_by_side() {
        measured anna "$LAB_WORK/quota" 1.5 --unit lab-quota -p CPUQuota=25% -p CPUQuotaPeriodSec=1s &
        measured bert "$LAB_WORK/free" 6 --unit lab-free
        wait
        # It runs for 250 ms at a time: from reading the meter to reading CPU time a tick on emulated
        # CPUs takes some ms, which would be a tenth of the usual 25 ms, and the neighbour's.
        is_right "a service with a quota" "$LAB_WORK/quota" '^0::/system.slice/lab-quota.service$' 5
        check "a service with a quota: it took its time" at_most 5 "$(json "$LAB_WORK/quota/report" .duration_s)"
        is_right "one without, beside it" "$LAB_WORK/free" '^0::/system.slice/lab-free.service$'
}

session() {
        measured clara "$LAB_WORK/session" 2 --unit lab-session -p PAMName=login
        is_right "a user's session" "$LAB_WORK/session" '^0::/user.slice/user-[0-9]+.slice/session-.*.scope$'
}

lab_measured side_by_side
lab_measured session
