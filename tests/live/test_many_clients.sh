#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Ten seconds of what bench/many_clients.sh does for a minute: 200 clients that stream, 50 that come
# and go without end, 20 that send garbage and 5 that never read.  No tick is missed that the
# machine's own timers do not miss, and everybody who is honest is answered.  How fast is for the
# bench to say; here, where others may be at work, it is only bounded.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

FOR_S=10
P99_S=0.25
MAX_RSS_KIB=131072 # it needs a tenth

crowd() {
        local timer status
        rig_background "$ENERGAT_BIN_DIR/bench/timer_jitter" "$FOR_S" >"$RIG/timer.json"
        timer=$RIG_PID
        timeout -k 5 "$RIG_LIMIT_S" "$ENERGAT_BIN_DIR/bench/many_clients" "$RIG/energat.sock" \
                "$RIG_DAEMON_PID" "$FOR_S" 200 50 20 5 >"$RIG/many.json"
        status=$?
        wait "$timer"
        return "$status"
}

value() {
        json "$RIG/many.json" ".$1"
}

rig_start_sim
rig_baseline 20
rig_start_daemon
rig_calmly crowd
check "a crowd comes and goes" equal "$?" 0
note "$(cat "$RIG/many.json")" "the machine's timers: $(cat "$RIG/timer.json")"

figure "no tick is missed that the machine's timers do not miss" \
        at_most "$(value missed_ticks)" "$(json "$RIG/timer.json" '.missed * 2 + 2')"
check "every honest client is answered" equal "$(value unanswered)" 0
figure "streams miss nothing" at_most $((FOR_S - 1)) "$(value fewest_intervals)"
figure "who asks is answered soon" at_most "$(value asking.p99_s)" "$P99_S"
figure "who connects and asks, too" at_most "$(value coming.p99_s)" "$P99_S"
check "who sends garbage is sent away" at_most 20 "$(value garbage_closed)"
[[ $ENERGAT_SANITIZE == ON ]] ||
        check "the daemon's memory is bounded" at_most "$(value rss_kib)" "$MAX_RSS_KIB"
