#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What energat prints for programs: JSON as its schema says, numbers that no locale changes, results
# on stdout and all else on stderr, no colours and no bars in pipes; benchmark mode, recordings and
# what is made of them; and what becomes of a result that cannot be written where it was asked for.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

# So much CPU time, however busy the machine is
SHORT=("$RIG/load")
printf '#!/bin/sh\nexec "%s" spin "$1" --cpu --truth /dev/null\n' "$RIG_BIN_DIR/loadgen" >"$RIG/load"
chmod +x "$RIG/load"
export ENERGAT_SOCKET=$RIG/energat.sock # report and export know no --socket

# energat's own exit status; stdout in $RIG/out, stderr in $RIG/err
energat() {
        timeout -k 5 "$RIG_LIMIT_S" "$ENERGAT_BIN_DIR/energat" "$@" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
}

quiet() {
        [[ ! -s $RIG/err ]] && return 0
        note "stderr:" "$(cat "$RIG/err")"
        return 1
}

plain() {
        ! grep -q "$(printf '[\033\r]')" "$1"
}

test_schema() {
        local name
        for name in status check sensors config; do
                energat "$name" --format json
                rig_conforms "$name" "$RIG/out"
                check "$name: nothing but the result is said" quiet
        done
        energat top --format json -n 1
        rig_conforms top "$RIG/out"
        energat top --format json -n 1 --group target
        rig_conforms top "$RIG/out"
        energat run --format json --emissions-factor 400 --price-factor 0.5 --pue 1.25 \
                -- "${SHORT[@]}" 0.3
        check "run succeeds" equal "$?" 0
        rig_conforms run "$RIG/out"
        check "run: nothing on stderr" quiet
        check "CO2 is kWh x pue x factor, cost is kWh x pue x price" jq -e '
                def near($x): (. - $x | fabs) < 1e-6 * $x;
                (.share.package_j / 3.6e6 * 1.25) as $kwh | .impact.share |
                (.co2_g | near($kwh * 400)) and (.cost | near($kwh * 0.5))' "$RIG/out"
        rig_background sleep 1.5
        energat pid "$RIG_PID" --name followed --output "$RIG" --format json
        rig_conforms pid "$RIG/out"
}

# columns NAME: those of a trace, all lines
columns() {
        awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
                { print $at }' "$RIG/energat_traces_model.csv"
}

test_model() {
        LC_ALL=C rig_run run --model additive -- "${SHORT[@]}" 0.2 2>"$RIG/err" </dev/null
        check "additive: the share stands first, and both are told" equal \
                "$(grep -oE '^  (attributed|share)' "$RIG/err" | tr -d ' \n')" \
                shareattributedshareattributed
        LC_ALL=C rig_run run -- "${SHORT[@]}" 0.2 2>"$RIG/err" </dev/null
        check "by default what is attributed" equal \
                "$(grep -oE '^  (attributed|share)' "$RIG/err" | tr -d ' \n')" \
                attributedshareattributedshare
        for model in additive energat; do
                rig_background "${SHORT[@]}" 0.6
                ENERGAT_MODEL=$model energat pid "$RIG_PID" --name model --output "$RIG" --gamma 0.5 \
                        --interval 0.2 --format json
                check "$model: the report says so" equal "$(json "$RIG/out" .model)" "$model"
                check "$model: and the trace" equal "$(columns model | sort -u)" "$model"
        done
        check "energat: ascribed is what is attributed" within \
                "$(columns ascribed_pkg_joules | awk '{ s += $1 } END { printf "%.6f", s }')" \
                "$(json "$RIG/out" .attributed.package_j)" 0.01
        rig_background "${SHORT[@]}" 0.6
        energat pid "$RIG_PID" --name model --output "$RIG" --interval 0.2 --model additive
        check "additive: ascribed is the share" equal \
                "$(columns ascribed_pkg_joules)" "$(columns share_pkg_joules)"
        rig_run run --model shapley -- true 2>"$RIG/err" </dev/null
        check "another model is refused" equal "$?" 2
        check "with those that there are" grep -q "'shapley' is not valid; must be one of: energat additive" \
                "$RIG/err"
}

