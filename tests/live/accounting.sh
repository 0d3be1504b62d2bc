# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# CPU time as `energat run` counts it, beside the kernel's own counts.  Sourced after rig.sh, by the
# accounting tests and by the benches.
#
#   accounting_start_daemon [OPTION...]  energatd without a meter: CPU time needs none
#   accounting_measure COMMAND...        sets the following; fails when there is no result
#     ACCOUNTING_ENERGAT_S   what energat says
#     ACCOUNTING_TRUTH_S     getrusage(2), as the command wrote it to $ACCOUNTING_TRUTH
#     ACCOUNTING_CGROUP_S    the control group's usage_usec, or "none" without cgroup v2
#     ACCOUNTING_REPORT      the file with energat's report
#   accounting_is_exact                  energat and getrusage agree within 0.5 % or 2 ms; or energat has
#                                        more, and agrees with the control group
#   accounting_is_exact_by_cgroup        energat agrees with the control group within the same
#
# Why two truths.  A thread that nobody waits for hands its time on to its process before its last
# switch, and a child may be reaped before its own; what they still use then, about 1 us, is in no
# getrusage(2).  Nor is what the command uses to exit after it has told, some 0.2 ms, and 3 ms on a
# machine that is kept from running.  The control group and energat have it.
#
# What happens beside the command:
#   ACCOUNTING_BESIDE=yes     as many spinning threads as there are CPUs
#   ACCOUNTING_STOP_AFTER_S=S the daemon is stopped S seconds after the command begins, for
#                             ACCOUNTING_STOP_S seconds; 0: before its first instruction

ACCOUNTING_PERCENT=0.5 # what the result may be off ...
ACCOUNTING_SLACK_S=0.002 # ... or this, whichever is larger
ACCOUNTING_STOP_S=2
ACCOUNTING_BESIDE=no
ACCOUNTING_STOP_AFTER_S=
ACCOUNTING_TRUTH=$RIG/load.truth
ACCOUNTING_REPORT=$RIG/load.json
ACCOUNTING_LIMIT_S=300 # far above what a measurement takes
ACCOUNTING_TRUTH_S=
ACCOUNTING_ENERGAT_S=
ACCOUNTING_CGROUP_S=
ACCOUNTING_CGROUP= # its directory, while something is measured
ACCOUNTING_JOB=    # what is being measured
ACCOUNTING_LOADGEN=$RIG_BIN_DIR/loadgen

accounting_start_daemon() {
        rig_start_daemon --source estimate "$@"
}

accounting_spin_beside() {
        [[ $ACCOUNTING_BESIDE == yes ]] || return 0
        rig_background "$ACCOUNTING_LOADGEN" spin "$ACCOUNTING_LIMIT_S" \
                --threads "$(nproc)" --truth /dev/null
        accounting_beside_pid=$RIG_PID
}

accounting_end_beside() {
        [[ $ACCOUNTING_BESIDE == yes ]] || return 0
        kill -KILL "$accounting_beside_pid" && wait "$accounting_beside_pid" 2>/dev/null
        return 0
}

accounting_stop_daemon() {
        kill -STOP "$RIG_DAEMON_PID" || return 1
        sleep "$ACCOUNTING_STOP_S"
        kill -CONT "$RIG_DAEMON_PID"
}

# The control group for the next command.  Without: there is one truth only.
accounting_make_cgroup() {
        local mount
        mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
        ACCOUNTING_CGROUP=
        [[ -n $mount && -w $mount/cgroup.procs ]] || return 0
        mkdir "$mount/energat-test.$$" 2>/dev/null || return 0
        ACCOUNTING_CGROUP=$mount/energat-test.$$
        grep -q '^usage_usec ' "$ACCOUNTING_CGROUP/cpu.stat" 2>/dev/null || accounting_drop_cgroup
}

accounting_cgroup_is_empty() {
        [[ -z $(cat "$ACCOUNTING_CGROUP/cgroup.procs") ]]
}

accounting_drop_cgroup() {
        [[ -n $ACCOUNTING_CGROUP ]] || return 0
        wait_for 10 rmdir "$ACCOUNTING_CGROUP" 2>/dev/null || note "$ACCOUNTING_CGROUP is left"
        ACCOUNTING_CGROUP=
}

# The waiting shell joins.  It does not run, so its schedstat is what it has used, to the ns.
accounting_join_cgroup() {
        local pid
        ACCOUNTING_CGROUP_S=none
        [[ -n $ACCOUNTING_CGROUP ]] || return 0
        read -r pid <"$RIG/up"
        read -r accounting_before_ns _ <"/proc/$pid/schedstat" &&
                echo "$pid" >"$ACCOUNTING_CGROUP/cgroup.procs"
}

