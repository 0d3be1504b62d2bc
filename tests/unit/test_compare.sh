#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What live tests and scenarios compare with, ../rig/compare.sh: what is off fails, and what is no
# number is none to compare or to calculate with.
#
# Output is TAP; exit status 0 when all is well.

set -uo pipefail

# shellcheck source=../rig/compare.sh
. "$(dirname "$0")/../rig/compare.sh"

LINES_OF_TWO=$'one\ntwo'
OFF=1 # status of a comparison that fails
COUNT=0
FAILED=0

# told TEXT REASON: the next claim, which holds where there is no reason why not
told() {
        local text=${1//$'\n'/ }
        COUNT=$((COUNT + 1))
        if [[ -z $2 ]]; then
                printf 'ok %d - %s\n' "$COUNT" "$text"
        else
                FAILED=$((FAILED + 1))
                printf 'not ok %d - %s\n# %s\n' "$COUNT" "$text" "$2"
        fi
}

# ends STATUS COMMAND...: with that status, and tells of what, or why not
ends() {
        local expected=$1 status said why=
        shift
        said=$("$@" 2>&1)
        status=$?
        [[ $status -eq $expected && ($status -eq 0 || $said == '# '*) ]] ||
                why="status $status, expected $expected; it says: $said"
        told "$*" "$why"
}

# comes_to TEXT COMMAND...: that says so
comes_to() {
        local expected=$1 said why=
        shift
        said=$("$@" 2>&1)
        [[ $said == "$expected" ]] || why="it says $said, expected $expected"
        told "$*" "$why"
}

ends 0 within 101 100 1
ends 0 within 99 100 1
ends "$OFF" within 101.1 100 1
ends "$OFF" within 98.9 100 1
ends 0 within -99 -100 1
ends "$OFF" within 99 -100 1
ends 0 within 3 1 1 2
ends 0 within 0 0 1
ends "$OFF" within 1e-3 0 1
ends "$OFF" within -1e-3 0 1
ends 0 at_most 3 3
ends "$OFF" at_most 3.01 3
ends 0 at_most -1 0
ends 0 complete 0.991 1 1 0.1
ends "$OFF" complete 0.989 1 1 0.1
ends 0 complete 1.1 1 1 0.1
ends "$OFF" complete 1.12 1 1 0.1
ends "$OFF" complete 0 0 1 0.1
ends 0 equal a a
ends "$OFF" equal a b
ends 0 matches "$LINES_OF_TWO" '^two$'
ends "$OFF" matches "$LINES_OF_TWO" '^one two$'

for value in null '' 'no number: 10 * null' 'no JSON in /nowhere' nan inf 1,5 '1 2' 0x10; do
        ends "$NO_NUMBER" within "$value" 0 100
        ends "$NO_NUMBER" within 0 "$value" 100
        ends "$NO_NUMBER" at_most "$value" 1
        ends "$NO_NUMBER" at_most 0 "$value"
        ends "$NO_NUMBER" complete "$value" 1 1 1
        ends "$NO_NUMBER" complete 1 "$value" 1 1
done

comes_to 1.000000000 calculate "(2.5e6 - 5E+05) * 1e-6 / 2"
comes_to -0.500000000 calculate "1 / -2"
comes_to "no number: 10 * null" calculate "10 * null"
comes_to "no number: e5" calculate "e5"
comes_to "no number: 1 +" calculate "1 +"
ends "$NO_NUMBER" within "$(calculate "1 / 0")" 0 1

printf '1..%d\n' "$COUNT"
[[ $FAILED -eq 0 ]]
