#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A running daemon against the interface that it declares.

    varlink_check.py SOCKET SCENARIO

Every reply and every error must have exactly the declared fields, of the declared types.  Exit
status 0 when the scenario holds; 1 when not, with one line that says what is wrong.  As a module:
Interface, a parser and checker of Varlink's interface definition language
(varlink.org/Interface-Definition).
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is left in the source
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench"))
from varlink_call import CallFailed, Connection, NoAnswer  # noqa: E402

NAME = "io.energat"
NOBODY = 65534  # a user without rights, in no group
NO_SUCH_PID = 2**22 + 1  # above the kernel's PID_MAX_LIMIT
LOAD_S = 20  # far longer than a scenario takes; ended with it


class Wrong(Exception):
    """What was got is not what was declared."""


# --- the interface definition language ------------------------------------------------------------

TOKEN = re.compile(r"\s+|#[^\n]*|->|\[\]|\[string\]|[(),:?]|[A-Za-z][A-Za-z0-9_.-]*")
SIMPLE = {
    "bool": lambda v: isinstance(v, bool),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "object": lambda v: isinstance(v, dict),
}


class Interface:
    """types, methods: name -> (parameters, reply), errors: name -> parameters.

    A type is ("named", name), ("maybe" | "array" | "map", type), ("struct", {field: type}) or
    ("enum", [values]).
    """

    def __init__(self, text):
        self.tokens = self.tokens_of(text)
        self.types, self.methods, self.errors = {}, {}, {}
        self.expect("interface")
        self.name = self.tokens.pop(0)
        while self.tokens:
            self.member()

    @staticmethod
    def tokens_of(text):
        tokens, at = [], 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if not match:
                raise Wrong(f"the interface cannot be read from {text[at:at + 30]!r} on")
            if not match.group().startswith("#") and match.group().strip():
                tokens.append(match.group())
            at = match.end()
        return tokens

    def accept(self, token):
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def expect(self, token):
        if not self.accept(token):
            raise Wrong(f"expected {token!r} before {' '.join(self.tokens[:5])!r}")

    def member(self):
        role, name = self.tokens.pop(0), self.tokens.pop(0)
        if role == "type":
            self.types[name] = self.list()
        elif role == "error":
            self.errors[name] = self.list()
        elif role == "method":
            parameters = self.list()
            self.expect("->")
            self.methods[name] = (parameters, self.list())
        else:
            raise Wrong(f"{role!r} is neither type, method nor error")

    def list(self):
        self.expect("(")
        fields, values = {}, []
        while not self.accept(")"):
            name = self.tokens.pop(0)
            if self.accept(":"):
                fields[name] = self.type()
            else:
                values.append(name)
            if not self.accept(",") and self.tokens[0] != ")":
                raise Wrong(f"expected ',' or ')' after {name!r}")
        return ("enum", values) if values else ("struct", fields)

    def type(self):
        for token, kind in (("?", "maybe"), ("[]", "array"), ("[string]", "map")):
            if self.accept(token):
                return (kind, self.type())
        if self.tokens[0] == "(":
            return self.list()
        return ("named", self.tokens.pop(0))

    def check(self, declared, value, path):
        kind, what = declared
        if kind == "maybe":
            if value is not None:
                self.check(what, value, path)
        elif kind == "named" and what in SIMPLE:
            if not SIMPLE[what](value):
                raise Wrong(f"{path} is {value!r}, which is no {what}")
        elif kind == "named":
            self.check(self.types[what], value, path)
        elif kind == "enum":
            if value not in what:
                raise Wrong(f"{path} is {value!r}, which is none of {', '.join(what)}")
        elif kind == "array":
            if not isinstance(value, list):
                raise Wrong(f"{path} is {value!r}, which is no array")
            for i, part in enumerate(value):
                self.check(what, part, f"{path}[{i}]")
        elif not isinstance(value, dict):
            raise Wrong(f"{path} is {value!r}, which is no object")
        elif kind == "map":
            for key, part in value.items():
                self.check(what, part, f"{path}.{key}")
        else:
            if sorted(value) != sorted(what):
                missing, more = sorted(set(what) - set(value)), sorted(set(value) - set(what))
                raise Wrong(f"{path} lacks {missing} and has {more} that are not declared")
            for key, part in value.items():
                self.check(what[key], part, f"{path}.{key}")


# --- calls ----------------------------------------------------------------------------------------


