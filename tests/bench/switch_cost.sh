#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What a context switch costs with the probe: nanoseconds by the kernel's own statistics, beside an
# empty program and libbpf-tools' cpudist -L, which see the same switches.  See README.md.
#
# usage: switch_cost.sh [ROUNDS]; BENCH_LOOPS sets how many messages a round passes

# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

ROUNDS=${1:-7}
LOOPS=${BENCH_LOOPS:-400000}
LIMIT_NS=150  # over the empty program
LIMIT_RATIO=3 # cpudist's cost is at least so many times ours
EMPTY_PROBE=$BENCH_BIN_DIR/empty_probe
STATS=/proc/sys/kernel/bpf_stats_enabled

for program in perf bpftool cpudist "$EMPTY_PROBE"; do
        if ! command -v "$program" >/dev/null; then
                skip "switch_cost" "there is no $program"
                exit
        fi
done
if [[ ! -w $STATS ]]; then
        skip "switch_cost" "$STATS is not there: the kernel has no run time statistics"
        exit
fi

stats_before=$(cat "$STATS")

switch_cost_finish() {
        local status=$?
        echo "$stats_before" >"$STATS"
        (exit "$status")
        accounting_finish
}

trap switch_cost_finish EXIT
echo 1 >"$STATS"

# programs PID: "NAME RUN_TIME_NS RUN_CNT" of each BPF program that the process holds
programs() {
        local id
        cat "/proc/$1/fdinfo"/* 2>/dev/null | awk '$1 == "prog_id:" { print $2 }' | sort -u |
                while read -r id; do
                        bpftool prog show id "$id" --json |
                                jq -r '"\(.name) \(.run_time_ns // 0) \(.run_cnt // 0)"'
                done
}

# run_of FILE NAME: "TIME COUNT" of the programs whose name matches
run_of() {
        awk -v name="$2" '$1 ~ name { time += $2; count += $3 } END { print time + 0, count + 0 }' \
                "$1"
}

# ns_per_run NAME BEFORE AFTER
ns_per_run() {
        local time_before count_before time_after count_after
        read -r time_before count_before < <(run_of "$2" "$1")
        read -r time_after count_after < <(run_of "$3" "$1")
        calculate "($time_after - $time_before) / ($count_after - $count_before)"
}

# total_ns NAME BEFORE AFTER, and runs NAME BEFORE AFTER
total_ns() {
        local before after
        read -r before _ < <(run_of "$2" "$1")
        read -r after _ < <(run_of "$3" "$1")
        calculate "$after - $before"
}

runs() {
        local before after
        read -r _ before < <(run_of "$2" "$1")
        read -r _ after < <(run_of "$3" "$1")
        calculate "$after - $before"
}

holds_program() {
        [[ -n $(programs "$1") ]]
}

start_empty() {
        rig_background "$EMPTY_PROBE" >"$RIG/empty.out"
        empty_pid=$RIG_PID
        wait_for 10 grep -q ready "$RIG/empty.out"
}

start_cpudist() {
        rig_background cpudist -L 86400 1 >/dev/null 2>&1
        cpudist_pid=$RIG_PID
        wait_for 20 holds_program "$cpudist_pid"
}

# The three at work on the same switches; who comes first changes from round to round.
one_round() {
        local round=$1
        if [[ $((round % 2)) -eq 1 ]]; then
                start_empty && start_cpudist || return 1
        else
                start_cpudist && start_empty || return 1
        fi
        sleep 0.5
        for when in before after; do
                [[ $when == before ]] || perf bench sched pipe -l "$LOOPS" >/dev/null 2>&1 || return 1
                programs "$RIG_DAEMON_PID" >"$RIG/energatd.$when"
                programs "$empty_pid" >"$RIG/empty.$when"
                programs "$cpudist_pid" >"$RIG/cpudist.$when"
        done
        rig_end "$empty_pid" && rig_end "$cpudist_pid" 2>/dev/null
        return 0
}

# measure IRQ: yes or no
measure() {
        local irq=$1 round ours empty theirs beside switches verdict_text
        local -a all_ours=() all_empty=() all_theirs=() all_net=() all_beside=() all_ratio=()
        printf '[accounting]\nirq = %s\n' "$irq" >"$RIG/energatd.conf"
        accounting_start_daemon
        printf '\naccounting.irq = %s\n' "$irq"
        bench_columns round 5 switches 9 'empty ns' 9 'probe ns' 9 'cpudist ns' 10 'over empty' 10 \
                'ratio' 6 'net ratio' 9 'interrupts' 10
        for ((round = 1; round <= ROUNDS; round++)); do
                if ! one_round "$round"; then
                        fail "round $round: the programs can be attached and perf bench runs"
                        break
                fi
                ours=$(ns_per_run '^on_switch' "$RIG/energatd.before" "$RIG/energatd.after")
                empty=$(ns_per_run '^empty_switch' "$RIG/empty.before" "$RIG/empty.after")
                theirs=$(ns_per_run '^sched_switch' "$RIG/cpudist.before" "$RIG/cpudist.after")
                switches=$(runs '^on_switch' "$RIG/energatd.before" "$RIG/energatd.after")
                # What the programs at interrupts used, for each switch.
                beside=$(calculate "$(total_ns '^on_(irq|timer|softirq)' \
                        "$RIG/energatd.before" "$RIG/energatd.after") / $switches")
                all_ours+=("$ours")
                all_empty+=("$empty")
                all_theirs+=("$theirs")
                all_net+=("$(calculate "$ours - $empty")")
                all_ratio+=("$(calculate "($theirs - $empty) / ($ours - $empty)")")
                all_beside+=("$beside")
                bench_row "$round" "$(format %.0f "$switches")" "$(format %.1f "$empty")" \
                        "$(format %.1f "$ours")" "$(format %.1f "$theirs")" \
                        "$(format %.1f "$ours - $empty")" "$(format %.2f "$theirs / $ours")" \
                        "$(format %.2f "($theirs - $empty) / ($ours - $empty)")" \
                        "$(format %.1f "$beside")"
        done
        rig_stop_daemon
        [[ ${#all_net[@]} -gt 0 ]] || return
        net=$(median "${all_net[@]}")
        ratio=$(median "${all_ratio[@]}")
        interrupts=$(median "${all_beside[@]}")
        echo "medians and spreads, ns: empty $(median "${all_empty[@]}") ($(spread "${all_empty[@]}"));" \
                "probe $(median "${all_ours[@]}") ($(spread "${all_ours[@]}"));" \
                "cpudist $(median "${all_theirs[@]}") ($(spread "${all_theirs[@]}"));" \
                "over empty $net ($(spread "${all_net[@]}"))"
}

measure no
net_without=$net
verdict at_most "$net" "$LIMIT_NS"
verdict_text="over empty $(format %.1f "$net") ns, limit $LIMIT_NS: $VERDICT"
verdict at_most "$LIMIT_RATIO" "$ratio"
verdict_text+="; cpudist -L costs $(format %.2f "$ratio") times as much over empty, at least $LIMIT_RATIO: $VERDICT"
measure yes
echo
echo "accounting.irq = yes: on_switch $(format %+.1f "$net - $net_without") ns," \
        "programs at interrupts $(format %.1f "$interrupts") ns, together" \
        "$(format %+.1f "$net - $net_without + $interrupts") ns a switch"
summary "$verdict_text; interrupts $(format %+.1f "$net - $net_without + $interrupts") ns a switch"
