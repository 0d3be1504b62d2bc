# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What tests compare, with words for it that they put into their output: sourced by the rig of the
# live tests and by what the scenarios on virtual servers say.  A comparison succeeds or fails, with
# status NO_NUMBER where there was nothing to compare, and tells of what on lines that begin with "#".
#
#   note TEXT...                               for the reader of the results
#   within VALUE EXPECTED PERCENT [ABSOLUTE]   the larger of the two tolerances counts
#   at_most VALUE LIMIT
#   complete VALUE TRUTH PERCENT MORE          PERCENT of the truth may be missing, and MORE beside it
#   equal VALUE EXPECTED                       as strings
#   matches TEXT REGEX                         TEXT has a line that matches
#   json FILE FILTER [JQ OPTION...]            a value of a JSON file, on stdout
#   calculate EXPRESSION                       of numbers, on stdout
#   wait_for SECONDS COMMAND...                until it succeeds

NO_NUMBER=2

# Each TEXT on lines of its own.
note() {
        printf '%s\n' "$@" | sed 's/^/# /'
}

is_number() {
        [[ $1 =~ ^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]]
}

within() {
        if ! is_number "$1" || ! is_number "$2"; then
                note "'$1' compared with '$2': not two numbers"
                return "$NO_NUMBER"
        fi
        awk -v value="$1" -v expected="$2" -v percent="$3" -v absolute="${4:-0}" 'BEGIN {
                limit = percent / 100 * (expected < 0 ? -expected : expected)
                if (limit < absolute + 0)
                        limit = absolute + 0
                off = value - expected
                printf "# %.6g, expected %.6g: off by %.3g", value, expected, off
                if (expected != 0)
                        printf " (%+.2f %%)", 100 * off / expected
                printf ", allowed %.3g\n", limit
                exit !(off <= limit && -off <= limit)
        }'
}

at_most() {
        if ! is_number "$1" || ! is_number "$2"; then
                note "'$1' compared with '$2': not two numbers"
                return "$NO_NUMBER"
        fi
        awk -v value="$1" -v limit="$2" 'BEGIN {
                printf "# %.6g, at most %.6g\n", value, limit
                exit !(value + 0 <= limit + 0)
        }'
}

# For CPU time: what its truth lacks is how processes exit.
complete() {
        if ! is_number "$1" || ! is_number "$2"; then
                note "'$1' compared with '$2': not two numbers"
                return "$NO_NUMBER"
        fi
        awk -v value="$1" -v truth="$2" -v percent="$3" -v more="$4" 'BEGIN {
                least = truth - percent / 100 * truth
                most = truth + percent / 100 * truth + more
                printf "# %.6g of %.6g (%+.2f %%), at least %.6g and at most %.6g\n",
                        value, truth, 100 * (value - truth) / truth, least, most
                exit !(truth > 0 && value >= least && value <= most)
        }'
}

equal() {
        [[ $1 == "$2" ]] && return 0
        note "'$1', expected '$2'"
        return 1
}

matches() {
        grep -Eq -- "$2" <<<"$1" && return 0
        note "no line matches '$2' in:" "$1"
        return 1
}

# A file that is no JSON gives a text that no comparison takes for a value.
json() {
        jq -r "${@:3}" "$2" "$1" 2>&1 || echo "no JSON in $1"
}

# A word, as null is one, would be 0.
calculate() {
        if [[ $1 =~ [A-DF-Za-df-z_]|(^|[^0-9.])[eE]|[eE]([^-+0-9]|$) ]]; then
                echo "no number: $1"
                return
        fi
        awk "BEGIN { printf \"%.9f\\n\", ${1//$'\n'/ } }" 2>/dev/null || echo "no number: $1"
}

wait_for() {
        local deadline=$((SECONDS + $1 + 1)) # the present second has begun before
        shift
        while ! "$@"; do
                [[ $SECONDS -lt $deadline ]] || return 1
                sleep 0.05
        done
}
