#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base
# measures: yes
#
# systemctl reload brings in what can take effect while a command is being measured, and nobody notices;
# what needs a restart waits for it, and a file with an error changes nothing.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

main_pid() {
        systemctl show --property MainPID --value energatd.service
}

# reload LINE...: of the configuration file, which then asks for this
reload() {
        printf '%s\n' "$@" >"$CONFIG"
        systemctl reload energatd.service
}

# What systemctl status says of energatd: it reads the file after it has been told to.
status_says() {
        [[ $(systemctl show --property StatusText --value energatd.service) =~ $1 ]]
}

# setting KEY FIELD: in force, or waiting
setting() {
        lab_call GetConfig | jq -r --arg key "$1" ".settings[] | select(.key == \$key) | .$2"
}

reload_soon() {
        sleep 1.5
        reload '[model]' 'gamma = 0.25' '[sampling]' 'period = 20ms'
}

meanwhile() {
        local truth_s
        reload_soon &
        lab_load spin 4 --cpu
        wait
        truth_s=$(json "$TRUTH" .cpu_s)
        check "a command that was measured meanwhile has all its CPU time" complete \
                "$(report .cpu_s)" "$truth_s" 1 0.04
        check "and its joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 3
}

lab_meter
before=$(main_pid)
lab_measured meanwhile
check "the same energatd goes on" equal "$(main_pid)" "$before"
check "gamma is the new one" equal "$(setting model.gamma value)" 0.25
check "and what commands are measured with" equal \
        "$(energat run --format json -- true 2>/dev/null | jq .gamma)" 0.25
check "the period waits for a restart" equal "$(setting sampling.period waiting)" 20ms
check "status says so" matches "$(energat status)" 'sampling\.period'

reload '[model]' 'gamma = 7'
check "systemctl status tells of a file that is not taken" wait_for 30 status_says 'not reloaded: .*gamma'
check "a file with an error is refused" matches "$(lab_call GetConfig | jq -r .problem)" 'gamma'
check "and changes nothing" equal "$(setting model.gamma value)" 0.25
check "it still measures" energat run -- true

systemctl stop energatd.service
printf '%s\n' '[sampling]' 'period = 20ms' >"$CONFIG"
lab_start
check "after a restart the period is the new one" equal "$(lab_call GetStatus | jq .period_s)" 0.02
