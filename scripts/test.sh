#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test.sh [--unit|--everything]: installs what the tests need, builds energat twice (release; and dev:
# with AddressSanitizer, UndefinedBehaviorSanitizer and warnings as errors), reads the sources with
# the tools of lint.sh and runs every kind of test.  As root; --unit leaves out what needs root, and
# --everything brings in what takes CI too long, some half an hour more.
#
# The last line is "N passed, N failed, N skipped".  A build, a tool of lint.sh, a test of CTest and
# a skipped part of a test count one each.  What was skipped is named with its reason before that
# line, as is what passed only at its second try, and what was left out for want of time, which is a
# choice and not counted.  Virtual servers but the first, mutations and the selftest are skipped where
# they have not been begun after 55 minutes.
# Exit status: 0 when nothing has failed.

set -uo pipefail

cd "$(dirname "$0")/.." || exit 1

SKIPPED=77 # exit status of what was skipped, as in Automake
BTF=/sys/kernel/btf/vmlinux
# What shows the daemon at work to the sanitizers.  The other live tests compare times and energies,
# and a daemon with sanitizers uses more of both.
LIVE_WITH_SANITIZERS='run_status|bad_input'
# Of the virtual servers, what fits into the time that CI has, beside the one that has to catch the
# mutations; what is left out is named at the end.
VM_FIRST=base
VM_MORE=(two-sockets-four-nodes dies no-btf)
# On two CPUs of one's own all is done in 30 minutes, and all has been begun by then where others have
# them, too.  What has not, on a machine that is hardly usable, is skipped: mutations, all virtual
# servers but the first, the selftest.
LATE_S=3300
OUTPUT_MAX=10000000 # bytes that CTest keeps of a test's output: it is read for skipped parts

export LC_ALL=C.UTF-8 UBSAN_OPTIONS=print_stacktrace=1
unit_only=false
everything=false
passed=0
failures=()
skips=()
left_out=()
second_tries=()
built=false # release
work=
child= # the program that runs now

# --- what is counted ------------------------------------------------------------------------------

say() {
        printf '\n==> %s\n' "$1"
}

add_failure() {
        failures+=("$1")
}

add_skip() {
        skips+=("$1")
}

# child COMMAND...: in a process group of its own, which ends when we are told to end, or are killed
child() {
        local status
        setsid setpriv --pdeathsig TERM "$@" </dev/null {OUTPUT}>&- &
        child=$!
        wait "$child"
        status=$?
        child=
        return "$status"
}

# shown COMMAND...: child, and what it says is shown, and is in $work/output
shown() {
        local status
        : >"$work/output"
        tail --lines=+1 --follow --sleep-interval=0.2 --pid=$$ "$work/output" &
        shower=$!
        child "$@" >"$work/output" 2>&1
        status=$?
        sleep 0.5 # it looks five times a second
        kill "$shower"
        wait "$shower" 2>/dev/null
        return "$status"
}

interrupted() {
        trap '' INT TERM HUP
        if [[ -n $child ]]; then
                kill -TERM -- "-$child" 2>/dev/null
                wait "$child"
        fi
        add_failure "interrupted"
        exit "$1"
}

# counted NAME STATUS: as one test
counted() {
        if [[ $2 -eq 0 ]]; then
                passed=$((passed + 1))
        else
                add_failure "$1: exit status $2"
        fi
        return "$2"
}

# linted TOOL
linted() {
        local status
        say "lint: $1"
        shown scripts/lint.sh "$1"
        status=$?
        if [[ $status -eq $SKIPPED ]]; then
                skip_whole lint "lint: $(tail -n 1 "$work/output")"
                return
        fi
        counted "lint: $1" "$status"
}

