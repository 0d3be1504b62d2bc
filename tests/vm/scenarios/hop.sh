#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# topologies: base smt
# measures: yes
#
# A command that moves from socket to socket is charged where it was, each time.

# shellcheck source=../guest/lab.sh
. /usr/local/lib/energat-vm/lab.sh

WALK_S=6

# Uses so much CPU time, 0.25 s on each CPU in turn, and tells how much on which socket: after a move
# the scheduler has counted all that was before.
cat >"$LAB_WORK/walker.pl" <<'END'
my ($file, $seconds, @places) = @ARGV; # CPU:SOCKET, the first being where it starts
my ($next, $last, $socket, %used) = (0, 0);
open(my $stat, "<", "/proc/self/schedstat") or die;

sub cpu_ns {
        seek($stat, 0, 0);
        return (split(" ", readline($stat)))[0];
}

sub move_to {
        syscall(203, 0, 8, pack("Q", 1 << $_[0])) >= 0 or die; # sched_setaffinity on x86-64
}

while ($last < $seconds * 1e9) {
        my ($cpu, $there) = split(":", $places[$next++ % @places]);
        move_to($cpu);
        my $now = cpu_ns();
        $used{$socket // $there} += $now - $last;
        ($last, $socket) = ($now, $there);
        while (cpu_ns() < $now + 2.5e8) {
                for (my $i = 0; $i < 1000; $i++) { }
        }
}
$used{$socket} += cpu_ns() - $last;
open(my $out, ">", $file) or die;
printf $out "%d %.9f\n", $_, $used{$_} / 1e9 foreach sort keys %used;
close($out);
syscall(231, 0); # exit_group: what it used to tidy up would be missing there
END

lab_meter
places=()
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
        places+=("${cpu##*/cpu}:$(<"$cpu/topology/physical_package_id")")
done
walks() {
        local socket truth_s
        rm -f "$LAB_WORK/used"
        check "walking: energat run succeeds" taskset -c "${places[0]%:*}" \
                timeout -k 5 "$LAB_LIMIT_S" energat run --gamma 1 --format json --output "$REPORT" -- \
                perl "$LAB_WORK/walker.pl" "$LAB_WORK/used" "$WALK_S" "${places[@]}"
        for socket in $(sockets); do
                truth_s=$(awk -v socket="$socket" '$1 == socket { print $2 }' "$LAB_WORK/used")
                check "walking: CPU time of socket $socket" within \
                        "$(report ".sockets[$socket].cpu_s")" "$truth_s" 1 0.04
                check "walking: joules of socket $socket" within \
                        "$(report ".sockets[$socket].share.package_j")" "$(calculate "$CORE_W * $truth_s")" 3
        done
}

# All CPUs in turn, 1 ms on each.  The kernel's own threads that carry it from CPU to CPU use as much
# as it does, and whose time it was is sometimes known a tick later than whose energy.
hops() {
        local socket truth_s
        lab_load hop --seconds 4
        truth_s=$(json "$TRUTH" .cpu_s)
        check "hopping: CPU time" within "$(report .cpu_s)" "$truth_s" 1 0.05
        check "hopping: joules" within "$(report .share.package_j)" "$(calculate "$CORE_W * $truth_s")" 5
        for socket in $(sockets); do
                check "hopping: socket $socket has its part" within \
                        "$(report ".sockets[$socket].cpu_s")" "$(calculate "$truth_s / 2")" 30
                check "hopping: joules of socket $socket are those of its CPU time" within \
                        "$(report ".sockets[$socket].share.package_j")" \
                        "$(calculate "$CORE_W * $(report ".sockets[$socket].cpu_s")")" 5
        done
}

lab_measured walks
lab_measured hops