class Daemon:
    """A connection, with every reply and error checked against the daemon's own declaration."""

    def __init__(self, path):
        self.path = path
        self.connection = Connection(path)
        reply = self.connection.call(
            "org.varlink.service.GetInterfaceDescription", {"interface": NAME})
        self.text = reply["description"]
        self.interface = Interface(self.text)

    def another(self):
        return Daemon(self.path)

    def send(self, method, parameters=None, more=False):
        self.connection.send(f"{NAME}.{method}", parameters, more)

    def receive(self, method):
        parameters, continues = self.connection.receive()
        self.interface.check(self.interface.methods[method][1], parameters, f"{method}: reply")
        return parameters, continues

    def call(self, method, parameters=None):
        self.send(method, parameters)
        reply, continues = self.receive(method)
        require(not continues, f"{method}: more replies than one was asked for")
        return reply

    def refused(self, method, parameters, error):
        """The parameters of the error, which must be this one."""
        self.send(method, parameters)
        try:
            reply = self.connection.receive()
        except CallFailed as failed:
            require(failed.error == error, f"{method} {parameters}: {failed}, expected {error}")
            if error.startswith(NAME):
                declared = self.interface.errors[error.removeprefix(NAME + ".")]
                self.interface.check(declared, failed.parameters, error)
            return failed.parameters
        raise Wrong(f"{method} {parameters}: answered with {reply[0]}, expected {error}")


def require(condition, complaint):
    if not condition:
        raise Wrong(complaint)


class Load:
    """A process that keeps a CPU busy, until the end of the scenario."""

    def __enter__(self):
        self.process = subprocess.Popen(
            ["timeout", str(LOAD_S), "sh", "-c", "while :; do :; done"], start_new_session=True)
        return self.process

    def __exit__(self, *_):
        os.killpg(self.process.pid, 9)
        self.process.wait()


# --- scenarios ------------------------------------------------------------------------------------


def describes_itself(daemon):
    """The service interface of varlink.org; the declaration is the file in the source."""
    info = daemon.connection.call("org.varlink.service.GetInfo")
    require(sorted(info) == ["interfaces", "product", "url", "vendor", "version"],
            f"GetInfo: {sorted(info)}")
    require(set(info["interfaces"]) == {"org.varlink.service", NAME}, f"GetInfo: {info}")
    own = daemon.connection.call("org.varlink.service.GetInterfaceDescription",
                                 {"interface": "org.varlink.service"})
    service = Interface(own["description"])
    require(set(service.methods) == {"GetInfo", "GetInterfaceDescription"}, "its own description")
    service.check(service.methods["GetInfo"][1], info, "GetInfo: reply")
    here = os.path.dirname(os.path.abspath(__file__))
    file = os.path.join(here, "../../daemon", f"{NAME}.varlink")
    with open(file, encoding="utf-8") as stream:
        require(stream.read() == daemon.text, "the daemon's description is not that of the source")


def unknown_names(daemon):
    """What is not there is an error that names it."""
    for method, error, parameters in (
            (f"{NAME}.Nonsense", "MethodNotFound", {"method": f"{NAME}.Nonsense"}),
            ("com.example.Method", "InterfaceNotFound", {"interface": "com.example"})):
        daemon.connection.send(method)
        try:
            reply = daemon.connection.receive()
        except CallFailed as failed:
            require(failed.error == f"org.varlink.service.{error}", str(failed))
            require(failed.parameters == parameters, str(failed))
        else:
            raise Wrong(f"{method}: {reply}")


def status(daemon):
    reply = daemon.call("GetStatus")
    require(reply["domains"], "GetStatus: no domains")


def totals(daemon):
    reply = daemon.call("GetTotals")
    require(reply["starts"] >= 1 and reply["domains"], f"GetTotals: {reply}")


def check(daemon):
    reply = daemon.call("Check")
    require(reply["lines"], "Check: no lines")


def config(daemon):
    """Every key of the file that is installed, with its value; for everybody."""
    reply = daemon.call("GetConfig")
    settings = {s["key"]: s for s in reply["settings"]}
    require(settings["server.socket"]["value"] == sys.argv[1], str(settings["server.socket"]))
    require(settings["server.socket"]["origin"] == "option", str(settings["server.socket"]))
    require(settings["daemon.user"]["origin"] == "file", str(settings["daemon.user"]))
    require(settings["daemon.user"]["line"] == 2, str(settings["daemon.user"]))
    require(settings["model.gamma"] == {"key": "model.gamma", "value": "0.3", "origin": "default",
                                        "line": None, "takes_effect": "reload", "waiting": None},
            str(settings["model.gamma"]))
    require(reply["found"] and reply["problem"] is None, str(reply))


