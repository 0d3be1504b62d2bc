#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""notify_socket.py SOCKET FILE: what a service says to its manager (sd_notify(3)), a line each.

Datagrams that come to SOCKET are appended to FILE, until it is ended.
"""
import os
import socket
import sys

path, out = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(path)
os.chmod(path, 0o777)  # whoever the service is by then
with open(out, "a", buffering=1, encoding="utf-8", errors="replace") as notes:
    while True:
        notes.write(listener.recv(65536).decode("utf-8", "replace") + "\n")
