#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""page_recording.py FILE [bench|command|machine]: a recording with names that try to be more than names,
of a command or of repeated runs of two; or one of a command or the machine whose energy is not known."""
import json
import sys

HOSTILE = [
    "</script><script>document.title='taken over'</script>",
    "<img src=x onerror=\"document.title='taken over'\">",
    "\u202egnp.exe & <b>bold</b>",
    "a\"b'c`${document.title='taken over'}",
    "@REPORT_JSON@",
    "\u2028\u2029<!--",
]
BEGIN = 1795259000.0


def line(file, what, body):
    file.write(json.dumps({what: body}) + "\n")


def energy(package):
    return {"package_j": package, "dram_j": package / 10}


def interval(second):
    machine = {**energy(40.0), "static_package_j": 20.0, "static_dram_j": 2.0}
    part = {
        "cpu_s": 1.2, "attributed": energy(15.0), "share": energy(12.0),
        "tracer": energy(0.1), "machine": machine,
    }
    return {
        "source": "powercap", "estimated": False, "pid": 100, "name": HOSTILE[0],
        "time": BEGIN + second, "duration_s": 1.0, "machine_s": 1.0, "processes": 7, "threads": 7,
        "model": "energat", "gamma": 0.3, "delta": 0.2, "baseline": "measured", **part,
        "sockets": [{"socket": 0, "busy_s": 1.5, "package_credit": 0.8, "dram_credit": None, **part}],
        "memory": None, "reasons": {"<u>why</u>": "<i>so</i>"}, "warnings": [HOSTILE[1]],
    }


def rows(second):
    return {
        "time": BEGIN + second, "duration_s": 1.0,
        "rows": [{
            "pid": 100 + i, "start_s": 5.0, "comm": name, "user": HOSTILE[1], "cpu_s": 0.2,
            "package_j": 1.0 + (second * (i + 1)) % 3 / 3, "dram_j": 0.1,
        } for i, name in enumerate(HOSTILE)],
    }


def header(file, kind, name, command):
    line(file, "energat_record", {
        "version": 1, "energat": "0", "kind": kind, "name": name, "command": command,
        "host": HOSTILE[3], "begin": BEGIN, "interval_s": 1.0, "cpus": 2,
    })


def hostile(file):
    header(file, "command", HOSTILE[0], ["sh", "-c", HOSTILE[1]])
    for second in range(1, 61):
        line(file, "interval", interval(second))
        line(file, "processes", rows(second))
    line(file, "note", {"time": BEGIN, "text": HOSTILE[0]})
    line(file, "end", {"time": BEGIN + 60, "exit_status": 0, "interrupted": None, "report": None})


def bench(file):
    """A warm-up run of each, eleven pairs of which the third has an outlier, and one run that failed."""
    header(file, "bench", HOSTILE[0], ["sh", "-c", HOSTILE[1]])
    for i in range(24):
        command, pair = i % 2, i // 2
        report = interval(i + 1)
        seconds = (2.0 if command else 3.0) + pair % 5 / 50 + (4.0 if i == 6 else 0)
        report["share"] = energy(10.0 * seconds)
        report["attributed"] = energy(12.0 * seconds)
        report["cpu_s"] = seconds
        line(file, "run", {
            "command": command, "line": HOSTILE[command], "warmup": pair == 0,
            "exit_status": 1 if i == 23 else 0, "wall_s": seconds, "report": report,
        })
    line(file, "end", {"time": BEGIN + 60, "complete": True})


UNKNOWN = {"package_j": None, "dram_j": None}


def unknown_rows(second):
    known = rows(second)
    return {**known, "rows": [{**row, **UNKNOWN} for row in known["rows"]]}


# The share is not known, and what the machine used is.
def unknown_command(file):
    header(file, "command", "x", ["x"])
    for second in range(1, 4):
        line(file, "interval", {**interval(second), "share": UNKNOWN, "attributed": UNKNOWN})
        line(file, "processes", unknown_rows(second))
    line(file, "end", {"time": BEGIN + 3, "exit_status": 0, "interrupted": None, "report": None})


def unknown_machine(file):
    header(file, "machine", "m", None)
    for second in range(1, 4):
        line(file, "machine", {
            **unknown_rows(second), "source": "powercap", "estimated": False,
            "machine": {**UNKNOWN, "static_package_j": None, "static_dram_j": None},
            "unattributed": UNKNOWN, "sockets": [], "domains": [], "cpu_s": 1.0,
            "exited_count": 0, "warnings": [],
        })
    line(file, "end", {"time": BEGIN + 3, "reason": "the time was over"})


WHAT = {"bench": bench, "command": unknown_command, "machine": unknown_machine}
with open(sys.argv[1], "w", encoding="utf-8") as out:
    (WHAT[sys.argv[2]] if len(sys.argv) > 2 else hostile)(out)