def sensors(daemon):
    reply = daemon.call("GetSensors")
    require(any(s["used"] for s in reply["sources"]), "GetSensors: no source is in use")
    require(any(s["domains"] for s in reply["sources"]), "GetSensors: no source has domains")


def rows(daemon):
    reply = daemon.call("GetRows")
    require(os.getpid() in [r["pid"] for r in reply["rows"]], "GetRows: this process is not there")
    for key in ("package_j", "static_package_j"):
        parts = [s["machine"][key] for s in reply["sockets"]]
        if None not in parts:
            require(abs(sum(parts) - reply["machine"][key]) < 1e-4, f"GetRows: sockets, {key}")
    for row in reply["rows"]:
        if row["node_cpu_s"] is not None:
            require(len(row["node_cpu_s"]) == len(reply["nodes"]), f"GetRows: {row}")


def rows_since(daemon):
    """With since_s: the rows that changed, and the numbers of all others."""
    with subprocess.Popen(["sleep", "20"]) as sleeper:
        time.sleep(0.3)
        first = daemon.call("GetRows")
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
        daemon.another().call("GetRows")  # which somebody else's look does not change
        second = daemon.call("GetRows", {"since_s": first["uptime_s"]})
        full = daemon.call("GetRows")
        sleeper.kill()
    require(first["unchanged"] is None and first["unchanged_dram_j"] is None, "GetRows: without since_s")
    changed = [r["pid"] for r in second["rows"]]
    require(os.getpid() in changed and sleeper.pid not in changed, f"GetRows since: {changed}")
    require(sleeper.pid in second["unchanged"], f"GetRows since: {second['unchanged']}")
    require(not set(changed) & set(second["unchanged"]), "GetRows since: in both lists")
    both = set(changed) | set(second["unchanged"])
    require(len(both ^ {r["pid"] for r in full["rows"]}) < 5, "GetRows since: not everybody")
    if second["unchanged_dram_j"] is not None:
        require(len(second["unchanged_dram_j"]) == len(second["unchanged"]), "GetRows since: dram")
    before = {r["pid"]: r for r in first["rows"]}
    after = {r["pid"]: r for r in full["rows"]}
    for pid in second["unchanged"]:
        if pid in before and pid in after and after[pid]["cpu_s"] == before[pid]["cpu_s"]:
            require(after[pid]["comm"] == before[pid]["comm"], f"GetRows since: {after[pid]}")


def own_rows(daemon):
    """Another user sees their own processes, no others, and nothing new within a second."""
    with subprocess.Popen(["sleep", "20"], user=NOBODY, group=NOBODY, extra_groups=[]) as theirs:
        time.sleep(0.2)
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        try:
            first = daemon.another().call("GetOwnRows")
            time.sleep(0.3)
            second = daemon.another().call("GetOwnRows")
            time.sleep(1.1)
            third = daemon.another().call("GetOwnRows")
        finally:
            os.seteuid(0)
            theirs.kill()
        seen = [r["pid"] for r in third["rows"]]
        require(theirs.pid in seen, f"GetOwnRows: {theirs.pid} is not in {seen}")
        require(os.getpid() not in seen and 1 not in seen, f"GetOwnRows: others' in {seen}")
        marks = [r["uptime_s"] for r in (first, second, third)]
        require(marks[1] == marks[0] or marks[1] - marks[0] >= 1, f"marks {marks}")
        require(marks[2] - marks[1] >= 1, f"marks {marks}")


def follow(daemon):
    """With "more": attached, intervals, and a last one."""
    with Load() as load:
        daemon.send("Follow", {"pid": load.pid, "name": "load", "interval_s": 0.2, "gamma": 0.5,
                               "delta": 1}, more=True)
        reply, continues = daemon.receive("Follow")
        require(continues and reply["event"] == "attached" and reply["report"] is None, str(reply))
        for _ in range(3):
            reply, continues = daemon.receive("Follow")
            require(continues and reply["event"] == "interval", str(reply))
            require(reply["report"]["name"] == "load", str(reply))
        require(daemon.another().call("Detach", {"target": reply["target"]}) == {}, "Detach")
        while continues:
            reply, continues = daemon.receive("Follow")
        require(reply["event"] == "final" and reply["report"]["duration_s"] > 0.5, str(reply))