# What a JUnit file of CTest says, one line each: "pass NAME", "fail NAME", "skip NAME: REASON", and
# "part NAME: PART: REASON" for what was skipped within a test.
read_junit() {
        awk '
        function attribute(name,        value) {
                if (!match($0, " " name "=\"[^\"]*\""))
                        return ""
                value = substr($0, RSTART, RLENGTH)
                sub(/^[^"]*"/, "", value)
                sub(/"$/, "", value)
                return value
        }
        function part(text) {
                if (!((name, text) in known))
                        parts[nparts++] = text
                known[name, text] = 1
        }
        /<testcase / {
                name = attribute("name")
                status = attribute("status")
                message = last = ""
                nparts = 0
        }
        /<skipped / { message = attribute("message") }
        /<\/?system-out>/ { gsub(/<[^>]*>/, "") } # the first and last line of the output
        !/^[ \t]*(<.*)?$/ { last = $0 }
        /ok [0-9]+ - .* # SKIP / { # TAP
                sub(/^.*ok [0-9]+ - /, "")
                sub(/ # SKIP /, ": ")
                part($0)
        }
        /\[  SKIPPED \] [^ ]+$/ { # cmocka, and again at its end
                sub(/^.*\[  SKIPPED \] /, "")
                part($0 ": cmocka tells no reason")
        }
        /<\/testcase>/ {
                if (status == "notrun" && message ~ /^SKIP_/) {
                        reason = nparts ? parts[0] : last ? last : "it gives no reason"
                        for (i = 1; i < nparts; i++)
                                reason = reason "; " parts[i]
                        print "skip " name ": " reason
                        next
                }
                if (status == "disabled")
                        print "skip " name ": disabled in its CMakeLists.txt"
                else
                        print (status == "run" ? "pass " : "fail ") name
                for (i = 0; i < nparts; i++)
                        print "part " name ": " parts[i]
        }' "$1"
}

# --- what is run ----------------------------------------------------------------------------------

# build PRESET: counts as one test, and says nothing unless it fails or the compiler warns
build() {
        say "build, $1"
        if ! { child cmake --preset "$1" -DENERGAT_TESTS=ON &&
                child cmake --build --preset "$1" --parallel "$(nproc)"; } >"$work/build" 2>&1; then
                cat "$work/build"
                counted "build, $1" 1
                return
        fi
        grep -A5 'warning:' "$work/build"
        counted "build, $1" 0
}

# ctests PRESET LABEL [CTEST OPTION...]: all tests of CTest with that label
ctests() {
        local preset=$1 label=$2 kind="$2, $1" nfailures=${#failures[@]} nresults=0 status word text name
        shift 2
        say "tests: $kind"
        rm -f "$work/junit.xml"
        shown ctest --preset "$preset" --label-regex "^$label\$" --no-tests=error \
                --output-junit "$work/junit.xml" --test-output-size-passed "$OUTPUT_MAX" \
                --test-output-size-failed "$OUTPUT_MAX" "$@"
        status=$?
        # Of a test that is run again the first result is only there.
        sed -En 's/^ *[0-9/]* *Test +#[0-9]+: ([^ ]+) .*\*\*\*.*/\1/p' "$work/output" | sort -u >"$work/failed"
        while read -r word text; do
                nresults=$((nresults + 1))
                text="$kind: $text"
                case $word in
                pass)
                        passed=$((passed + 1))
                        name=${text#*: }
                        ! grep -qx -- "$name" "$work/failed" || second_tries+=("$text")
                        ;;
                fail) add_failure "$text" ;;
                skip) skip_whole "$label" "$text" ;;
                part) add_skip "$text" ;;
                esac
        done < <(read_junit "$work/junit.xml")
        if [[ $nresults -eq 0 || ($status -ne 0 && ${#failures[@]} -eq $nfailures) ]]; then
                add_failure "$kind: CTest fails with status $status"
        fi
}

# skip_whole KIND TEXT: a failure where it could have run.  A live test runs as root on a kernel with
# BTF, and so only where it can: see live().  On Debian 12, with the packages that have been installed
# by now, virtual servers, fuzz targets and every tool of lint.sh run.
skip_whole() {
        local could=false
        case $1 in
        live) could=true ;;
        vm | selftest | mutations | fuzz | lint) ! is_debian_12 || could=true ;;
        esac
        if $could; then
                add_failure "$2 (skipped, though it could run here)"
        else
                add_skip "$2"
        fi
}

# is_late NAME COMMAND: too late to begin it, which is told as skipped with what runs it alone
is_late() {
        $everything && return 1
        [[ $SECONDS -ge $LATE_S ]] || return 1
        add_skip "$1: the rest took $((SECONDS / 60)) minutes on this machine; run it with 'sudo $2'"
}

is_debian_12() {
        # shellcheck source=/dev/null
        [[ $(. /etc/os-release && echo "$ID $VERSION_ID $(uname -m)") == "debian 12 x86_64" ]]
}

# tap KIND COMMAND...: a program that prints TAP; each of its tests counts, and each skipped part of
# one.  Its exit status.
tap() {
        local kind=$1 nfailures=${#failures[@]} nresults=0 status line name part parts=()
        shift
        say "tests: $kind"
        shown "$@"
        status=$?
        while IFS= read -r line; do
                second_tries+=("$kind: $line")
        done < <(sed -n 's/^# passed only at the second try: //p' "$work/output")
        if [[ $status -eq $SKIPPED ]]; then
                skip_whole "${kind%%,*}" "$kind: $(tail -n 1 "$work/output")"
                return "$status"
        fi
        while IFS= read -r line; do
                name=${line#*ok * - }
                name=${name% # [0-9]*}
                case $line in
                ' '*' # SKIP '*)
                        parts+=("$kind: ${name/ # SKIP /: }")
                        continue
                        ;;
                ' '*) continue ;; # of a subtest, which has its own line
                'ok '*' # SKIP '*) add_skip "$kind: ${name/ # SKIP /: }" ;;
                *)
                        for part in "${parts[@]}"; do
                                add_skip "$part"
                        done
                        if [[ $line == ok* ]]; then
                                passed=$((passed + 1))
                        else
                                add_failure "$kind: $name"
                        fi
                        ;;
                esac
                nresults=$((nresults + 1))
                parts=()
        done < <(grep -E '^ *(not )?ok [0-9]+ - ' "$work/output")
        if [[ $nresults -eq 0 || ($status -ne 0 && ${#failures[@]} -eq $nfailures) ]]; then
                add_failure "$kind: exit status $status"
        fi
        return "$status"
}

# live PRESET [CTEST OPTION...]
live() {
        if $unit_only; then
                add_skip "live, $1: asked for with --unit"
        elif [[ ! -r $BTF ]]; then
                add_skip "live, $1: CPU time cannot be counted exactly, the kernel has no BTF ($BTF)"
        else
                # They compare times on a machine that others may use, too: one that fails is run
                # once more, and CTest shows both.
                ctests "$1" live --repeat until-pass:2 "${@:2}"
        fi
}

vm() {
        local topology
        local -a all more=("${VM_MORE[@]}")
        if $unit_only; then
                add_skip "vm: asked for with --unit"
                add_skip "mutations: asked for with --unit"
                return
        fi
        # That mutations are caught says something only of tests that hold without them.
        if ! tap "vm, $VM_FIRST" tests/vm/run "--topology=$VM_FIRST"; then
                add_skip "mutations: vm, which has to catch them, does not pass without"
        elif ! is_late mutations tests/mutations/run; then
                tap mutations tests/mutations/run --no-control
        fi
        mapfile -t all < <(tests/vm/run --list | sed -n 's/^topologies: //p' | tr ' ' '\n')
        [[ ${#all[@]} -gt 0 ]] || add_failure "vm: tests/vm/run --list names no topology"
        ! $everything || more=("${all[@]}")
        for topology in "${more[@]}"; do
                [[ $topology != "$VM_FIRST" ]] || continue
                is_late "vm, $topology" "tests/vm/run --topology $topology" ||
                        tap "vm, $topology" tests/vm/run "--topology=$topology"
        done
        if $everything; then
                tap "vm, backports" tests/vm/run --kernel=backports "--topology=$VM_FIRST"
                tap selftest tests/vm/selftest
                return
        fi
        is_late "selftest, quick" "tests/vm/selftest --quick" ||
                tap "selftest, quick" tests/vm/selftest --quick
        for topology in "${all[@]}"; do
                [[ " $VM_FIRST ${more[*]} " == *" $topology "* ]] ||
                        left_out+=("tests/vm/run --topology $topology")
        done
        left_out+=("tests/vm/run --kernel backports" "tests/vm/selftest")
}

# Labels of tests beside unit and live: a new kind of test is run without a word here.
other_labels() {
        ctest --preset release --print-labels | sed -n 's/^  //p' | grep -Evx 'unit|live|vm'
}

finish() {
        exec >&"$OUTPUT" # it was another's, where we were told to end
        # Who owns the clone can build in it without sudo, too.
        for dir in build build-dev; do
                [[ ! -d $dir ]] || chown -hR --reference=. "$dir" 2>/dev/null
        done
        rm -rf "$work"
        printf '\n'
        [[ ${#left_out[@]} -eq 0 ]] ||
                printf 'left out for want of time (--everything runs it): sudo %s\n' "${left_out[@]}"
        [[ ${#skips[@]} -eq 0 ]] || printf 'skipped: %s\n' "${skips[@]}"
        [[ ${#second_tries[@]} -eq 0 ]] ||
                printf 'passed only at the second try: %s\n' "${second_tries[@]}"
        [[ ${#failures[@]} -eq 0 ]] || printf 'failed: %s\n' "${failures[@]}"
        printf 'in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
        printf '%d passed, %d failed, %d skipped\n' "$passed" "${#failures[@]}" "${#skips[@]}"
        exit $((${#failures[@]} > 0))
}

case "$*" in
'') ;;
--unit) unit_only=true ;;
--everything) everything=true ;;
*)
        printf 'usage: %s [--unit|--everything]\n' "$0" >&2
        exit 2
        ;;
esac
if ! $unit_only && [[ $(id -u) -ne 0 ]]; then
        printf "test.sh: live tests start energatd as root: run 'sudo %s', or '%s --unit'\n" \
                "$0" "$0" >&2
        exit 1
fi
work=$(mktemp -d) || exit 1
exec {OUTPUT}>&1
trap finish EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

say "packages"
if ! child scripts/install-deps.sh --test; then
        add_failure "packages"
        exit 1
fi

# vm is last: it can be cut short.
if build release; then
        built=true
        for tool in $(scripts/lint.sh --list); do
                linted "$tool"
        done
        ctests release unit --parallel "$(nproc)"
        live release
        for label in $(other_labels); do
                ctests release "$label" --parallel "$(nproc)"
        done
else
        add_skip "lint and tests, release: the build failed"
fi
if build dev; then
        ctests dev unit --parallel "$(nproc)"
        live dev --tests-regex "$LIVE_WITH_SANITIZERS"
else
        add_skip "tests, dev: the build failed"
fi
! $built || vm
