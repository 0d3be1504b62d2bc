#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Every method and every error of io.energat, called over the socket: what the daemon answers is what it
# declares, field by field (varlink_check.py).

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

rig_require_python "replies have the declared fields"

holds() {
        timeout -k 5 "$RIG_LIMIT_S" python3 "$(dirname "$0")/varlink_check.py" \
                "$RIG/energat.sock" "$1" </dev/null >"$RIG/out" 2>&1 && return 0
        note "$(tail -n 5 "$RIG/out")"
        return 1
}

rig_start_sim --dram --core
rig_baseline 20 3
rig_start_daemon
for scenario in complete describes_itself unknown_names status totals check config sensors rows rows_since own_rows \
        follow follow_overrides follow_once names_of_any_bytes no_such bad_parameters denied calibrate calibrate_online busy; do
        check "with a meter: $scenario" holds "$scenario"
done
rig_stop

rig_start_daemon --source estimate
check "without a meter: nothing_to_calibrate" holds nothing_to_calibrate
