#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every limit of the server, tried.

    limits_check.py SOCKET SCENARIO

Exit status 0 when the scenario holds; 1 when not, with one line that says what is wrong.  The
daemon's server.idle_timeout is 1 s here.
"""

import json
import os
import socket
import sys
import time

sys.dont_write_bytecode = True  # nothing is left in the source
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from varlink_call import CallFailed, Connection, NoAnswer  # noqa: E402

NAME = "io.energat"
PER_USER = 256
MAX_CALL = 64 * 1024
MAX_DEPTH = 32
SWEEP_S = 3.5  # idle_timeout, and what the daemon's look at its connections may come later
TARGETS = 64  # of a user
LONG_S = 60  # an interval that no mark ends
SOON_S = 0.3  # some ticks
TURNS_S = 4
TURN_S = 0.2  # that one user may make another one wait


class Wrong(Exception):
    pass


def require(condition, complaint):
    if not condition:
        raise Wrong(complaint)


def raw(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(10)
    s.connect(path)
    return s


def send_and_close(path, data):
    """What the daemon says until it closes; None when it does not close."""
    s = raw(path)
    answer = b""
    try:
        s.sendall(data)
        while True:
            chunk = s.recv(65536)
            if not chunk:
                return answer
            answer += chunk
    except (BrokenPipeError, ConnectionResetError):
        return answer
    except TimeoutError:
        return None
    finally:
        s.close()


def connect(path):
    """A socket with a timeout does not wait for a place in the daemon's queue: come again."""
    for _ in range(200):
        try:
            return Connection(path, 10)
        except NoAnswer:
            time.sleep(0.02)
    return Connection(path, 10)


def still_answers(path):
    Connection(path, 10).call("org.varlink.service.GetInfo")


def garbage(path):
    """What is no Varlink call ends the connection, and nothing else."""
    calls = [b"\0", b"hello\0", b"[]\0", b"42\0", b"\xff\xfe\0", b'{"method": 1}\0', b"{}\0",
             b'{"method": "a.b", "parameters": []}\0', b'{"method": "io.energat.Check", "more": 1}\0',
             b'{"method": "io.energat.Check", "oneway": "x"}\0', b'{"a": 1, "a": 2}\0',
             b'{"method": "io.energat.Check"\0', os.urandom(4096) + b"\0"]
    for call in calls:
        answer = send_and_close(path, call)
        require(answer == b"", f"{call[:40]!r}: {answer!r}")
        still_answers(path)


def is_answered(path, text):
    connection = Connection(path, 10)
    try:
        connection.socket.sendall(text)
        connection.receive()
        return True
    except (NoAnswer, OSError):
        return False


def length(path):
    """A call may have 64 KiB, and not more."""
    call = json.dumps({"method": f"{NAME}.GetStatus", "parameters": {"padding": ""}}).encode()
    padding = MAX_CALL - len(call)
    for more, answered in ((0, True), (1, False)):
        text = json.dumps({"method": "io.energat.GetStatus",
                           "parameters": {"padding": "x" * (padding + more)}}).encode() + b"\0"
        got = is_answered(path, text)
        require(got == answered, f"{len(text) - 1} bytes: answered {got}")
    endless = send_and_close(path, b"x" * (4 * MAX_CALL))
    require(endless == b"", f"without an end: {endless!r}")
    still_answers(path)


def nesting(path):
    """Arrays in arrays: as deep as 32, and not deeper."""
    for depth, answered in ((MAX_DEPTH - 2, True), (MAX_DEPTH, False), (20000, False)):
        text = (b'{"method": "io.energat.GetStatus", "parameters": {"deep": ' + b"[" * depth +
                b"]" * depth + b"}}\0")
        got = is_answered(path, text)
        require(got == answered, f"depth {depth}: answered {got}")


def unknown_fields(path):
    """A newer client may say more than we know."""
    connection = Connection(path, 10)
    connection.socket.sendall(b'{"method": "io.energat.GetStatus", "future": {"x": 1}, '
                              b'"parameters": {"future": [1, 2]}}\0')
    reply, continues = connection.receive()
    require("version" in reply and not continues, f"{reply}")


def no_reader(path):
    """Calls without end whose answers nobody takes: the connection is ended, memory stays bounded."""
    call = json.dumps({"method": "org.varlink.service.GetInterfaceDescription",
                       "parameters": {"interface": NAME}}).encode() + b"\0"
    s = raw(path)
    s.setblocking(False)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            s.send(call * 50)
        except BlockingIOError:
            time.sleep(0.01)
        except (BrokenPipeError, ConnectionResetError):
            still_answers(path)
            return
    raise Wrong("it was not ended")


def idle(path):
    """One that asks nothing is closed; one that is streamed to is not; nor one that asks now and then."""
    quiet, busy, streamed = raw(path), Connection(path, 10), Connection(path, 10)
    slow = raw(path)  # bytes without end are no call
    streamed.send(f"{NAME}.Follow", {"pid": os.getpid(), "interval_s": 1}, more=True)
    quiet.settimeout(SWEEP_S)
    begin = time.monotonic()
    ended = None
    while time.monotonic() < begin + SWEEP_S:
        busy.call("org.varlink.service.GetInfo")
        try:
            slow.send(b" ")
        except OSError:
            ended = time.monotonic() - begin
        time.sleep(0.3)
    require(ended and ended > 0.9, f"the one that dribbles: {ended}")
    require(quiet.recv(1) == b"", "the idle one was sent something")
    seen = 0
    for _ in range(3):
        reply, continues = streamed.receive()
        require(continues, f"the stream ended: {reply}")
        seen += reply["event"] == "interval"
    require(seen >= 2, "no intervals")