test_locale() {
        local locale=de_DE.UTF-8
        if ! locale -a | grep -qi '^de_DE.utf-\?8$'; then
                if ! localedef -i de_DE -f UTF-8 "$RIG/de_DE.UTF-8" 2>/dev/null; then
                        skip "a locale with decimal commas changes no number" "no de_DE.UTF-8 here"
                        return
                fi
                export LOCPATH=$RIG
        fi
        check "the locale has decimal commas" \
                equal "$(LC_ALL=$locale awk 'BEGIN { printf "%.1f", 0.5 }' | tr -d 05)" ,
        LC_ALL=$locale energat run --format json --gamma 0.5 -- "${SHORT[@]}" 0.2
        check "run: JSON with decimal points" jq -e '.cpu_s > 0.1 and .gamma == 0.5' "$RIG/out"
        LC_ALL=$locale energat report --format csv "$RIG/command.energat"
        check "CSV has decimal points" matches "$(sed -n 2p "$RIG/out")" '^[0-9]+\.[0-9]{6},[0-9]+\.'
        unset LOCPATH
}

test_pipe() {
        TERM=xterm rig_run run -- true >"$RIG/out" 2>"$RIG/err" </dev/null
        check "text in a pipe has no colours" plain "$RIG/err"
        TERM=xterm rig_run run --repeat 3 -- true >"$RIG/out" 2>"$RIG/err" </dev/null
        check "nor a progress bar" plain "$RIG/err"
        check "and stdout is the command's" test ! -s "$RIG/out"
        TERM=xterm script -qec "$ENERGAT_BIN_DIR/energat run --repeat 3 -- sleep 0.05" /dev/null \
                >"$RIG/out" 2>&1 </dev/null
        check "on a terminal there is one" grep -q '\[##*-*\] round 2 of 3, .* left' "$RIG/out"
        LC_ALL=C rig_run run --interval 0.1 -- "${SHORT[@]}" 0.4 2>"$RIG/err" >/dev/null </dev/null
        check "without UTF-8 power is drawn in ASCII" \
                matches "$(LC_ALL=C tr -cd '\n -~' <"$RIG/err")" '^  power \(share\) +[_.:=+*#-]{4,}$'
        check "and all of it is ASCII" equal "$(LC_ALL=C tr -d '\n -~' <"$RIG/err" | wc -c)" 0
}

test_bench() {
        energat run --repeat 3 --warmup 1 --raw "$RIG/bench.energat" --format json \
                -- "${SHORT[@]}" 0.2
        check "three runs succeed" equal "$?" 0
        rig_conforms bench "$RIG/out"
        check "three are measured, and one before them" \
                equal "$(json "$RIG/out" '"\(.runs_measured) \(.runs | length)"')" "3 4"
        check "CPU time is the load's" \
                within "$(json "$RIG/out" '.commands[0].statistics.cpu_s.mean')" 0.2 5
        check "the interval is around the mean" jq -e '.commands[0].statistics.cpu_s |
                .confidence_95[0] <= .mean and .mean <= .confidence_95[1]' "$RIG/out"

        # A 50 % longer load is seen in any noise; the same one must not be, but for one time in 20.
        energat run --repeat 5 --compare "${SHORT[*]} 0.15" --format json -- "${SHORT[@]}" 0.1
        rig_conforms bench "$RIG/out"
        check "a longer load is told from a shorter one" \
                equal "$(json "$RIG/out" .comparison.cpu_s.differs)" true
        check "by its size" within "$(json "$RIG/out" .comparison.cpu_s.ratio)" 1.5 10
        check "in pairs" equal "$(json "$RIG/out" .comparison.cpu_s.test)" paired-t

        rm -f "$RIG/flag"
        energat run --repeat 4 --format json -- \
                sh -c 'test -e "$0" && exit 7; : >"$0"' "$RIG/flag"
        check "the status is that of the first run that fails" equal "$?" 7
        check "runs that fail are in no statistics" equal \
                "$(json "$RIG/out" '"\(.runs_failed) \(.commands[0].statistics.wall_s.count)"')" "3 1"
        energat run --repeat 3 -- "$RIG/no-such-command"
        check "a command that is not there: 127" equal "$?" 127
        energat run --compare '' -- true
        check "an empty --compare is refused" equal "$?" 2
}

