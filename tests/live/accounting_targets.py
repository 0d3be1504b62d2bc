#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What may be followed, and when: the part of test_accounting_targets.sh that talks to the daemon
itself, because it needs to know the moment at which a target is attached.

usage: accounting_targets.py SOCKET LOADGEN DAEMON_PID TEST...

Prints one line for each claim: "pass TEXT", "fail TEXT" or "skip REASON: TEXT", and "note TEXT".
"""

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
# pylint: disable=wrong-import-position
from varlink_call import CallFailed, Connection, NoAnswer  # noqa: E402

SLACK_S = 0.002  # what CPU time may be off, or ...
PART = 0.005  # ... this part of it
# The kernel's counts of a running thread are as old as its last scheduler tick: 10 ms where CONFIG_HZ
# is 100, for each CPU.
RUNNING_S = 0.010 * os.cpu_count()
DAEMON_SLACK_S = 0.005  # for the daemon, which reads its own time while it runs
MAX_CONNECTIONS = 16384  # SERVER_MAX_CONNECTIONS of daemon/server.h
TARGETS = int(os.environ.get("ENERGAT_TEST_TARGETS", "2000"))  # at once, ...
PROCESSES = 1000  # ... of so many processes
RESERVE_FDS = 64  # for everything else
LAST_PID = "/proc/sys/kernel/ns_last_pid"
FORKS_TO_A_PID = 50  # others on the machine fork, too

SOCKET, LOADGEN, DAEMON_PID = "", "", 0


def say(kind, text):
    print(kind, text, flush=True)


def claim(good, text, detail=""):
    if detail:
        say("note", f"{text}: {detail}")
    say("pass" if good else "fail", text)


def near(value, truth, slack_s=SLACK_S):
    return abs(value - truth) <= max(slack_s, PART * truth)


class Follow:
    """One target.  Made when it is attached."""

    def __init__(self, pid, interval_s=1.0):
        self.connection = Connection(SOCKET)
        try:
            self.connection.send(
                "io.energat.Follow", {"pid": pid, "interval_s": interval_s}, more=True
            )
            reply, _ = self.connection.receive()
        except (CallFailed, NoAnswer):
            self.connection.close()
            raise
        if reply["event"] != "attached":
            raise NoAnswer(f"event {reply['event']} instead of attached")
        self.target = reply["target"]

    def final(self):
        """The last report."""
        try:
            while True:
                reply, more = self.connection.receive()
                if reply["event"] == "final" and not more:
                    return reply["report"]
        finally:
            self.connection.close()

    def detach(self):
        connection = Connection(SOCKET)
        connection.call("io.energat.Detach", {"target": self.target})
        connection.close()
        return self.final()


class Cgroup:
    """A control group, whose count of CPU time is the truth for a whole tree of processes."""

    def __init__(self):
        with open("/proc/mounts", encoding="ascii") as mounts:
            places = [fields[1] for fields in map(str.split, mounts) if fields[2] == "cgroup2"]
        self.path = os.path.join(places[0], f"energat-test.{os.getpid()}") if places else None

    def __enter__(self):
        if self.path:
            os.mkdir(self.path)
        return self

    def __exit__(self, *_):
        if not self.path:
            return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(200):
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                return
            time.sleep(0.05)

    def pids(self):
        with open(f"{self.path}/cgroup.procs", encoding="ascii") as procs:
            return [int(line) for line in procs]

    def start(self, *command):
        def join():
            with open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write("0")

        return subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn,consider-using-with
            command, preexec_fn=join, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def usage_s(self):
        with open(f"{self.path}/cpu.stat", encoding="ascii") as stat:
            return int(dict(map(str.split, stat))["usage_usec"]) / 1e6


def rusage_s(usage):
    return usage.ru_utime + usage.ru_stime


def schedstat_s(pid):
    """CPU time of the threads that a process has now; exact for those that do not run."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def spin(cpu_s):
    end = time.thread_time() + cpu_s
    while time.thread_time() < end:
        pass


class Child:
    """A child that waits for its word, uses CPU time, and exits."""

    def __init__(self, cpu_s):
        wait_fd, self.go_fd = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.go_fd)
            os.read(wait_fd, 1)
            spin(cpu_s)
            os._exit(0)
        os.close(wait_fd)

    def before_s(self):
        """What it has used, once it waits."""
        while state_of(self.pid) != "S":
            time.sleep(0.001)
        return schedstat_s(self.pid)

    def go(self):
        # A byte, because later children hold this end, too: there is no end of file.
        os.write(self.go_fd, b"!")
        os.close(self.go_fd)

    def reap(self):
        return rusage_s(os.wait4(self.pid, 0)[2])


