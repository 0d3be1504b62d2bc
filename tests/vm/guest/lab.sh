# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What a scenario says and does, inside the virtual machine.  Every scenario sources this file and
# begins with lab_meter; what it leaves behind, the next lab_meter puts right.
#
#   lab_meter [PARAMETER=VALUE...]   a meter with these parameters, and energatd on it, fresh
#   lab_run COMMAND...               energat run --gamma 1; the report is in $REPORT
#   lab_fault KIND [ZONES]           KIND eio or stuck; none without ZONES
#   lab_configure [LINE...]          energatd with this configuration file
#   lab_drop_in [LINE...]            energatd with these lines in its unit's [Service]
#   lab_call METHOD [PARAMETERS]     a call of io.energat, the answer's parameters on stdout
#   check TEXT COMMAND...            one claim: it holds when COMMAND succeeds
#   pass TEXT, fail TEXT, skip TEXT REASON
#
# Output is TAP (testanything.org).  Exit status: 0 when every claim held.

set -uo pipefail

LAB=/usr/local/lib/energat-vm
LAB_WORK=$(mktemp -d /tmp/energat-scenario.XXXXXX) || exit 1
LAB_FAILED=0
LAB_LIMIT_S=60 # for one call of energat
LAB_START_S=20 # for energatd to come up
REPORT=$LAB_WORK/report.json
TRUTH=$LAB_WORK/truth.json
SOCKET=/run/energat/energat.sock
STATE=/var/lib/energat
DROP_IN=/run/systemd/system/energatd.service.d/lab.conf
export CONFIG=/etc/energat/energatd.conf
# The meter's defaults: see meter/power.c.
export BASE_W=20 CORE_W=10 DRAM_BASE_W=2 DRAM_GIB_W=8
# shellcheck source=/dev/null
. "$LAB/topology" # of this machine: TOPOLOGY_NAME, TOPOLOGY_SEEN

# --- what a scenario says -------------------------------------------------------------------------

note() {
        printf '%s\n' "$@" | sed 's/^/# /'
}

pass() {
        printf 'ok - %s\n' "$1"
}

fail() {
        LAB_FAILED=$((LAB_FAILED + 1))
        printf 'not ok - %s\n' "$1"
}

skip() {
        printf 'ok - %s # SKIP %s\n' "$1" "$2"
}

# What the command says is shown when it fails; its notes are in any case.
check() {
        local text=$1 output
        shift
        if output=$("$@" 2>&1); then
                grep '^# ' <<<"$output"
                pass "$text"
        else
                [[ -z $output ]] || note "${output//# /}"
                fail "$text"
        fi
}

# --- what a scenario compares ---------------------------------------------------------------------

is_number() {
        [[ $1 =~ ^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]]
}

# within VALUE EXPECTED PERCENT [ABSOLUTE]: the larger of the two tolerances counts
within() {
        if ! is_number "$1" || ! is_number "$2"; then
                note "'$1' compared with '$2': not two numbers"
                return 1
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

# at_most VALUE LIMIT
at_most() {
        if ! is_number "$1" || ! is_number "$2"; then
                note "'$1' compared with '$2': not two numbers"
                return 1
        fi
        awk -v value="$1" -v limit="$2" 'BEGIN {
                printf "# %.6g, at most %.6g\n", value, limit
                exit !(value + 0 <= limit + 0)
        }'
}

# equal VALUE EXPECTED, as strings
equal() {
        [[ $1 == "$2" ]] && return 0
        note "'$1', expected '$2'"
        return 1
}

# matches TEXT REGEX: TEXT has a line that matches
matches() {
        grep -Eq -- "$2" <<<"$1" && return 0
        note "no line matches '$2' in:" "$1"
        return 1
}

# json FILE FILTER [JQ OPTION...]: a value of a JSON file.  A file that is no JSON gives a text that
# no comparison takes for a value.
json() {
        local value
        value=$(jq -r "${@:3}" "$2" "$1" 2>&1) || value="no JSON in $1: $value"
        printf '%s\n' "$value"
}

# report FILTER: of the last lab_run
report() {
        json "$REPORT" "$1"
}

# calculate EXPRESSION, of numbers
calculate() {
        awk "BEGIN { printf \"%.9f\\n\", ${1//$'\n'/ } }" 2>/dev/null || echo "no number: $1"
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
        local deadline=$((SECONDS + $1))
        shift
        while ! "$@"; do
                [[ $SECONDS -lt $deadline ]] || return 1
                sleep 0.1
        done
}

# --- the machine ----------------------------------------------------------------------------------

# One node a line, of those with CPUs.
nodes() {
        local cpus
        for cpus in /sys/devices/system/node/node*/cpulist; do
                [[ -z $(<"$cpus") ]] || basename "$(dirname "$cpus")" | sed 's/^node//'
        done
}