accounting_read_cgroup() {
        local usage
        [[ -n $ACCOUNTING_CGROUP ]] || return 0
        wait_for 10 accounting_cgroup_is_empty || return 1
        usage=$(awk '$1 == "usage_usec" { print $2 }' "$ACCOUNTING_CGROUP/cpu.stat")
        ACCOUNTING_CGROUP_S=$(calculate "$usage / 1e6 + $accounting_before_ns / 1e9")
}

# Does the shell wait?  Then it has written its pid, and reads the FIFO.
accounting_is_waiting() {
        local pid state
        [[ -s $RIG/up ]] || return 1
        read -r pid <"$RIG/up"
        state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)
        [[ $state == S ]]
}

# Have the command, which waits in its shell, begin; and stop the daemon when that is asked for.
accounting_let_go() {
        wait_for 20 accounting_is_waiting || return 1
        accounting_join_cgroup || return 1
        if [[ $ACCOUNTING_STOP_AFTER_S == 0 ]]; then
                kill -STOP "$RIG_DAEMON_PID" || return 1
        fi
        # A shell that has died does not open its end: no write for ever.
        timeout 20 sh -c 'echo go >"$1"' - "$RIG/go" || return 1
        case $ACCOUNTING_STOP_AFTER_S in
        '') return 0 ;;
        0)
                sleep "$ACCOUNTING_STOP_S"
                kill -CONT "$RIG_DAEMON_PID"
                ;;
        *)
                sleep "$ACCOUNTING_STOP_AFTER_S"
                accounting_stop_daemon
                ;;
        esac
}

accounting_measure() {
        local status=0
        ACCOUNTING_TRUTH_S=none
        ACCOUNTING_ENERGAT_S=none
        ACCOUNTING_CGROUP_S=none
        rm -f "$RIG/up" "$RIG/go" "$ACCOUNTING_TRUTH" "$ACCOUNTING_REPORT"
        mkfifo "$RIG/go" || return 1
        accounting_make_cgroup
        accounting_spin_beside
        # The shell becomes the command: its time is in the command's own count of itself.
        RIG_LIMIT_S=$ACCOUNTING_LIMIT_S rig_run run --format json -- \
                sh -c 'echo $$ >"$1"; read -r _ <"$2"; shift 2; exec "$@"' - "$RIG/up" "$RIG/go" "$@" \
                >"$ACCOUNTING_REPORT" 2>"$RIG/load.err" </dev/null &
        ACCOUNTING_JOB=$!
        accounting_let_go || status=1
        wait "$ACCOUNTING_JOB" || status=1
        ACCOUNTING_JOB=
        accounting_read_cgroup || status=1
        accounting_drop_cgroup
        # Whatever went wrong above, a stopped daemon would fail all that follows.
        kill -CONT "$RIG_DAEMON_PID" 2>/dev/null
        accounting_end_beside
        if [[ $status -ne 0 ]]; then
                note "no result of: $*" "$(cat "$RIG/load.err")"
                return 1
        fi
        ACCOUNTING_TRUTH_S=$(json "$ACCOUNTING_TRUTH" .cpu_s)
        # shellcheck disable=SC2034 # for whoever sources this
        ACCOUNTING_ENERGAT_S=$(json "$ACCOUNTING_REPORT" .cpu_s)
}

accounting_is_exact() {
        within "$ACCOUNTING_ENERGAT_S" "$ACCOUNTING_TRUTH_S" "$ACCOUNTING_PERCENT" \
                "$ACCOUNTING_SLACK_S" && return 0
        [[ $ACCOUNTING_CGROUP_S != none ]] &&
                at_most "$ACCOUNTING_TRUTH_S" "$ACCOUNTING_ENERGAT_S" &&
                accounting_is_exact_by_cgroup
}

accounting_is_exact_by_cgroup() {
        within "$ACCOUNTING_ENERGAT_S" "$ACCOUNTING_CGROUP_S" "$ACCOUNTING_PERCENT" \
                "$ACCOUNTING_SLACK_S"
}

# When the script ends before its time: nothing is left running, stopped or in /sys/fs/cgroup.
accounting_finish() {
        local status=$?
        trap - EXIT
        [[ -n $RIG_DAEMON_PID ]] && kill -CONT "$RIG_DAEMON_PID" 2>/dev/null
        [[ -n $ACCOUNTING_JOB ]] && rig_end "$ACCOUNTING_JOB"
        accounting_drop_cgroup
        (exit "$status")
        rig_finish
}

trap accounting_finish EXIT