# ---- attaching to what runs ----


def attach(cgroup, text, after_s, *command):
    """Follow a running tree; all that it uses from then on counts.  True when it does."""
    start_s = cgroup.usage_s()
    process = cgroup.start(LOADGEN, *command)
    time.sleep(after_s)
    before_s = cgroup.usage_s()
    follow = Follow(process.pid)
    attached_s = cgroup.usage_s()
    report = follow.final()
    process.wait()
    end_s = cgroup.usage_s()
    least, most = end_s - attached_s, end_s - before_s
    good = least - RUNNING_S - PART * least <= report["cpu_s"] <= most + RUNNING_S + PART * most
    say(
        "note",
        f"{text}: {report['cpu_s']:.4f} s, by the control group {least:.4f} to {most:.4f} s, "
        f"{before_s - start_s:.4f} s before",
    )
    return good and before_s > start_s


def test_attach():
    with Cgroup() as cgroup:
        if not cgroup.path:
            say("skip", "there is no cgroup v2 to know the truth from: attaching to what runs")
            return
        claim(
            attach(cgroup, "16 threads", 0.5, "threads", "--threads", "16", "--seconds", "2"),
            "the threads that a process already has are taken in",
        )
        claim(
            attach(cgroup, "orphans", 0.5, "daemon", "--depth", "3", "--seconds", "2", "--count", "2"),
            "daemons whose parents had gone before are taken in",
        )
        claim(
            attach(cgroup, "forks", 0.5, "forks", "--rate", "2000", "--seconds", "2"),
            "a process that forks all the time is taken in",
        )
        # Each forks the next one and exits: lose one, lose the rest, which spins at its end.
        good = [
            attach(
                cgroup, f"chain {i}", 0.02 + 0.02 * i, "daemon", "--depth", "2000", "--seconds",
                "0.2", "--count", "1",
            )
            for i in range(8)
        ]
        claim(all(good), "of a chain of forks, none is lost while it is attached (8 times)")


# ---- targets that go ----


def test_exit_during_attach():
    outcomes = {"attached": 0, "no such process": 0}
    odd = []
    for i in range(200):
        pid = os.fork()
        if pid == 0:
            spin(random.uniform(0, 0.002))
            os._exit(0)
        # Until it is reaped it is a zombie: both, process and zombie, are met.
        reaper = threading.Timer(random.uniform(0, 0.003), os.wait4, (pid, 0)) if i % 2 else None
        if reaper:
            reaper.start()
        time.sleep(random.uniform(0, 0.002))
        try:
            report = Follow(pid).final()
            outcomes["attached"] += 1
            if report["cpu_s"] > 0.1:
                odd.append(f"{report['cpu_s']} s")
        except CallFailed as error:
            if error.error == "io.energat.NoSuchProcess" and error.parameters == {"pid": pid}:
                outcomes["no such process"] += 1
            else:
                odd.append(str(error))
        except NoAnswer as error:
            odd.append(str(error))
        if reaper:
            reaper.join()
        else:
            os.wait4(pid, 0)
    claim(
        not odd,
        "200 targets that exit while they are attached: a report, or that there is none",
        f"{outcomes} {odd[:5]}",
    )


def test_zombie():
    child = Child(0)
    child.go()
    while state_of(child.pid) != "Z":
        time.sleep(0.001)
    time.sleep(0.05)  # until the daemon has read of its end
    try:
        report = Follow(child.pid).final()
        outcome = f"{report['cpu_s']} s"
        good = report["cpu_s"] == 0
    except CallFailed as error:
        outcome = str(error)
        good = error.error == "io.energat.NoSuchProcess"
    child.reap()
    claim(good, "a zombie is no process any more", outcome)


def test_thread():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        Follow(thread.native_id)
        outcome = "followed"
    except CallFailed as error:
        outcome = str(error)
    stop.set()
    thread.join()
    claim(
        outcome.startswith("io.energat.Failed") and "thread" in outcome,
        "a thread's id is refused, with what to do instead",
        outcome,
    )


# ---- pids that come again ----


