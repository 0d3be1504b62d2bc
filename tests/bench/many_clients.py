#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many clients at once, good and bad, and what one honest client among them sees.

    many_clients.py SOCKET SECONDS STREAMS COMING SENDING_GARBAGE SILENT

STREAMS follow a process of theirs at 1 s; COMING connect, ask and leave without end; SENDING_GARBAGE
send what is no call, and come again; SILENT ask without end and never read.  One more asks GetTotals
and GetInfo 50 times a second, from a process of its own, and notes how long each answer takes.  The
figures go to stdout as JSON.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from varlink_call import Connection, NoAnswer  # noqa: E402

CALL = b'{"method":"org.varlink.service.GetInfo"}\0'
DESCRIBE = b'{"method":"org.varlink.service.GetInterfaceDescription",' \
           b'"parameters":{"interface":"io.energat"}}\0'
PROBE_PERIOD_S = 0.02
COME_PERIOD_S = 0.02  # each of those that come


def connect(path):
    """A socket with a timeout does not wait for a place in the daemon's queue: come again."""
    for _ in range(1000):
        try:
            return Connection(path, 30)
        except NoAnswer:
            time.sleep(0.01)
    return Connection(path, 30)


def probe(path, seconds):
    """Latencies of one honest client, one line each."""
    connection = connect(path)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for method in ("org.varlink.service.GetInfo", "io.energat.GetTotals"):
            begin = time.monotonic()
            connection.call(method)
            print(time.monotonic() - begin)
        time.sleep(PROBE_PERIOD_S)


class Crowd:
    def __init__(self, path):
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.answered = self.garbage = self.dropped = self.refused = 0
        self.again = []  # (when, kind)

    def add(self, kind):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect(self.path)
        except BlockingIOError:  # its queue is full for a moment
            s.close()
            self.refused += 1
            self.again.append((time.monotonic() + COME_PERIOD_S, kind))
            return
        if kind == "come":
            s.send(CALL)
        elif kind == "garbage":
            s.send(os.urandom(2000) + b"\0")
        self.selector.register(
            s, selectors.EVENT_READ | (selectors.EVENT_WRITE if kind == "silent" else 0), kind)

    def leave(self, s, kind):
        self.selector.unregister(s)
        s.close()
        self.again.append((time.monotonic() + COME_PERIOD_S, kind))

    def turn(self):
        now = time.monotonic()
        due = [kind for when, kind in self.again if when <= now]
        self.again = [(when, kind) for when, kind in self.again if when > now]
        for kind in due:
            self.add(kind)
        for key, events in self.selector.select(0.005):
            s, kind = key.fileobj, key.data
            try:
                if kind == "silent":
                    s.send(DESCRIBE * 20)
                    continue
                data = s.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if kind == "silent" or not data:
                self.dropped += kind == "silent"
                self.garbage += kind == "garbage"
            else:
                self.answered += 1
            self.leave(s, kind)


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("VmRSS"))


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    if len(sys.argv) == 3:
        return probe(path, seconds)
    nstreams, ncoming, ngarbage, nsilent = (int(a) for a in sys.argv[3:7])
    daemon = int(os.environ["DAEMON_PID"])
    streams = []
    for _ in range(nstreams):
        stream = connect(path)
        stream.send("io.energat.Follow", {"pid": os.getpid(), "interval_s": 1}, more=True)
        streams.append(stream)
    for stream in streams:
        reply, _ = stream.receive()
        assert reply["event"] == "attached"
        stream.intervals = 0
    before = connect(path).call("io.energat.GetStatus")
    crowd = Crowd(path)
    for kind, n in (("come", ncoming), ("garbage", ngarbage), ("silent", nsilent)):
        for _ in range(n):
            crowd.add(kind)
    prober = subprocess.Popen([sys.executable, "-B", __file__, path, str(seconds)],
                              stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + seconds
    highest = rss_kib(daemon)
    looked = 0.0
    while time.monotonic() < end:
        crowd.turn()
        if time.monotonic() > looked + 0.5:
            looked = time.monotonic()
            highest = max(highest, rss_kib(daemon))
            for stream in streams:
                stream.socket.setblocking(False)
                try:
                    while True:
                        chunk = stream.socket.recv(65536)
                        if not chunk:
                            stream.intervals = -1
                            break
                        stream.intervals += chunk.count(b"\0")
                except BlockingIOError:
                    pass
    waits = sorted(float(line) for line in prober.communicate()[0].split())
    after = connect(path).call("io.energat.GetStatus")
    json.dump({
        "probes": len(waits), "p50_s": waits[len(waits) // 2],
        "p99_s": waits[int(len(waits) * 0.99)], "max_s": waits[-1],
        "fewest_intervals": min((s.intervals for s in streams), default=0),
        "came_and_answered": crowd.answered, "garbage_closed": crowd.garbage,
        "silent_dropped": crowd.dropped, "queue_full": crowd.refused,
        "ticks": after["ticks"] - before["ticks"],
        "missed": after["missed_ticks"] - before["missed_ticks"],
        "rss_kib": highest}, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
