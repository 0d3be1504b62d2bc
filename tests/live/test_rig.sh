#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The rig's own verdicts, which the other live tests stand on: a figure that is off fails unless the
# machine was taken away while it was measured, and then it is skipped with that reason; what is no
# number always fails; a test in which nothing was tested has not passed.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"

LIVE=$(dirname "$0")

# inner SCRIPT: as a test of its own; what it says is in $RIG/inner
inner() {
        bash -c '. "$0/rig.sh"; '"$1" "$LIVE" >"$RIG/inner" 2>&1 </dev/null
}

# ends STATUS SCRIPT LINE: with that status, and says that
ends() {
        local status
        inner "$2"
        status=$?
        [[ $status -eq $1 ]] && grep -Fqx -- "$3" "$RIG/inner" && return 0
        note "exit status $status, expected $1 and '$3'; it said:" "$(cat "$RIG/inner")"
        return 1
}

# shellcheck disable=SC2016 # the inner test expands them
{
        taken='RIG_DISTURBED="the hypervisor took it"; '
        check "a figure that is right passes" \
                ends 0 'figure joules within 1 1 5' 'ok 1 - joules'
        check "one that is off fails" \
                ends 1 'figure joules within 2 1 5' 'not ok 1 - joules'
        check "right, and the machine was taken away: passes" \
                ends 0 "$taken"'figure joules within 1 1 5' 'ok 1 - joules'
        check "off, and the machine was taken away: skipped, with the reason" \
                ends 77 "$taken"'figure joules within 2 1 5' 'ok 1 - joules # SKIP the hypervisor took it'
        check "no number fails, whatever was taken away" \
                ends 1 "$taken"'figure joules within null 1 5' 'not ok 1 - joules'
        check "a check is never skipped" \
                ends 1 "$taken"'check joules within 2 1 5' 'not ok 1 - joules'
        check "one failure is enough" \
                ends 1 'pass one; fail two; pass three' '# passed 2, failed 1, skipped 0'
        check "a test that tests nothing fails" \
                ends 1 'true' '# nothing was tested'
        check "what measures runs once when nothing is taken away" \
                ends 0 'rig_taken_since() { :; }
                        measure() { echo measured >>"$RIG/runs"; }
                        rig_calmly measure
                        check runs equal "$(wc -l <"$RIG/runs")" 1' 'ok 1 - runs'
        check "and three times when it always is, with the reason kept" \
                ends 0 'rig_taken_since() { echo "all of it"; }
                        measure() { echo measured >>"$RIG/runs"; }
                        rig_calmly measure
                        check runs equal "$(wc -l <"$RIG/runs") $RIG_DISTURBED" "3 all of it"' \
                'ok 1 - runs'
        check "what was taken is told from two looks at the clock, the CPUs and the simulator" \
                ends 0 'RIG_STOLEN_PERCENT=1 RIG_STALLED_PERCENT=0.1
                        getconf() { echo 2; }
                        rig_taken() { echo "110 0.3 10 0.02"; }
                        check stalled equal "$(rig_taken_since "100 0 0 0")" \
                                "the simulator was kept from running for 0.02 of 10.0 s"
                        rig_taken() { echo "110 0.3 10 0.005"; }
                        check stolen equal "$(rig_taken_since "100 0 0 0")" \
                                "the hypervisor took 1.5 % of the CPUs"
                        check neither equal "$(rig_taken_since "100 0.2 0 0")" ""' 'ok 3 - neither'
}
