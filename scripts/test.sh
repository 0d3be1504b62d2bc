#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# test.sh [--unit]: installs what the tests need, builds energat twice (release; and dev: with
# AddressSanitizer, UndefinedBehaviorSanitizer and warnings as errors), reads the sources with the
# tools of lint.sh and runs every kind of test.  As root; --unit leaves out what needs root.
#
# The last line is "N passed, N failed, N skipped".  A build, a tool of lint.sh, a test of CTest and
# a skipped part of a test count one each.  What was skipped is named with its reason before that
# line.  Exit status: 0 when nothing has failed.

set -uo pipefail

cd "$(dirname "$0")/.." || exit 1

SKIPPED=77 # exit status of what was skipped, as in Automake
BTF=/sys/kernel/btf/vmlinux
# What shows the daemon at work to the sanitizers.  The other live tests compare times and energies,
# and a daemon with sanitizers uses more of both.
LIVE_WITH_SANITIZERS='run_status|bad_input'
# Of the virtual servers, what fits into the time that CI has; tests/vm/README.md names the rest.
VM_TOPOLOGIES=(base two-sockets-four-nodes reboot)
OUTPUT_MAX=10000000 # bytes that CTest keeps of a test's output: it is read for skipped parts

export LC_ALL=C.UTF-8 UBSAN_OPTIONS=print_stacktrace=1
unit_only=false
passed=0
failures=()
skips=()
work=

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

# one NAME COMMAND...: counts as one test, and so does each part that its TAP says was skipped
one() {
        local name=$1 status part
        shift
        say "$name"
        "$@" </dev/null 2>&1 | tee "$work/output"
        status=${PIPESTATUS[0]}
        if [[ $status -eq $SKIPPED ]]; then
                add_skip "$name: $(tail -n 1 "$work/output")"
                return "$status"
        fi
        while IFS= read -r part; do
                add_skip "$name: $part"
        done < <(sed -En 's/^ok [0-9]+ - (.*) # SKIP (.*)/\1: \2/p' "$work/output")
        if [[ $status -eq 0 ]]; then
                passed=$((passed + 1))
        else
                add_failure "$name: exit status $status"
        fi
        return "$status"
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

# build PRESET: says nothing unless it fails or the compiler warns
build() {
        if ! { cmake --preset "$1" -DENERGAT_TESTS=ON &&
                cmake --build --preset "$1" --parallel "$(nproc)"; } >"$work/build" 2>&1; then
                cat "$work/build"
                return 1
        fi
        grep -A5 'warning:' "$work/build"
        return 0
}

# ctests PRESET LABEL [CTEST OPTION...]: all tests of CTest with that label
ctests() {
        local preset=$1 label=$2 kind="$2, $1" nfailures=${#failures[@]} nresults=0 status word text
        shift 2
        say "tests: $kind"
        rm -f "$work/junit.xml"
        ctest --preset "$preset" --label-regex "^$label\$" --no-tests=error \
                --output-junit "$work/junit.xml" --test-output-size-passed "$OUTPUT_MAX" \
                --test-output-size-failed "$OUTPUT_MAX" "$@" </dev/null
        status=$?
        while read -r word text; do
                nresults=$((nresults + 1))
                text="$kind: $text"
                case $word in
                pass) passed=$((passed + 1)) ;;
                fail) add_failure "$text" ;;
                skip) skip_whole "$label" "$text" ;;
                part) add_skip "$text" ;;
                esac
        done < <(read_junit "$work/junit.xml")
        if [[ $nresults -eq 0 || ($status -ne 0 && ${#failures[@]} -eq $nfailures) ]]; then
                add_failure "$kind: CTest fails with status $status"
        fi
}

# A live test runs as root on a kernel with BTF, and so only where it can run: see live(); and virtual
# servers run on Debian 12, with the packages that have been installed by now.
skip_whole() {
        if [[ $1 == live ]] || { [[ $1 == vm || $1 == mutations ]] && runs_vm; }; then
                add_failure "$2 (skipped, though it could run here)"
        else
                add_skip "$2"
        fi
}

runs_vm() {
        # shellcheck source=/dev/null
        [[ $(. /etc/os-release && echo "$ID $VERSION_ID $(uname -m)") == "debian 12 x86_64" ]]
}

# tap KIND COMMAND...: a program that prints TAP; each of its tests counts, and each skipped part of
# one.  Its exit status.
tap() {
        local kind=$1 nfailures=${#failures[@]} nresults=0 status line name part parts=()
        shift
        say "tests: $kind"
        "$@" </dev/null 2>&1 | tee "$work/output"
        status=${PIPESTATUS[0]}
        if [[ $status -eq $SKIPPED ]]; then
                skip_whole "$kind" "$kind: $(tail -n 1 "$work/output")"
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

# Mutations: that they are caught says something only of tests that hold without them.
vm() {
        if $unit_only; then
                add_skip "vm: asked for with --unit"
                add_skip "mutations: asked for with --unit"
                return
        fi
        # One machine at a time: two take every CPU of a small host, and energy is compared with time.
        if tap vm tests/vm/run --machines=1 "${VM_TOPOLOGIES[@]/#/--topology=}"; then
                tap mutations tests/mutations/run --no-control
        else
                add_skip "mutations: vm, which has to catch them, does not pass without"
        fi
}

# Labels of tests beside unit and live: a new kind of test is run without a word here.
other_labels() {
        ctest --preset release --print-labels | sed -n 's/^  //p' | grep -Evx 'unit|live|vm'
}

finish() {
        # Who owns the clone can build in it without sudo, too.
        for dir in build build-dev; do
                [[ ! -d $dir ]] || chown -hR --reference=. "$dir" 2>/dev/null
        done
        rm -rf "$work"
        printf '\n'
        [[ ${#skips[@]} -eq 0 ]] || printf 'skipped: %s\n' "${skips[@]}"
        [[ ${#failures[@]} -eq 0 ]] || printf 'failed: %s\n' "${failures[@]}"
        printf 'in %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
        printf '%d passed, %d failed, %d skipped\n' "$passed" "${#failures[@]}" "${#skips[@]}"
        [[ ${#failures[@]} -eq 0 ]] || exit 1
}

case "$*" in
'') ;;
--unit) unit_only=true ;;
*)
        printf 'usage: %s [--unit]\n' "$0" >&2
        exit 2
        ;;
esac
if ! $unit_only && [[ $(id -u) -ne 0 ]]; then
        printf "test.sh: live tests start energatd as root: run 'sudo %s', or '%s --unit'\n" \
                "$0" "$0" >&2
        exit 1
fi
work=$(mktemp -d) || exit 1
trap finish EXIT
trap 'add_failure "interrupted"; exit 130' INT
trap 'add_failure "interrupted"; exit 143' TERM

say "packages"
if ! scripts/install-deps.sh --test; then
        add_failure "packages"
        exit 1
fi

if one "build, release" build release; then
        for tool in $(scripts/lint.sh --list); do
                one "lint: $tool" scripts/lint.sh "$tool"
        done
        ctests release unit --parallel "$(nproc)"
        live release
        for label in $(other_labels); do
                ctests release "$label" --parallel "$(nproc)"
        done
        vm
else
        add_skip "lint and tests, release: the build failed"
fi
if one "build, dev" build dev; then
        ctests dev unit --parallel "$(nproc)"
        live dev --tests-regex "$LIVE_WITH_SANITIZERS"
else
        add_skip "tests, dev: the build failed"
fi
