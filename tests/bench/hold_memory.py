#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory that is dear to look at.

usage: hold_memory.py KIND N SECONDS

  small N     N MiB in pages of 4 KiB
  huge N      N MiB in transparent huge pages
  sparse N    of N MiB of addresses, one page in each 2 MiB
  mappings N  N mappings of a page each

Says "held" when all is touched.  Then it maps and unmaps a page every millisecond, which has to wait
while somebody walks its page tables, and says at the end how long the longest wait was: "longest_ms
N".
"""

import mmap
import sys
import time

MIB = 1 << 20
HUGE_PAGE = 2 * MIB
NORESERVE = 0x4000
POPULATE_WRITE = 23
STEP_S = 0.001


def mapped(size, advice):
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE
    memory = mmap.mmap(-1, size, flags=flags)
    memory.madvise(advice)
    return memory


def small(mib):
    memory = mapped(mib * MIB, mmap.MADV_NOHUGEPAGE)
    memory.madvise(POPULATE_WRITE)
    return memory


def huge(mib):
    memory = mapped(mib * MIB, mmap.MADV_HUGEPAGE)
    memory.madvise(POPULATE_WRITE)
    return memory


def sparse(mib):
    memory = mapped(mib * MIB, mmap.MADV_NOHUGEPAGE)
    for at in range(0, len(memory), HUGE_PAGE):
        memory[at] = 1
    return memory


def mappings(count):
    """Neighbours differ in what they allow, or the kernel would make one of them."""
    held = []
    for i in range(count):
        protection = mmap.PROT_READ | mmap.PROT_WRITE | (mmap.PROT_EXEC if i % 2 else 0)
        page = mmap.mmap(
            -1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=protection
        )
        page[0] = 1
        held.append(page)
    return held


def main():
    kinds = {"small": small, "huge": huge, "sparse": sparse, "mappings": mappings}
    held = kinds[sys.argv[1]](int(sys.argv[2]))
    print("held", flush=True)
    end = time.monotonic() + float(sys.argv[3])
    longest_s = 0
    while (now := time.monotonic()) < end:
        mmap.mmap(-1, mmap.PAGESIZE).close()
        longest_s = max(longest_s, time.monotonic() - now)
        time.sleep(STEP_S)
    print(f"longest_ms {longest_s * 1e3:.3f}", flush=True)
    return 0 if held is not None else 1


if __name__ == "__main__":
    sys.exit(main())