test_foreign_bytes() {
        local long
        long=$(printf 'a%.0s' {1..1010})
        ENERGAT_PRICE_UNIT=$'\xa4' energat run --price-factor 1 --format json -- true
        check "a price unit that is not UTF-8 loses no result" \
                equal "$(json "$RIG/out" .impact.factors.price_unit)" '?'
        energat run --repeat 2 --format json -- true $'\xff' "$long€€€"
        check "nor does an argument, nor one that is cut in a character" \
                equal "$? $(json "$RIG/out" .runs_measured)" "0 2"
        check "config shows a socket that is not UTF-8" equal \
                "$(ENERGAT_SOCKET=$'/tmp/\xff' "$ENERGAT_BIN_DIR/energat" config --format json 2>/dev/null |
                        jq -r '.settings[] | select(.key == "socket") | .value')" '/tmp/?'
}

# In a container pids are others: the row of a pid is a stranger's, and so is /proc/PID.
test_pid_namespace() {
        local inside=(unshare --pid --fork --mount-proc)
        if ! "${inside[@]}" true 2>/dev/null; then
                skip "a recording in a pid namespace" "no pid namespace can be made here"
                return
        fi
        inside=(timeout -k 5 "$RIG_LIMIT_S" "${inside[@]}" "$ENERGAT_BIN_DIR/energat")
        "${inside[@]}" record --interval 0.2 -o "$RIG/inside.energat" -- "${SHORT[@]}" 0.5 \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        check "a command in a pid namespace is recorded" equal "$?" 0
        check "and why its single processes are not" matches "$(cat "$RIG/err")" \
                'single processes are not recorded: energatd knows processes by other pids'
        energat report "$RIG/inside.energat" --format json
        check "it has the command's energy, and nobody else's" jq -e \
                '.result.cpu_s > 0.4 and .result.share.package_j > 3 and .programs == []' "$RIG/out"
        "${inside[@]}" record --all --duration 1 --interval 0.5 -o "$RIG/inside.energat" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        energat report "$RIG/inside.energat" --format json
        check "of the machine no user is named for strangers" jq -e \
                '(.programs | length > 0) and all(.programs[]; .user == "")' "$RIG/out"
}

runs_above() {
        [[ -s $RIG/runs && $(wc -l <"$RIG/runs") -gt $1 ]]
}

test_interrupt() {
        : >"$RIG/runs"
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --repeat 1000 \
                --format json -- sh -c 'echo x >>"$0"; sleep 0.05' "$RIG/runs" \
                >"$RIG/out" 2>"$RIG/err" </dev/null
        wait_for 20 runs_above 3
        kill -INT "$RIG_PID"
        wait "$RIG_PID"
        check "an interrupted benchmark exits 130" equal "$?" 130
        rig_conforms bench "$RIG/out"
        check "and tells what was measured" jq -e '.complete == false and .runs_measured >= 2 and
                .runs_wanted == 1000' "$RIG/out"

        # A command that takes no notice is not waited for when it is asked twice.
        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" run --repeat 2 \
                --format json -- sh -c 'trap "" INT; sleep 12' >"$RIG/out" 2>"$RIG/err" </dev/null
        sleep 2
        kill -INT "$RIG_PID"
        sleep 0.5
        check "one Ctrl-C waits for the command" rig_is_running "$RIG_PID"
        kill -INT "$RIG_PID"
        wait_for 5 rig_has_ended "$RIG_PID"
        check "a second one does not" rig_has_ended "$RIG_PID"
        wait "$RIG_PID"
        check "and the status is the signal's" equal "$?" 130

        rig_background "$ENERGAT_BIN_DIR/energat" --socket "$RIG/energat.sock" record \
                -o "$RIG/all.energat" --all --interval 0.2 >"$RIG/out" 2>"$RIG/err" </dev/null
        sleep 1.5
        kill -INT "$RIG_PID"
        wait "$RIG_PID"
        check "Ctrl-C ends a recording of the machine well" equal "$?:$(cat "$RIG/err")" \
                "0:energat: recorded in $RIG/all.energat ('energat report $RIG/all.energat' shows it)"
        energat report "$RIG/all.energat" --format json
        rig_conforms report "$RIG/out"
        check "its shares, the unattributed and the static part are the machine's energy" jq -e '
                (.power.series | map(.energy_j) | add) as $drawn | .machine.package_j as $all |
                ($drawn - $all | fabs) < 0.02 * $all' "$RIG/out"
}