def follow_overrides(daemon):
    """What one Follow asks for is its own: another of the same process, at the same time, is told
    the configuration's, and the numbers are those of its own exponents."""
    with Load() as load:
        usual, other = daemon.another(), daemon.another()
        wanted = {usual: ("energat", 0.3, 0.2), other: ("additive", 0.9, 1)}
        usual.send("Follow", {"pid": load.pid, "interval_s": 0.2}, more=True)
        other.send("Follow", {"pid": load.pid, "interval_s": 0.3, "model": "additive", "gamma": 0.9,
                              "delta": 1}, more=True)
        for stream in wanted:
            require(stream.receive("Follow")[0]["event"] == "attached", "no attached")
        for _ in range(3):
            for stream, (model, gamma, delta) in wanted.items():
                report = stream.receive("Follow")[0]["report"]
                require((report["model"], report["gamma"], report["delta"]) == (model, gamma, delta),
                        str(report))
                for socket in report["sockets"]:
                    machine = socket["machine"]
                    dynamic_j = machine["package_j"] - (machine["static_package_j"] or 0)
                    model_j = dynamic_j * socket["package_credit"] ** gamma
                    attributed_j = socket["attributed"]["package_j"]
                    require(attributed_j > 0 and abs(attributed_j - model_j) < 1e-5,
                            f"gamma {gamma}: {attributed_j} J, not {model_j} J")


def follow_once(daemon):
    """Without "more": the final report only, when the process has gone."""
    with subprocess.Popen(["sleep", "0.5"]) as process:
        reply = daemon.call("Follow", {"pid": process.pid})
        require(reply["event"] == "final", str(reply))
        require(reply["report"]["name"] == "sleep", str(reply))


def names_of_any_bytes(daemon):
    """A name that is no UTF-8 hides nobody, and ends no connection."""
    script = 'open("/proc/self/comm", "wb").write(b"a\\xff"); import time; time.sleep(1.5)'
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        time.sleep(0.5)
        rows_of = [r for r in daemon.call("GetRows")["rows"] if r["pid"] == process.pid]
        require(rows_of and rows_of[0]["comm"] == "a?", f"GetRows: {rows_of}")
        reply = daemon.call("Follow", {"pid": process.pid})
        require(reply["report"]["name"] == "a?", str(reply))


def calibrate(daemon):
    """With "more" a reply for each window; without, the last one only."""
    windows = 0
    daemon.send("Calibrate", {"period_s": 0.2, "windows": 2, "force": True}, more=True)
    while True:
        reply, continues = daemon.receive("Calibrate")
        if not continues:
            break
        windows += 1
        require(reply["event"] == "window" and reply["window"] == windows, str(reply))
    require(windows == 2 and reply["event"] == "done" and reply["path"], str(reply))
    reply = daemon.call("Calibrate", {"period_s": 0.1, "windows": 1, "force": True})
    require(reply["event"] == "done", str(reply))


def calibrate_online(daemon):
    """From the machine in use: replies until it can be told, or an error that says what it needs."""
    windows = 0
    daemon.send("Calibrate", {"online": True, "period_s": 3}, more=True)
    try:
        while True:
            reply, continues = daemon.receive("Calibrate")
            if not continues:
                break
            windows += 1
            require(reply["event"] == "window" and reply["window"] == windows, str(reply))
        require(reply["event"] == "done" and reply["lacking"] is None, str(reply))
    except CallFailed as failed:
        require(failed.error == f"{NAME}.Failed", str(failed))
        daemon.interface.check(daemon.interface.errors["Failed"], failed.parameters, failed.error)
    require(windows > 0, "Calibrate: no reply before the last")
    # null is as absent, and not the period of a window on the idle machine
    other = daemon.another()
    other.send("Calibrate", {"online": True, "period_s": None}, more=True)
    reply, continues = other.receive("Calibrate")
    require(reply["windows"] == 120 or not continues, str(reply))


def busy(daemon):
    """A machine in use is no idle machine; and one calibration at a time."""
    other = daemon.another()
    with Load():
        other.send("Calibrate", {"period_s": 0.5, "windows": 2}, more=True)
        other.receive("Calibrate")
        limit = daemon.refused("Calibrate", {"force": True}, f"{NAME}.TooMany")
        require(limit["limit"] == 1, str(limit))
        try:
            while True:
                other.receive("Calibrate")
        except CallFailed as failed:
            require(failed.error == f"{NAME}.Busy", str(failed))
            other.interface.check(other.interface.errors["Busy"], failed.parameters, failed.error)
            require(failed.parameters["processes"], "Busy: by nobody")
            require(all("% of a CPU" in p for p in failed.parameters["processes"]), str(failed))