def fork_with_pid(pid, cpu_s):
    """A child with that pid, which spins and exits.  False when others were always faster."""
    for _ in range(FORKS_TO_A_PID):
        with open(LAST_PID, "w", encoding="ascii") as last:
            last.write(str(pid - 1))
        got = os.fork()
        if got == 0:
            if os.getpid() == pid:
                spin(cpu_s)
            os._exit(0)
        if got == pid:
            return True
        os.wait4(got, 0)
    return False


def test_pid_reuse():
    if not os.access(LAST_PID, os.W_OK):
        say("skip", f"{LAST_PID} cannot be written: a pid that comes again is another process")
        return
    wrong, reused, worst = [], 0, 0.0
    for _ in range(30):
        first = Child(0.003)
        before_s = first.before_s()
        follow = Follow(first.pid)
        first.go()
        truth_s = first.reap() - before_s
        # Within the same tick of 10 ms, nearly always.
        if fork_with_pid(first.pid, 0.030):
            reused += 1
            os.wait4(first.pid, 0)
        report = follow.final()
        worst = max(worst, abs(report["cpu_s"] - truth_s))
        if not near(report["cpu_s"], truth_s):
            wrong.append(f"{report['cpu_s']:.4f} s instead of {truth_s:.4f} s")
    claim(
        not wrong and reused > 0,
        "a pid that comes again within a tick is another process",
        f"{reused} of 30 times, worst {worst * 1000:.3f} ms {wrong[:3]}",
    )

    # The same while the daemon does not read: two more lives of the pid, all at once.
    first = Child(0.050)
    before_s = first.before_s()
    follow = Follow(first.pid)
    os.kill(DAEMON_PID, signal.SIGSTOP)
    try:
        first.go()
        truth_s = first.reap() - before_s
        again = [fork_with_pid(first.pid, 0.030) and os.wait4(first.pid, 0)[0] for _ in range(2)]
    finally:
        os.kill(DAEMON_PID, signal.SIGCONT)
    report = follow.final()
    claim(
        near(report["cpu_s"], truth_s) and all(again),
        "also when the daemon reads of three lives of a pid at once",
        f"{report['cpu_s']:.4f} s, truth {truth_s:.4f} s, reused {again}",
    )

    # And who asks for the pid then gets the one that has it now.
    first = Child(0.010)
    first.go()
    first.reap()
    if fork_with_pid(first.pid, 0.300):
        try:
            report = Follow(first.pid).final()
            outcome = f"{report['cpu_s']:.4f} s"
            good = 0 < report["cpu_s"] <= rusage_s(os.wait4(first.pid, 0)[2]) + SLACK_S
        except CallFailed as error:
            outcome, good = str(error), False
            os.wait4(first.pid, 0)
        claim(good, "the pid then stands for the process that has it now", outcome)


# ---- odd targets ----


def test_daemon_itself():
    before_s = schedstat_s(DAEMON_PID)
    follow = Follow(DAEMON_PID)
    attached_s = schedstat_s(DAEMON_PID)
    time.sleep(3)
    detached_s = schedstat_s(DAEMON_PID)
    report = follow.detach()
    # What it does to attach and to detach is in or out.
    least, most = detached_s - attached_s, schedstat_s(DAEMON_PID) - before_s
    claim(
        least - DAEMON_SLACK_S <= report["cpu_s"] <= most + DAEMON_SLACK_S and report["cpu_s"] > 0,
        "the daemon can be followed itself",
        f"{report['cpu_s']:.4f} s, schedstat {least:.4f} to {most:.4f} s",
    )


def test_kernel_thread():
    # kthreadd: the parent of all of them
    follow = Follow(2)
    time.sleep(1)
    report = follow.detach()
    claim(
        report["processes"] > 1 and 0 <= report["cpu_s"] < 1.5 * os.cpu_count(),
        "kthreadd can be followed, and the kernel threads that it made",
        f"{report['processes']} processes, {report['cpu_s']:.4f} s",
    )


# ---- many targets ----


