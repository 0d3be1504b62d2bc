#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an ordinary user learns from the daemon, tried as one.

    access_check.py SOCKET SCENARIO [ARGUMENT]

Run as the user in question.  Exit status 0 when the scenario holds; 1 when not, with one line that
says what is wrong.
"""

import os
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # nothing is left in the source
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from varlink_call import CallFailed, Connection, NoAnswer  # noqa: E402

NAME = "io.energat"
STREAM_S = 4.4  # some whole seconds, and a part of one
LATE_S = 0.08  # a tick may come so late on a loaded machine
SHORT_S = 0.05
COARSE_S = 2  # access.interval where it is longer than a second


class Wrong(Exception):
    pass


def require(condition, complaint):
    if not condition:
        raise Wrong(complaint)


def denied(path, method, parameters, rule):
    """The call is denied, and the error names the rule."""
    connection = Connection(path)
    connection.send(f"{NAME}.{method}", parameters, more=False)
    try:
        reply = connection.receive()
    except CallFailed as failed:
        require(failed.error == f"{NAME}.Denied", f"{method}: {failed}")
        require(failed.parameters["rule"] == rule, f"{method}: {failed}, expected {rule}")
        require(failed.parameters["reason"], f"{method}: no reason")
        return
    raise Wrong(f"{method} {parameters}: answered with {reply}")


def denials(path, other_pid):
    """other_pid: a process of a third user."""
    denied(path, "Follow", {"pid": 1, "interval_s": 1}, "own-processes")
    denied(path, "Follow", {"pid": int(other_pid), "interval_s": 1}, "own-processes")
    # before anything else: it does not depend on the value whether one learns that it is not allowed
    denied(path, "Follow", {"pid": 1, "interval_s": 0.01}, "own-processes")
    denied(path, "Follow", {"pid": os.getpid(), "interval_s": 0.01}, "interval-of-one-second")
    denied(path, "Follow", {"pid": os.getpid(), "interval_s": 0.999}, "interval-of-one-second")
    denied(path, "GetRows", {}, "administrators")
    denied(path, "Calibrate", {}, "administrators")
    denied(path, "Calibrate", {"online": True}, "administrators")


def follow(path, pid, reports):
    connection = Connection(path)
    connection.send(f"{NAME}.Follow", {"pid": pid}, more=True)
    continues = True
    while continues:
        reply, continues = connection.receive()
        if reply["report"]:
            reports.append((reply["event"], reply["report"]))


def is_whole(seconds):
    return abs(seconds - round(seconds)) <= LATE_S


def same_windows(path):
    """However somebody times their calls, the machine's totals have the same edges."""
    process = subprocess.Popen(["sleep", str(STREAM_S)])
    streams, threads = [[], [], []], []
    for reports in streams:
        threads.append(threading.Thread(target=follow, args=(path, process.pid, reports)))
        threads[-1].start()
        time.sleep(0.27)
    process.wait()
    for thread in threads:
        thread.join()
    # by the second in which an interval ended
    machine = [{round(r["time"]): r["machine"]["package_j"] for event, r in reports
                if event == "interval" and is_whole(r["machine_s"]) and round(r["machine_s"]) == 1}
               for reports in streams]
    common = set(machine[0]) & set(machine[1]) & set(machine[2])
    require(len(common) >= 2, f"too few seconds in common: {machine}")
    for second in common:
        values = {m[second] for m in machine}
        require(len(values) == 1, f"second {second}: {values}: windows of their own")
    for reports in streams:
        event, final = reports[-1]
        require(event == "final", f"the last report is {event}")
        require(is_whole(final["machine_s"]), f"final: machine_s {final['machine_s']}")
        require(final["machine_s"] + LATE_S >= final["duration_s"],
                f"final: {final['machine_s']} s of the machine, {final['duration_s']} s of the target")
        require(final["duration_s"] < STREAM_S + 0.3, f"final: {final['duration_s']} s")
        parts = sum(r["machine"]["package_j"] for e, r in reports if e == "interval")
        require(parts <= final["machine"]["package_j"] + 1e-6, "intervals are more than the whole")


def short_run(path):
    """A process that lives shorter than a second is told its own use, and the machine's in whole seconds."""
    for _ in range(3):
        process = subprocess.Popen(["timeout", str(SHORT_S), "sh", "-c", "while :; do :; done"])
        reports = []
        follow(path, process.pid, reports)
        process.wait()
        _, final = reports[-1]
        require(0.5 < final["machine_s"] + LATE_S and is_whole(final["machine_s"]),
                f"machine_s is {final['machine_s']}")
        require(final["duration_s"] < 0.5, f"duration_s is {final['duration_s']}")
        share, machine = final["share"]["package_j"], final["machine"]["package_j"]
        require(share < machine, f"share {share} of {machine}")
        for socket in final["sockets"]:
            require(is_whole(final["machine_s"]), "a socket's part is finer")
            require(socket["machine"]["package_j"] <= machine + 1e-6, "a socket above the machine")
        time.sleep(0.13)


def same_totals(path):
    """Totals in GetStatus stand still between two whole seconds."""
    connection = Connection(path)
    seen, begin = [], time.monotonic()
    while time.monotonic() < begin + 2.5:
        domains = connection.call(f"{NAME}.GetStatus")["domains"]
        energy = [d["energy_j"] for d in domains]
        if not seen or seen[-1] != energy:
            seen.append(energy)
        time.sleep(0.02)
    require(2 <= len(seen) <= 4, f"{len(seen)} different totals in 2.5 s")


def no_steps(path):
    """What a single step of a counter is, is not told."""
    reply = Connection(path).call(f"{NAME}.GetSensors")
    for source in reply["sources"]:
        for domain in source["domains"]:
            require(domain["step_j"] is None, f"{domain['name']}: step_j {domain['step_j']}")


def coarse_sensors(path):
    """The sensors are watched from mark to mark, where marks are two seconds apart."""
    Connection(path).call(f"{NAME}.GetSensors")
    late = time.monotonic() % COARSE_S
    require(late < COARSE_S / 3, f"a survey ended {late:.2f} s after a mark")


SCENARIOS = {f.__name__: f for f in (denials, same_windows, short_run, same_totals, no_steps,
                                     coarse_sensors)}


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in SCENARIOS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        SCENARIOS[sys.argv[2]](sys.argv[1], *sys.argv[3:])
    except (Wrong, CallFailed, NoAnswer) as wrong:
        print(f"{sys.argv[2]}: {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
