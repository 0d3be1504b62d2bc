#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run_tsan.sh PROGRAM: run a program that is built with ThreadSanitizer.  On kernels that scatter
# memory further than its runtime knows (vm.mmap_rnd_bits above 28) it is run without address space
# randomisation; where that is forbidden too, it is skipped, with status 77.

set -u
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

"$@" >"$log" 2>&1
status=$?
if grep -q 'ThreadSanitizer: unexpected memory mapping' "$log"; then
        setarch "$(uname -m)" -R "$@" >"$log" 2>&1
        status=$?
        if grep -Eq 'unexpected memory mapping|failed to set personality' "$log"; then
                status=77
                echo "skipped: ThreadSanitizer cannot lay out its memory on this machine"
        fi
fi
cat "$log"
exit $status
