#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""page_recording.py FILE: a recording with names that try to be more than names."""
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


with open(sys.argv[1], "w", encoding="utf-8") as out:
    line(out, "energat_record", {
        "version": 1, "energat": "0", "kind": "command", "name": HOSTILE[0],
        "command": ["sh", "-c", HOSTILE[1]], "host": HOSTILE[3], "begin": BEGIN,
        "interval_s": 1.0, "cpus": 2,
    })
    for second in range(1, 61):
        line(out, "interval", interval(second))
        line(out, "processes", rows(second))
    line(out, "note", {"time": BEGIN, "text": HOSTILE[0]})
    line(out, "end", {"time": BEGIN + 60, "exit_status": 0, "interrupted": None, "report": None})
