#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Two processes that hold the same memory, and some that is one's own.

    share_memory.py SHARED_MIB PRIVATE_MIB SECONDS

SHARED_MIB are a mapping that both have touched, as many are the parent's and, since the fork, the
child's too, and PRIVATE_MIB are the child's alone.  Says "held" when all is.
"""

import mmap
import os
import sys
import time

MIB = 1 << 20


def touched(mib, flags):
    memory = mmap.mmap(-1, mib * MIB, flags=flags | mmap.MAP_ANONYMOUS)
    touch(memory)
    return memory


def touch(memory):
    for at in range(0, len(memory), mmap.PAGESIZE):
        memory[at] = 1


def main():
    shared_mib, private_mib, seconds = (int(text) for text in sys.argv[1:])
    shared = touched(shared_mib, mmap.MAP_SHARED)
    inherited = touched(shared_mib, mmap.MAP_PRIVATE)
    child = os.fork()
    if child == 0:
        touch(shared)
        own = touched(private_mib, mmap.MAP_PRIVATE)
        print("held", flush=True)
        time.sleep(seconds)
        os._exit(len(own) + len(inherited) == 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