test_record() {
        local load=(sh -c '"$@" 0.7; "$@" 0.7' - "${SHORT[@]}") form
        energat record -o "$RIG/command.energat" --interval 0.2 -- "${load[@]}"
        check "a command is recorded" equal "$?" 0
        energat report "$RIG/command.energat" --format json
        rig_conforms report "$RIG/out"
        check "complete, with the command's share" jq -e '.complete and .exit_status == 0 and
                .result.share.package_j > 8' "$RIG/out"
        check "power over time adds up to the share" jq -e '(.power.series | map(.energy_j) | add)
                as $drawn | .result.share.package_j as $all | ($drawn - $all | fabs) < 0.02 * $all' \
                "$RIG/out"
        check "and the load is among the programs" jq -e '.programs |
                any(.comm == "loadgen" and .package_j > 4)' "$RIG/out"
        energat report "$RIG/command.energat"
        check "text: power is drawn" matches "$(cat "$RIG/out")" '^  power \(share\)'
        for form in json csv; do
                energat export "$RIG/command.energat" - --format "$form"
                check "export to $form" test -s "$RIG/out"
        done
        for form in c.csv c.CSV c.json c.xyz c.csv.d/c; do
                mkdir -p "$RIG/c.csv.d"
                ENERGAT_FORMAT=json energat export "$RIG/command.energat" "$RIG/$form"
                case $form in
                *.csv | *.CSV)
                        check "export to $form makes CSV" \
                                matches "$(head -n 1 "$RIG/$form")" '^[a-z_]+(,[a-z_]+)+$'
                        ;;
                *) check "export to $form makes JSON" jq -e '.result.share' "$RIG/$form" ;;
                esac
        done
        energat export "$RIG/command.energat" "$RIG/really.csv" --format json
        check "--format goes before the name" jq -e '.result.share' "$RIG/really.csv"
        energat export "$RIG/bench.energat" "$RIG/bench.json" --format bench
        rig_conforms bench_export "$RIG/bench.json"
        check "bench has the range of the mean" jq -e 'all(.range | startswith("± "))' "$RIG/bench.json"
        energat run --raw "$RIG/raw.energat" -- "${SHORT[@]}" 0.5
        check "--raw keeps every tick" jq -es 'map(select(.interval)) | length > 30 and
                (map(.interval.duration_s) | max) < 0.3' "$RIG/raw.energat"
        energat record -o "$RIG/status.energat" -- sh -c 'exit 9'
        check "record has the command's status" equal "$?" 9
        test_hdf5
}

test_hdf5() {
        energat export "$RIG/command.energat" "$RIG/command.h5"
        if grep -q 'built without HDF5' "$RIG/err"; then
                skip "HDF5 has what the recording has" "built without HDF5"
        elif ! command -v h5dump >/dev/null; then
                skip "HDF5 has what the recording has" "h5dump is not installed"
        else
                check "HDF5 has the intervals and the programs" \
                        h5dump -H -d /intervals/share_j -d /programs/comm -d /power/watts "$RIG/command.h5"
        fi
}

test_bad_files() {
        local size
        size=$(stat -c %s "$RIG/command.energat")
        head -c $((size * 2 / 3)) "$RIG/command.energat" >"$RIG/cut.energat"
        energat report "$RIG/cut.energat" --format json
        check "a recording that was cut is read" equal "$?" 0
        check "and where is said" matches "$(cat "$RIG/err")" 'cut.energat: line [0-9]+ is cut off; it is shown'
        rig_conforms report "$RIG/out"
        check "in the result, too" jq -e '.complete == false and (.cut | test("cut off")) and
                .result.share.package_j > 1' "$RIG/out"
        energat report /etc/passwd
        check "a foreign file is refused" equal "$?" 1
        check "by what it is" matches "$(cat "$RIG/err")" 'passwd cannot be read: it is no recording'
        energat report "$RIG/command.energat" --format yaml
        check "an unknown format: 2" equal "$?" 2
        check "and the known ones are listed" matches "$(cat "$RIG/err")" 'text json csv html'
        energat export "$RIG/command.energat" "$RIG/x" --format yaml
        check "of export, too" matches "$(cat "$RIG/err")" 'json csv bench hdf5'
        energat export "$RIG/all.energat" - --format bench
        check "a machine is no benchmark" equal "$?" 1
        energat record -o "$RIG/none/x" -- touch "$RIG/has-run"
        check "no file, no recording: 1" equal "$?" 1
        check "and the command has not run" test ! -e "$RIG/has-run"
        energat run --raw "$RIG/none/x" -- touch "$RIG/has-run"
        check "run --raw, too: 1" equal "$?" 1
        check "by its name" matches "$(cat "$RIG/err")" 'cannot write .*/none/x: No such file or directory'
        check "and the command has not run" test ! -e "$RIG/has-run"
        rig_background sleep 5
        energat pid "$RIG_PID" --name 'a/../b c' --output "$RIG/none"
        check "pid --output: no folder, 1" equal "$?" 1
        check "by its name" matches "$(cat "$RIG/err")" 'no trace can be written to .*/none'
        energat pid "$RIG_PID" --name 'a/../b c' --output "$RIG" --interval 0.1
        check "--name: what belongs into no file's name is not in it" \
                test -s "$(find "$RIG" -maxdepth 1 -name 'energat_traces_a*b*c.csv')"
}

