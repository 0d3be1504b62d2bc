#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does every tick's energy add up, exactly?

    attribution_sums.py SOCKET SECONDS

Asks a running daemon for all rows again and again, faster than it ticks.  Of every answer, for
package and dram and in whole microjoules: static + shares of all rows + shares of the exited +
unattributed = energy.  From one answer to the next no sum falls.  Exit status 0 when all hold; a
last line says how much was seen: "ticks N of N rows N exited N", the second of them what the daemon
has made meanwhile.  Sums are since its start, so what went wrong in a tick that was not asked for
is wrong in the next that is.
"""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from varlink_call import Connection  # noqa: E402

DOMAINS = ("package_j", "dram_j")


def microjoules(joules):
    return round(joules * 1e6)


def sums_of(answer):
    """Everything that may only grow, by name."""
    sums = {}
    for domain in DOMAINS:
        if answer["machine"][domain] is None:
            continue
        sums["machine", domain] = microjoules(answer["machine"][domain])
        sums["static", domain] = microjoules(answer["machine"]["static_" + domain])
        sums["unattributed", domain] = microjoules(answer["unattributed"][domain])
        sums["exited", domain] = microjoules(answer["exited"]["share"][domain])
        for row in answer["rows"]:
            key = (row["pid"], row["start_s"], domain)
            sums[key] = microjoules(row["share"][domain])
    return sums


def check_sum(sums, domain):
    """What is wrong with the sums of one answer, or None."""
    energy = sums["machine", domain]
    parts = sum(
        value for key, value in sums.items() if key[-1] == domain and key != ("machine", domain)
    )
    if parts != energy:
        return f"{domain}: parts are {parts} uJ, the whole {energy} uJ: off by {parts - energy}"
    return None


def main():
    connection = Connection(sys.argv[1])
    first = connection.call("io.energat.GetStatus")["ticks"]
    end = time.monotonic() + float(sys.argv[2])
    before, uptime_s = {}, None
    ticks, most_rows = 0, 0
    answer = None
    while time.monotonic() < end:
        answer = connection.call("io.energat.GetRows")
        if answer["uptime_s"] == uptime_s:
            continue
        uptime_s = answer["uptime_s"]
        sums = sums_of(answer)
        wrong = [check_sum(sums, key[1]) for key in sums if key[0] == "machine"]
        wrong += [
            f"{key}: fell from {before[key]} to {value}"
            for key, value in sums.items()
            if value < before.get(key, 0)
        ]
        wrong = [text for text in wrong if text]
        if wrong:
            print(f"after {uptime_s} s: " + "; ".join(wrong[:5]))
            return 1
        before = sums
        ticks += 1
        most_rows = max(most_rows, len(answer["rows"]))
    made = connection.call("io.energat.GetStatus")["ticks"] - first
    print(f"ticks {ticks} of {made} rows {most_rows} exited {answer['exited_count']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
