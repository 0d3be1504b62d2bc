#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hold_thread.py TID SECONDS: stops one thread of a process for a time, as if it hung (ptrace(2)).

Exit status 1: it cannot be stopped here.
"""
import ctypes
import os
import sys
import time

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # __WALL: threads, too

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
tid, seconds = int(sys.argv[1]), float(sys.argv[2])
for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
    if libc.ptrace(request, tid, None, None) < 0:
        print(f"hold_thread.py: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        sys.exit(1)
os.waitpid(tid, WALL)
time.sleep(seconds)
libc.ptrace(PTRACE_DETACH, tid, None, None)