# A disk that fills up while the command runs: a file system of 100 kB.
test_full_disk() {
        local full=$RIG/full
        mkdir "$full"
        if ! mount -t tmpfs -o size=100k none "$full" 2>/dev/null; then
                skip "a full disk loses nothing" "no file system can be mounted here"
                return
        fi
        mkdir "$RIG/tmp"
        TMPDIR=$RIG/tmp energat run --raw "$full/raw.energat" -- sh -c \
                'sleep 0.3; head -c 200000 /dev/zero >"$0/filler" 2>/dev/null; sleep 0.5' "$full"
        check "the status says that a recording is not where it was asked for" equal "$?" 1
        check "a recording goes on elsewhere" matches "$(cat "$RIG/err")" \
                'cannot be written any more \(.*\): the recording goes on in .*/tmp/energat-record'
        check "and the result is told" matches "$(cat "$RIG/err")" 'of it static'
        energat report "$RIG"/tmp/energat-record.*
        check "what is there can be read" equal "$?" 0
        energat run --format json -o "$full/result.json" -- true
        check "a result that cannot be written goes to stdout" jq -e '.exit_status == 0' "$RIG/out"
        check "which is said" matches "$(cat "$RIG/err")" 'result.json: .*; it goes to stdout instead'
        umount "$full"
}

# Status 1 and a message wherever a result has nowhere to go: on a full disk, and where the caller has
# closed stdout, as ls and others have it.
test_no_output() {
        local command status silent=()
        for command in status check sensors config "config --format json" version --help \
                "report $RIG/command.energat" "report -o /dev/stdout $RIG/command.energat" \
                "export $RIG/command.energat -" "top --batch -n 1" "run --format json -- true" \
                "run --format json -o /dev/stdout -- true"; do
                # shellcheck disable=SC2086 # words
                timeout -k 5 "$RIG_LIMIT_S" "$ENERGAT_BIN_DIR/energat" $command \
                        2>"$RIG/err" </dev/null >&-
                status=$?
                if [[ $status -ne 1 ]] || ! grep -Eq '^energat: .*(written|write)' "$RIG/err"; then
                        silent+=("$command: $status $(cat "$RIG/err")")
                fi
        done
        check "a result for a stdout that is closed is an error" equal "${silent[*]}" ""
        timeout -k 5 "$RIG_LIMIT_S" "$ENERGAT_BIN_DIR/energat" status 2>"$RIG/err" </dev/null >/dev/full
        check "as for a disk that is full" equal "$?" 1
        check "and both say why" matches "$(cat "$RIG/err")" \
                '^energat: the result could not be written: No space left on device'
        "$ENERGAT_BIN_DIR/energat" status <&- >"$RIG/out" 2>&-
        check "closed stdin and stderr are none" equal "$?" 0
        check "and the result is whole" matches "$(cat "$RIG/out")" 'energatd'
        "$ENERGAT_BIN_DIR/energat" status <&- >&- 2>&-
        check "nor does it need any of the three to end as it should" equal "$?" 1
        "$ENERGAT_BIN_DIR/energat" run -- sh -c '[ -e /dev/fd/0 ] || [ -e /dev/fd/1 ] || exit 7' \
                <&- >&- 2>"$RIG/err"
        check "CMD finds closed what its caller has closed" equal "$?" 7
        check "and its energy is told" matches "$(cat "$RIG/err")" 'of it static'
}

rig_start_sim
rig_baseline 20
rig_start_daemon
test_schema
test_pipe
test_bench
test_record
test_interrupt
test_foreign_bytes
test_pid_namespace
test_model
test_locale
test_bad_files
test_no_output
test_full_disk
# Last: what is measured beside other work is no base power for the others.
energat basepower --base-period 0.2 --windows 2 --force --format json
rig_conforms basepower "$RIG/out"