# The sockets that a node's CPUs are on, ascending, separated by spaces.
sockets_of_node() {
        local cpu
        for cpu in /sys/devices/system/node/node"$1"/cpu[0-9]*; do
                cat "$cpu/topology/physical_package_id"
        done | sort -nu | xargs
}

sockets() {
        cat /sys/devices/system/cpu/cpu*/topology/physical_package_id | sort -nu | xargs
}

# The names of all domains, as energatd has them: package-0, package-0/dram.
domains() {
        local file name parent
        for file in /sys/class/powercap/intel-rapl:*/name; do
                name=$(<"$file")
                parent=$(dirname "$file")
                [[ $parent != *:*:* ]] || name=$(<"${parent%:*}/name")/$name
                echo "$name"
        done
}

# Package domains of a socket: its dies.
domains_of_socket() {
        grep -Elx "package-$1(-die-[0-9]+)?" /sys/class/powercap/intel-rapl:*/name | wc -l
}

# --- energatd and its meter -----------------------------------------------------------------------

# Base powers are the meter's own, so that dynamic energy is what the CPUs used, and no more.
lab_baseline() {
        local socket package='' dram='' zeros='' n
        for socket in $(sockets); do
                n=$(domains_of_socket "$socket")
                package+=,$((n * BASE_W))
                dram+=,$((n * DRAM_BASE_W))
                zeros+=,0
        done
        ls /sys/class/powercap/intel-rapl:*:*/name >/dev/null 2>&1 || dram=${zeros//0/null}
        mkdir -p "$STATE"
        printf '{"pkg_base_w":[%s],"dram_base_w":[%s],"pkg_base_percents":[%s],"dram_base_percents":[%s]}\n' \
                "${package#,}" "${dram#,}" "${zeros#,}" "${zeros#,}" >"$STATE/baseline_power.json"
}

lab_start() {
        # Many starts in a row are what scenarios do, and no failure.
        systemctl reset-failed energatd.service 2>/dev/null
        if ! timeout "$LAB_START_S" systemctl start energatd.service; then
                fail "energatd starts"
                lab_log
                exit 1
        fi
        sleep 0.5 # some ticks; and what systemd does after a start
}

lab_stop() {
        systemctl stop energatd.service
}

# The end of energatd's log.
lab_log() {
        note "$(journalctl --no-pager --output cat --unit energatd.service --lines 20)"
}

lab_meter() {
        lab_stop
        : >"$CONFIG"
        if [[ -e $DROP_IN ]]; then
                rm "$DROP_IN"
                systemctl daemon-reload
        fi
        if grep -q '^energat_meter ' /proc/modules; then
                rmmod energat_meter
        fi
        if ! insmod "$LAB/energat_meter.ko" "$@"; then
                fail "the meter takes '$*'"
                exit 1
        fi
        lab_baseline
        lab_start
}

# lab_configure LINE...: as the configuration file, and start with it
lab_configure() {
        lab_stop
        printf '%s\n' "$@" >"$CONFIG"
        lab_start
}

# lab_drop_in [LINE...]: energatd as a service with these lines, or as it is installed
lab_drop_in() {
        lab_stop
        rm -f "$DROP_IN"
        if [[ $# -gt 0 ]]; then
                install -d "$(dirname "$DROP_IN")"
                printf '%s\n' '[Service]' "$@" >"$DROP_IN"
        fi
        systemctl daemon-reload
        lab_start
}

lab_fault() {
        printf '%s\n' "${2:-}" >"/sys/module/energat_meter/parameters/$1"
}

lab_run() {
        rm -f "$REPORT"
        timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json -- "$@" >"$REPORT"
}

# lab_load ARGUMENT...: loadgen by lab_run; its own count of CPU time is in $TRUTH
lab_load() {
        rm -f "$TRUTH"
        lab_run "$LAB/loadgen" "$@" --truth "$TRUTH"
}

# A Varlink call of one reply; perl is in every Debian.
lab_call() {
        timeout "$LAB_LIMIT_S" perl -MIO::Socket::UNIX -e '
                my ($path, $method, $parameters) = @ARGV;
                my $s = IO::Socket::UNIX->new($path) or die "$path: $!\n";
                $s->print("{\"method\":\"io.energat.$method\",\"parameters\":$parameters}\0");
                $s->flush;
                local $/ = "\0";
                my $reply = <$s> // die "no reply\n";
                chomp $reply;
                print $reply;
        ' "$SOCKET" "$1" "${2:-{\}}" | jq .parameters
}

lab_finish() {
        local status=$?
        trap - EXIT
        rm -rf "$LAB_WORK"
        if [[ $status -ne 0 && $LAB_FAILED -eq 0 ]]; then
                fail "it runs to its end (status $status)"
        fi
        [[ $LAB_FAILED -eq 0 ]] || lab_log
        exit $((LAB_FAILED > 0))
}

trap lab_finish EXIT
