# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the virtual machines say of their scenarios, as TAP 14 and as JUnit.  Sourced by run.
#
# A machine's lines, which come over a serial port:
#
#   scenario NAME      it begins; all lines up to its end are its own
#   ok - CLAIM         or "not ok - CLAIM", or "ok - CLAIM # SKIP REASON"
#   # NOTE
#   first try: LINE                  of what has failed then; it is tried once more
#   end NAME SECONDS
#   end of results
#
# A scenario is a test and its claims are a subtest: it passes when it claims something, all of it
# holds and it comes to its end.

RESULTS_NAMES=()   # of all tests: base.placement
RESULTS_VERDICTS=() # pass, fail or skip
RESULTS_SECONDS=()
RESULTS_TEXTS=() # what JUnit says: the claims that do not hold, or why it was skipped
RESULTS_AGAIN=() # those that passed at their second try
RESULTS_FAILED=0
RESULTS_CLAIMS=0
RESULTS_SILENT=2    # what is returned when nothing was heard for
RESULTS_LIMIT_S=0   # so many seconds
RESULTS_HEARD=false

# results_test NAME pass|fail|skip SECONDS TEXT: one test is over
results_test() {
        local number=$((${#RESULTS_NAMES[@]} + 1))
        RESULTS_NAMES+=("$1")
        RESULTS_VERDICTS+=("$2")
        RESULTS_SECONDS+=("$3")
        RESULTS_TEXTS+=("$4")
        case $2 in
        pass) printf 'ok %d - %s # %d s\n' "$number" "$1" "$3" ;;
        skip) printf 'ok %d - %s # SKIP %s\n' "$number" "$1" "$4" ;;
        fail)
                RESULTS_FAILED=$((RESULTS_FAILED + 1))
                printf 'not ok %d - %s # %d s\n' "$number" "$1" "$3"
                ;;
        esac
}

# results_line: the next one, into line, within the limit.  1: there is none, $RESULTS_SILENT: too late.
# It waits in short steps: in between, and not meanwhile, bash buries children that have ended, and
# tail, which these lines come from, follows its file as long as the machine has a process.
results_line() {
        local part status deadline=$((SECONDS + RESULTS_LIMIT_S))
        line=
        while :; do
                IFS= read -r -t 1 part
                status=$?
                line+=$part
                [[ $status -gt 128 ]] || break # the second is over
                [[ $SECONDS -lt $deadline ]] || return "$RESULTS_SILENT"
        done
        line=${line%$'\r'}
        return "$status"
}

# results_scenario NAME: its lines from stdin, up to its end.  Else as results_line.
results_scenario() {
        local line claims=0 skipped=0 failed='' reason='' seconds=0 verdict=pass again=false status
        printf '# Subtest: %s\n' "$1"
        while results_line; status=$?; [[ $status -eq 0 ]]; do
                case $line in
                'end '*)
                        seconds=${line##* }
                        break
                        ;;
                'ok - '* | 'not ok - '*)
                        claims=$((claims + 1))
                        printf '    %s %d - %s\n' "${line%% - *}" "$claims" "${line#* - }"
                        if [[ $line == not* ]]; then
                                failed+="${line#* - }"$'\n'
                        elif [[ $line == *' # SKIP '* ]]; then
                                skipped=$((skipped + 1))
                                reason=${line##* # SKIP }
                        fi
                        ;;
                *)
                        [[ $line != 'first try: '* ]] || again=true
                        printf '    # %s\n' "${line#'# '}"
                        ;;
                esac
        done
        [[ $status -eq 0 ]] || failed+="the machine ended, or hung, before it did"$'\n'
        [[ $claims -gt 0 ]] || failed+="it claims nothing"$'\n'
        RESULTS_CLAIMS=$((RESULTS_CLAIMS + claims))
        printf '    1..%d\n' "$claims"
        if [[ -n $failed ]]; then
                verdict=fail
        elif [[ $skipped -eq $claims ]]; then
                verdict=skip
                failed=$reason
        elif $again; then
                RESULTS_AGAIN+=("$1")
        fi
        [[ $seconds =~ ^[0-9]+$ ]] || seconds=0
        results_test "$1" "$verdict" "$seconds" "${failed%$'\n'}"
        return "$status"
}

# results_read TOPOLOGY SECONDS COMMAND: all of a machine's lines, from stdin.  So long may pass before
# the first, and between two of a scenario what COMMAND tells of its name.  Else as results_line.
results_read() {
        local line status
        RESULTS_LIMIT_S=$2
        RESULTS_HEARD=false
        while results_line; status=$?; [[ $status -eq 0 ]]; do
                RESULTS_HEARD=true
                case $line in
                'scenario '*)
                        RESULTS_LIMIT_S=$("$3" "${line#* }")
                        results_scenario "$1.${line#* }" || return
                        ;;
                'end of results') return 0 ;;
                *) printf '# %s\n' "${line#'# '}" ;;
                esac
        done
        return "$status"
}

# results_heard: anything of the last machine
results_heard() {
        $RESULTS_HEARD
}

results_has() {
        local name
        for name in "${RESULTS_NAMES[@]}"; do
                [[ $name != "$1" ]] || return 0
        done
        return 1
}

results_xml_text() {
        # XML has no control characters, escaped or not.
        tr -d '\000-\010\013\014\016-\037' <<<"$1" |
                sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'
}

# results_junit: all tests, on stdout
results_junit() {
        local i name text
        printf '<?xml version="1.0" encoding="UTF-8"?>\n'
        printf '<testsuite name="vm" tests="%d" failures="%d">\n' "${#RESULTS_NAMES[@]}" "$RESULTS_FAILED"
        for i in "${!RESULTS_NAMES[@]}"; do
                name=${RESULTS_NAMES[i]}
                text=$(results_xml_text "${RESULTS_TEXTS[i]}")
                printf '  <testcase classname="vm.%s" name="%s" time="%d">' \
                        "${name%%.*}" "${name#*.}" "${RESULTS_SECONDS[i]}"
                case ${RESULTS_VERDICTS[i]} in
                fail) printf '<failure message="%s"/>' "$text" ;;
                skip) printf '<skipped message="%s"/>' "$text" ;;
                esac
                printf '</testcase>\n'
        done
        printf '</testsuite>\n'
}
