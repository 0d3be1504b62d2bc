#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Varlink client of its own, so that tests of the daemon do not depend on the client under test.

As a program: varlink_call.py SOCKET METHOD [PARAMETERS]; the reply's parameters go to stdout as
JSON.  Exit status 0; 1 when the daemon answers with an error, which goes to stderr; 3 when there is
no answer.

As a module: Connection.  Framing: JSON objects, each ended by one NUL byte (varlink.org).
"""

import json
import socket
import sys

# Far above what a call takes, so that only a daemon that hangs reaches it.
TIMEOUT_S = 60.0
CHUNK_BYTES = 65536


class CallFailed(Exception):
    """The daemon answered with an error."""

    def __init__(self, error, parameters):
        super().__init__(f"{error} {json.dumps(parameters)}")
        self.error = error
        self.parameters = parameters


class NoAnswer(Exception):
    """The connection ended, or never came to be."""


class Connection:
    """One connection, which carries one call at a time."""

    def __init__(self, path, timeout_s=TIMEOUT_S):
        self.bytes = b""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(path)
        except OSError as error:
            self.socket.close()
            raise NoAnswer(f"{path}: {error}") from error

    def close(self):
        self.socket.close()

    def send(self, method, parameters=None, more=False):
        call = {"method": method, "parameters": parameters or {}}
        if more:
            call["more"] = True
        try:
            self.socket.sendall(json.dumps(call).encode() + b"\0")
        except OSError as error:
            # What the daemon said before it closed can still be read.
            if not isinstance(error, BrokenPipeError):
                raise NoAnswer(str(error)) from error

    def receive(self):
        """The next reply: (parameters, whether more follow).  CallFailed, NoAnswer."""
        while b"\0" not in self.bytes:
            try:
                chunk = self.socket.recv(CHUNK_BYTES)
            except OSError as error:
                raise NoAnswer(str(error)) from error
            if not chunk:
                raise NoAnswer("the daemon closed the connection")
            self.bytes += chunk
        message, self.bytes = self.bytes.split(b"\0", 1)
        reply = json.loads(message)
        if "error" in reply:
            raise CallFailed(reply["error"], reply.get("parameters", {}))
        return reply.get("parameters", {}), reply.get("continues", False)

    def call(self, method, parameters=None):
        self.send(method, parameters)
        return self.receive()[0]


def main():
    if len(sys.argv) not in (3, 4):
        print("usage: varlink_call.py SOCKET METHOD [PARAMETERS]", file=sys.stderr)
        return 2
    try:
        parameters = json.loads(sys.argv[3]) if len(sys.argv) == 4 else {}
        reply = Connection(sys.argv[1]).call(sys.argv[2], parameters)
    except CallFailed as error:
        print(f"varlink_call.py: {error}", file=sys.stderr)
        return 1
    except NoAnswer as error:
        print(f"varlink_call.py: no answer: {error}", file=sys.stderr)
        return 3
    json.dump(reply, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