def per_user(path):
    """The 257th connection of a user is told so, and others are not touched.  As an ordinary user."""
    held = [connect(path) for _ in range(PER_USER)]
    held[0].call("org.varlink.service.GetInfo")
    extra = connect(path)
    try:
        extra.call("org.varlink.service.GetInfo")
    except CallFailed as failed:
        require(failed.error == f"{NAME}.TooMany", str(failed))
        require(failed.parameters["limit"] == PER_USER, str(failed))
    else:
        raise Wrong("one more was served")
    held.pop().close()
    time.sleep(0.2)
    still_answers(path)


def wrong_types(path):
    """Of every method: a parameter of another type is refused by its name."""
    wrong = {"Follow": {"pid": "1", "name": 7, "gamma": "x", "delta": [], "interval_s": True},
             "Detach": {"target": "1"},
             "Calibrate": {"period_s": "2", "windows": "5", "force": "yes", "online": 1}}
    for method, parameters in wrong.items():
        for name, value in parameters.items():
            given = {"pid": os.getpid()} if method == "Follow" else {}
            given[name] = value
            try:
                Connection(path, 10).call(f"{NAME}.{method}", given)
            except CallFailed as failed:
                require(failed.error == "org.varlink.service.InvalidParameter" and
                        failed.parameters == {"parameter": name}, f"{method} {given}: {failed}")
            else:
                raise Wrong(f"{method} {given}: accepted")


def turns(path):
    """Calls for which all of /proc is looked at, without end: others are answered all the same.

    As an ordinary user, who is in a pid namespace of their own.
    """
    begin = time.monotonic()
    other = Connection(path, 10)
    crowd = []
    call = json.dumps({"method": f"{NAME}.Follow", "parameters": {"pid": 4000000}}).encode() + b"\0"
    for _ in range(8):
        s = raw(path)
        s.setblocking(False)
        crowd.append(s)
    worst, asked, refused = 0, 0, 0
    while time.monotonic() < begin + TURNS_S:
        for s in crowd:
            try:
                asked += s.send(call * 100) // len(call)
            except BlockingIOError:
                pass
            try:
                refused += s.recv(65536).count(b"NoSuchProcess")
            except BlockingIOError:
                pass
        asked_at = time.monotonic()
        other.call(f"{NAME}.GetStatus")
        worst = max(worst, time.monotonic() - asked_at)
    for s in crowd:
        s.close()
    print(f"{asked} asked, {refused} answered, the worst of others' answers after {worst * 1e3:.0f} ms")
    require(asked > 1000 and refused > 0, "the crowd did not ask, or was not answered")
    require(worst < TURN_S, f"another answer took {worst:.3f} s")


def follow(path):
    connection = connect(path)
    connection.send(f"{NAME}.Follow", {"pid": os.getpid(), "interval_s": LONG_S}, more=True)
    connection.receive()
    return connection


def follows(path):
    """The 65th target of a user is told so; one that goes leaves its place."""
    held = [follow(path) for _ in range(TARGETS)]
    try:
        follow(path)
    except CallFailed as failed:
        require(failed.error == f"{NAME}.TooMany", str(failed))
        require(failed.parameters == {"what": "targets", "limit": TARGETS}, str(failed))
    else:
        raise Wrong("one more was followed")
    held.pop().close()
    time.sleep(SOON_S)
    held.append(follow(path))
    require(connect(path).call(f"{NAME}.GetStatus")["targets"] == TARGETS, "targets in the status")


def abandoned(path):
    """Who asks to follow and goes leaves no target behind, though the next mark is far away."""
    for _ in range(3 * TARGETS):
        follow(path).close()
    time.sleep(SOON_S)
    targets = connect(path).call(f"{NAME}.GetStatus")["targets"]
    require(targets == 0, f"{targets} targets of those who have gone")


def surveys(path):
    """A user may have one survey of the sensors at a time, and it ends when its peer goes."""
    first, second = connect(path), connect(path)
    first.send(f"{NAME}.GetSensors")
    try:
        second.call(f"{NAME}.GetSensors")
    except CallFailed as failed:
        require(failed.error == f"{NAME}.TooMany" and failed.parameters["limit"] == 1, str(failed))
    else:
        raise Wrong("two at a time")
    first.close()
    time.sleep(SOON_S)
    second.send(f"{NAME}.GetSensors")
    second.socket.settimeout(SOON_S)
    try:
        second.receive()
    except NoAnswer:  # it is waiting for its mark
        return
    raise Wrong("the next one was refused, or told before the mark")


def unread(path):
    """Long answers on all of a user's connections, which nobody takes."""
    call = json.dumps({"method": f"{NAME}.GetOwnRows"}).encode() + b"\0"
    call += json.dumps({"method": "org.varlink.service.GetInterfaceDescription",
                        "parameters": {"interface": NAME}}).encode() + b"\0"
    held = []
    for _ in range(PER_USER - 1):
        connection = connect(path)
        connection.socket.sendall(call * 100)
        held.append(connection)
    time.sleep(1)
    gone = 0
    for connection in held:
        connection.socket.settimeout(SOON_S)
        try:
            while connection.socket.recv(1 << 20):
                pass
            gone += 1
        except TimeoutError:
            pass
        except ConnectionResetError:
            gone += 1
    require(gone > 0, "however much waited for the user, none of the connections was ended")


SCENARIOS = {f.__name__: f for f in (garbage, length, nesting, unknown_fields, no_reader, idle,
                                     per_user, follows, unread, abandoned, surveys, turns, wrong_types)}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in SCENARIOS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        SCENARIOS[sys.argv[2]](sys.argv[1])
    except (Wrong, CallFailed, NoAnswer, OSError) as wrong:
        print(f"{sys.argv[2]}: {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
