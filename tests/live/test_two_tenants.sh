#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Two users measure their own commands at the same time.  Shares are additive: together they are
# never more than the machine's dynamic energy, and each is what its own command used.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

J_PER_CPU_S=10
LONG_S=9
SHORT_S=4
FIRST=nobody
SECOND=daemon

# tenant USER SECONDS THREADS
tenant() {
        rig_as "$1" energat run --gamma 1 --format json -- \
                "$RIG/bin/loadgen" spin "$2" --threads "$3" --truth "$RIG/shared/$1.truth" \
                >"$RIG/$1.json" 2>"$RIG/$1.err" </dev/null
}

# tenant_is_right USER
tenant_is_right() {
        local truth_j
        truth_j=$(calculate "$J_PER_CPU_S * $(json "$RIG/shared/$1.truth" .cpu_s)")
        figure "$1: share within 3 % of what its command used" \
                within "$(json "$RIG/$1.json" .share.package_j)" "$truth_j" 3
}

dynamic_of() {
        json "$1" '.machine.package_j - .machine.static_package_j'
}

rig_start_sim
rig_baseline 20
rig_start_daemon
rig_copy_programs || exit 1

# The second tenant's time lies within the first one's, with more threads than the machine has
# cores: all dynamic energy of the second one's time is in the first one's window.
measure_both() {
        local first_job
        energy_before=$(rig_truth '(.energy_uj - .static_uj) / 1e6')
        tenant "$FIRST" "$LONG_S" 1 &
        first_job=$!
        RIG_JOBS+=("$first_job")
        sleep 2
        tenant "$SECOND" "$SHORT_S" 3
        second_status=$?
        wait "$first_job"
        first_status=$?
        sleep 0.2 # so that the simulator's truth covers both
        energy_after=$(rig_truth '(.energy_uj - .static_uj) / 1e6')
}

rig_calmly measure_both
check "$SECOND: an unprivileged user can run and measure a command" equal "$second_status" 0
check "$FIRST: an unprivileged user can run and measure a command" equal "$first_status" 0
note "$(cat "$RIG/$FIRST.err" "$RIG/$SECOND.err")"

tenant_is_right "$FIRST"
tenant_is_right "$SECOND"

shares=$(calculate "$(json "$RIG/$FIRST.json" .share.package_j) + \
        $(json "$RIG/$SECOND.json" .share.package_j)")
check "both shares together are not above dynamic energy, by the daemon's own count" \
        at_most "$shares" "$(dynamic_of "$RIG/$FIRST.json")"
figure "both shares together are not above dynamic energy, by the simulator's count" \
        at_most "$shares" "$(calculate "$energy_after - $energy_before")"
for user in "$FIRST" "$SECOND"; do
        check "$user: the share alone is not above dynamic energy of its own time" at_most \
                "$(json "$RIG/$user.json" .share.package_j)" "$(dynamic_of "$RIG/$user.json")"
        check "$user: nor is the attributed energy" at_most \
                "$(json "$RIG/$user.json" .attributed.package_j)" "$(dynamic_of "$RIG/$user.json")"
done
