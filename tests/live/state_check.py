#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Totals against a daemon that is killed.

    state_check.py SOCKET STATE_DIR KILLS SECONDS -- COMMAND...

Starts COMMAND (energatd), reads GetTotals as fast as it can, kills it with SIGKILL at a random moment
within SECONDS, and so again, KILLS times.  Must hold: the state loads each time; no total is ever less
than one that was told before; what no daemon counted is said; and in the end the total is what the
simulator has counted in all (TRUTH_FILE in the environment: its energy_uj), to a second's worth.
Exit status 0 when all holds; 1 when not, with what is wrong.  The figures go to stdout.
"""

import glob
import json
import os
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is left in the source
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from varlink_call import CallFailed, Connection, NoAnswer  # noqa: E402

START_S = 15.0
SUMS = ("cpu_s", "stolen_s", "lost_s", "wall_s", "nobody_s", "starts", "gap_s", "missing_s")
DOMAIN_SUMS = ("energy_j", "static_j", "share_j", "unattributed_j", "gap_j")
ROUNDING = 1e-6  # joules and seconds are floating point


class Wrong(Exception):
    pass


def sums_of(totals):
    """Everything in a reply that must never decrease, by name."""
    sums = {name: totals[name] for name in SUMS}
    for domain in totals["domains"]:
        for name in DOMAIN_SUMS:
            if domain[name] is not None:
                sums[f"{domain['name']}.{name}"] = domain[name]
    return sums


def check_grown(before, after, when):
    for name, value in before.items():
        if after.get(name, -1) < value - ROUNDING:
            raise Wrong(f"{when}: {name} was {value}, and is now {after.get(name)}")


def start(command, path):
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    os.set_blocking(daemon.stderr.fileno(), False)
    deadline = time.monotonic() + START_S
    while True:
        try:
            return daemon, Connection(path, 10)
        except NoAnswer:
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise Wrong(f"energatd does not start: {daemon.stderr.read()}") from None
            time.sleep(0.01)


def truth_j():
    """What the simulator has counted, at most 0.1 s old."""
    for _ in range(50):
        try:
            with open(os.environ["TRUTH_FILE"], encoding="utf-8") as stream:
                return json.load(stream)["energy_uj"] / 1e6
        except (json.JSONDecodeError, OSError):
            time.sleep(0.01)
    raise Wrong("no truth")


def package_j(sums):
    return sum(v for k, v in sums.items() if k.startswith("package-") and k.endswith(".energy_j")
               and "/" not in k)


def main():
    path, state_dir, kills, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    command = sys.argv[sys.argv.index("--") + 1:]
    seed = int(os.environ.get("SEED", time.time_ns() % 2**32))
    print(f"seed {seed}")
    moments = random.Random(seed)
    sums, answers, unsaid = {}, 0, 0
    first_truth = first_j = None
    daemon = None
    try:
        for kill in range(kills + 1):
            daemon, connection = start(command, path)
            end = time.monotonic() + moments.uniform(0.02, seconds)
            if kill in (0, kills):
                end = time.monotonic() + 2
            starts = None
            while time.monotonic() < end:
                totals = connection.call("io.energat.GetTotals")
                answers += 1
                after = sums_of(totals)
                check_grown(sums, after, f"kill {kill}")
                sums.update(after)
                starts = totals["starts"]
                if kill > 0 and totals["saved_s"] is not None and totals["gap_s"] <= 0:
                    unsaid += 1
                time.sleep(0.002)
            if first_j is None:
                first_j, first_truth = package_j(sums), truth_j()
            if kill == kills:
                last_j, last_truth = package_j(sums), truth_j()
            daemon.kill()
            daemon.wait()
            daemon.stderr.close()
        bad = glob.glob(os.path.join(state_dir, "totals.state.bad-*"))
        if bad:
            raise Wrong(f"a state did not load: {bad}")
        if unsaid:
            raise Wrong(f"{unsaid} answers do not say that there was a time without a daemon")
        # one that is killed before its first save leaves nothing behind
        if not kills / 2 < starts <= kills + 1:
            raise Wrong(f"{starts} starts were counted, there were {kills + 1}")
        truth, told = last_truth - first_truth, last_j - first_j
        print(f"{kills} kills, {answers} answers; {told:.1f} J told, {truth:.1f} J by the simulator "
              f"({100 * (told - truth) / truth:+.2f} %), of it {sums['package-0.gap_j']:.1f} J in "
              f"{sums['gap_s']:.1f} s without a daemon; {sums['missing_s']:.3f} s missing")
        # a second of the most that two CPUs draw here, at either end
        if abs(told - truth) > 2 * float(os.environ.get("MAX_W", "60")):
            raise Wrong("that is more than a second's worth")
        if sums["missing_s"] > 1:
            raise Wrong("more than a second is missing")
    except (Wrong, CallFailed, NoAnswer) as wrong:
        print(f"state_check: {wrong}")
        return 1
    finally:
        if daemon and daemon.poll() is None:
            daemon.kill()
            daemon.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
