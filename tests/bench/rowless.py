#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""CPU time of the processes that the daemon has no row for, from /proc.

usage: rowless.py SOCKET; prints one JSON object: the sums of io.energat.GetRows, "rows_s", the sum
over all rows, and "rowless", pid to CPU seconds.

A process that is born between the two looks has no row either: who compares two outputs takes the
pids that are in both.
"""

import json
import os
import sys

from varlink_call import CallFailed, Connection, NoAnswer

SUMS = ("wall_s", "cpu_s", "idle_s", "irq_s", "stolen_s", "lost_s")


def schedstat_s(pid):
    total_ns = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as stat:
            total_ns += int(stat.read().split()[0])
    return total_ns / 1e9


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        reply = Connection(sys.argv[1]).call("io.energat.GetRows")
    except (CallFailed, NoAnswer) as error:
        print(f"rowless.py: {error}", file=sys.stderr)
        return 1
    pids = {row["pid"] for row in reply["rows"]}
    rowless = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in pids:
            continue
        try:
            rowless[name] = schedstat_s(name)
        except OSError:
            continue  # it has gone
    result = {key: reply[key] for key in SUMS}
    result["rows_s"] = sum(row["cpu_s"] for row in reply["rows"]) + reply["exited"]["cpu_s"]
    result["rowless"] = rowless
    json.dump(result, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