def test_many():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    children = [Child(0.002) for _ in range(PROCESSES)]
    before_s = [child.before_s() for child in children]
    start = time.monotonic()
    # Each process in several targets.  Each target is a connection, here and in the daemon.
    per_process = min(TARGETS, limit - 2 * PROCESSES - RESERVE_FDS) // PROCESSES
    follows = [Follow(child.pid) for child in children for _ in range(per_process)]
    attach_s = time.monotonic() - start
    for child in children:
        child.go()
    truth_s = [child.reap() - before for child, before in zip(children, before_s)]
    reports = [follow.final()["cpu_s"] for follow in follows]
    truths = [truth for truth in truth_s for _ in range(per_process)]
    worst = max(abs(report - truth) for report, truth in zip(reports, truths))
    claim(
        all(near(report, truth) for report, truth in zip(reports, truths))
        and near(sum(reports), sum(truths)),
        f"{TARGETS} targets at once: each has its own CPU time",
        f"{len(follows)} targets attached in {attach_s:.2f} s, worst off by {worst * 1000:.3f} ms, "
        f"in all {sum(reports):.4f} s, truth {sum(truths):.4f} s",
    )
    claim(len(follows) == TARGETS, f"all {TARGETS} of them", f"{limit} descriptors")
    try:
        Connection(SOCKET).call("io.energat.GetStatus")
        claim(True, "and the daemon is there for the next one")
    except (CallFailed, NoAnswer) as error:
        claim(False, "and the daemon is there for the next one", str(error))


def test_too_many():
    """Connections up to the limit, and more: the rest is told so."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    held, refused, odd = [], 0, []
    while len(held) < MAX_CONNECTIONS + 100 and refused < 100 and not odd:
        try:
            connection = Connection(SOCKET)
            held.append(connection)
            connection.call("org.varlink.service.GetInfo")
        except CallFailed as error:
            refused += 1
            if error.error != "io.energat.TooMany" or "limit" not in error.parameters:
                odd.append(str(error))
        except (NoAnswer, OSError) as error:
            odd.append(str(error))
    if len(held) - refused < MAX_CONNECTIONS and any("Too many open files" in o for o in odd):
        say("skip", f"only {limit} descriptors: connections above the limit are refused by name")
    else:
        claim(
            refused == 100 and not odd and len(held) == MAX_CONNECTIONS + refused,
            "connections above the limit are refused by name: TooMany",
            f"{len(held) - refused} served, {refused} refused, otherwise {odd[:3]}",
        )
    for connection in held:
        connection.close()


def test_many_of_one():
    """One process in 1000 targets: sets are shared, not multiplied."""
    child = Child(0.100)
    before_s = child.before_s()
    follows = [Follow(child.pid) for _ in range(1000)]
    child.go()
    truth_s = child.reap() - before_s
    reports = [follow.final()["cpu_s"] for follow in follows]
    claim(
        all(near(report, truth_s) for report in reports),
        "one process in 1000 targets counts for each",
        f"{min(reports):.4f} to {max(reports):.4f} s, truth {truth_s:.4f} s",
    )


# ---- a table that is full ----


def test_full_table():
    """The daemon has 1024 rows: hold more processes than that, and ask."""
    children = [Child(0) for _ in range(1200)]
    try:
        try:
            # The newest of them has no row of its own.
            report = Follow(children[-1].pid)
            outcome, good = "attached", report is not None
            report.connection.close()
        except CallFailed as error:
            outcome = str(error)
            good = error.error != "io.energat.NoSuchProcess"
        claim(
            good,
            "a living process without a row is not said to be no process",
            outcome,
        )
        warnings = Connection(SOCKET).call("io.energat.GetStatus")["warnings"]
        claim(
            any("table" in warning and "full" in warning for warning in warnings),
            "the status says that the table is full",
            str(warnings),
        )
    finally:
        for child in children:
            child.go()
            child.reap()
    time.sleep(0.1)
    last = Child(0.020)
    before_s = last.before_s()
    follow = Follow(last.pid)
    last.go()
    truth_s = last.reap() - before_s
    report = follow.final()
    claim(
        near(report["cpu_s"], truth_s),
        "when they have gone, there is room again",
        f"{report['cpu_s']:.4f} s, truth {truth_s:.4f} s",
    )


def main():
    global SOCKET, LOADGEN, DAEMON_PID  # pylint: disable=global-statement
    if len(sys.argv) < 5:
        print(__doc__, file=sys.stderr)
        return 2
    SOCKET, LOADGEN, DAEMON_PID = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for name in sys.argv[4:]:
        test = globals().get(f"test_{name}")
        if not callable(test):
            print(f"accounting_targets.py: there is no test {name}", file=sys.stderr)
            return 2
        try:
            test()
        except (CallFailed, NoAnswer) as error:
            claim(False, f"{name}: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
