# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What a scenario says and does, inside the virtual machine.  Every scenario sources this file and
# begins with lab_meter; what it leaves behind, the next lab_meter puts right.
#
#   lab_meter [PARAMETER=VALUE...]   a meter with these parameters, and energatd on it, fresh
#   lab_run COMMAND...               energat run --gamma 1; the report is in $REPORT
#   lab_measured FUNCTION [ARG...]   what it measures and claims; anew where the machine has stalled
#   lab_fault KIND [ZONES]           KIND eio or stuck; none without ZONES
#   lab_configure [LINE...]          energatd with this configuration file
#   lab_drop_in [LINE...]            energatd with these lines in its unit's [Service]
#   lab_call METHOD [PARAMETERS]     a call of io.energat, the answer's parameters on stdout
#   lab_reboot                       reboots the machine, when all has been well, and begins the
#                                    scenario anew: LAB_BOOT, which was 1, is 2 then.  $LAB_KEPT is a
#                                    directory that stays.  Needs a line '# boots: 2'
#   check TEXT COMMAND...            one claim: it holds when COMMAND succeeds
#   pass TEXT, fail TEXT, skip TEXT REASON
#
# COMMAND can be a comparison of compare.sh, which the live tests have, too.
#
# Output is TAP (testanything.org).  Exit status: 0 when every claim held.

set -uo pipefail

LAB=/usr/local/lib/energat-vm
LAB_WORK=$(mktemp -d /tmp/energat-scenario.XXXXXX) || exit 1
LAB_FAILED=0
LAB_BOOT=${LAB_BOOT:-1}
LAB_KEPT=/var/lib/energat-vm
LAB_LIMIT_S=60 # for one call of energat
LAB_START_S=60 # for energatd to come up
LAB_TRIES=3    # to measure on a machine that stalls
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
# shellcheck source=../../rig/compare.sh
. "$LAB/compare.sh"

# Emulated, programs take long to start: jq a third of a second.  These two are quicker, the second
# for being linked statically.
jq() {
        gojq "$@"
}

awk() {
        busybox awk "$@"
}

# --- what a scenario says -------------------------------------------------------------------------

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
        local text=$1 output line
        shift
        if output=$("$@" 2>&1); then
                while IFS= read -r line; do # a program takes longer to start
                        [[ $line != '# '* ]] || printf '%s\n' "$line"
                done <<<"$output"
                pass "$text"
        else
                [[ -z $output ]] || note "${output//# /}"
                fail "$text"
        fi
}

# report FILTER: of the last lab_run
report() {
        json "$REPORT" "$1"
}

# --- the machine ----------------------------------------------------------------------------------

# One node a line, of those with CPUs.
nodes() {
        local cpus
        for cpus in /sys/devices/system/node/node*/cpulist; do
                cpus=${cpus%/cpulist}
                [[ -z $(<"$cpus/cpulist") ]] || echo "${cpus##*/node}"
        done
}

# The sockets that a node's CPUs are on, ascending, separated by spaces.
sockets_of_node() {
        local cpu
        local -a there=()
        for cpu in /sys/devices/system/node/node"$1"/cpu[0-9]*; do
                there[$(<"$cpu/topology/physical_package_id")]=1
        done
        echo "${!there[@]}"
}

# Of all CPUs that are online, ascending, separated by spaces.
sockets() {
        local file
        local -a there=()
        for file in /sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id; do
                there[$(<"$file")]=1
        done
        echo "${!there[@]}"
}

# The names of all domains, as energatd has them: package-0, package-0/dram.
domains() {
        local file name parent
        for file in /sys/class/powercap/intel-rapl:*/name; do
                name=$(<"$file")
                parent=${file%/name}
                [[ $parent != *:*:* ]] || name=$(<"${parent%:*}/name")/$name
                echo "$name"
        done
}

# Package domains of a socket: its dies.
domains_of_socket() {
        local file n=0
        for file in /sys/class/powercap/intel-rapl:*/name; do
                [[ ! $(<"$file") =~ ^package-$1(-die-[0-9]+)?$ ]] || n=$((n + 1))
        done
        echo "$n"
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
        if ! timeout "$LAB_START_S" systemctl start energatd.service; then
                fail "energatd starts"
                lab_log
                exit 1
        fi
        sleep 0.3 # some ticks; and what systemd does after a start
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
        if [[ -e /sys/module/energat_meter ]]; then
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

# A host that is busy makes this machine stall, and energatd says in its report that ticks were missed.
# A claim that fails then says nothing: it is measured anew.  One that fails without is a failure.
lab_measured() {
        local try failed=$LAB_FAILED said=$LAB_WORK/said
        for ((try = 1; ; try++)); do
                find "$LAB_WORK" -name 'report*' -type f -delete
                "$@" >"$said"
                if [[ $try -eq $LAB_TRIES || $LAB_FAILED -eq $failed ]] ||
                        ! grep -qrs --include='report*' 'ticks were missed' "$LAB_WORK"; then
                        break
                fi
                sed 's/^/# stalled: /' "$said"
                LAB_FAILED=$failed
        done
        cat "$said"
}

# A Varlink call of one reply; perl is in every Debian, and starts quickly without its modules.
lab_call() {
        timeout "$LAB_LIMIT_S" perl -e '
                my ($path, $method, $parameters) = @ARGV;
                my ($unix, $stream, $most) = (1, 1, 65536); # AF_UNIX, SOCK_STREAM
                socket(my $s, $unix, $stream, 0) or die "socket: $!\n";
                connect($s, pack("S a*", $unix, $path)) or die "$path: $!\n";
                syswrite($s, "{\"method\":\"io.energat.$method\",\"parameters\":$parameters}\0")
                        or die "$path: $!\n";
                my $reply = "";
                while ($reply !~ /\0/) {
                        sysread($s, $reply, $most, length($reply)) or die "no reply\n";
                }
                print $reply =~ s/\0.*//sr;
        ' "$SOCKET" "$1" "${2:-{\}}" | jq .parameters
}

lab_reboot() {
        [[ $LAB_FAILED -gt 0 ]] || : >"$LAB_KEPT/reboot"
        exit
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