def no_such(daemon):
    for pid in (NO_SUCH_PID, 2**31 - 1):
        error = daemon.refused("Follow", {"pid": pid}, f"{NAME}.NoSuchProcess")
        require(error["pid"] == pid, str(error))
    error = daemon.refused("Detach", {"target": 987654321}, f"{NAME}.NoSuchTarget")
    require(error["target"] == 987654321, str(error))


def bad_parameters(daemon):
    """A value that is out of bounds, or of another type, is refused by its parameter's name."""
    error = daemon.refused("Detach", {"target": "1"}, "org.varlink.service.InvalidParameter")
    require(error == {"parameter": "target"}, str(error))
    for method, name, value in (
            ("Follow", "pid", 0), ("Follow", "pid", -1), ("Follow", "pid", 2**40),
            ("Follow", "pid", "1"), ("Follow", "pid", None), ("Follow", "name", 7),
            ("Follow", "name", "x" * 1000), ("Follow", "gamma", 0), ("Follow", "gamma", 1.5),
            ("Follow", "model", "shapley"), ("Follow", "model", ""), ("Follow", "model", 1),
            ("Follow", "gamma", "0.3"), ("Follow", "delta", -1), ("Follow", "delta", []),
            ("Follow", "interval_s", 0), ("Follow", "interval_s", 1e9),
            ("Follow", "interval_s", True), ("Calibrate", "period_s", 0),
            ("Calibrate", "period_s", "2"), ("Calibrate", "windows", 0),
            ("Calibrate", "windows", 1.5), ("Calibrate", "windows", 10**9),
            ("Calibrate", "force", "yes"), ("Calibrate", "force", 1),
            ("Calibrate", "online", "no"), ("GetRows", "since_s", -1),
            ("GetRows", "since_s", "1"), ("GetRows", "since_s", 1e12)):
        parameters = {"pid": os.getpid()} if method == "Follow" else {"force": True}
        parameters[name] = value
        error = daemon.refused(method, parameters, "org.varlink.service.InvalidParameter")
        require(error == {"parameter": name}, f"{method} {name}={value!r}: {error}")


def denied(daemon):
    """Another user is told by which rule."""
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    daemon = daemon.another()
    for method, parameters in (("Follow", {"pid": os.getppid(), "interval_s": 1}), ("GetRows", {}),
                               ("Calibrate", {"force": True})):
        daemon.refused(method, parameters, f"{NAME}.Denied")
    # and what is for everybody is the same for them
    for method in ("GetStatus", "GetTotals", "Check", "GetConfig"):
        daemon.call(method)


def complete(daemon):
    """Every declared method, type of reply and error that can be had is in a scenario here."""
    tried = {"GetStatus", "GetTotals", "Check", "GetSensors", "GetRows", "GetOwnRows", "Follow", "Detach", "Calibrate", "GetConfig"}
    require(set(daemon.interface.methods) == tried,
            f"tested: {sorted(tried)}, declared: {sorted(daemon.interface.methods)}")
    known = {"NoSuchProcess", "NoSuchTarget", "Denied", "Busy", "TooMany", "Failed"}
    require(set(daemon.interface.errors) == known,
            f"tested: {sorted(known)}, declared: {sorted(daemon.interface.errors)}")


def nothing_to_calibrate(daemon):
    """Without a meter (the estimate knows its base power)."""
    daemon.refused("Calibrate", {"force": True}, f"{NAME}.Failed")
    status(daemon)
    check(daemon)
    rows(daemon)
    follow_once(daemon)


SCENARIOS = {f.__name__: f for f in (
    describes_itself, unknown_names, status, totals, check, config, sensors, rows, rows_since, own_rows, follow,
    follow_overrides, follow_once, names_of_any_bytes, calibrate, calibrate_online, busy, no_such, bad_parameters, denied, complete, nothing_to_calibrate)}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in SCENARIOS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        SCENARIOS[sys.argv[2]](Daemon(sys.argv[1]))
    except (Wrong, CallFailed, NoAnswer) as wrong:
        print(f"{sys.argv[2]}: {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
