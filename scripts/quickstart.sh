#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# quickstart.sh: from a fresh clone to the joules of a command.  Installs what the build needs,
# builds into build/, starts energatd from there unless one already answers, measures a workload of
# some seconds as the user who called sudo, and stops what it started.  Nothing of energat is
# installed into the system.

set -euo pipefail

cd "$(dirname "$0")/.."

SYSTEM_SOCKET=/run/energat/energat.sock
READY_TRIES=100 # of 0.1 s
WORKLOAD='head -c 500M /dev/zero | gzip | sha256sum' # some three CPU seconds

user=${SUDO_USER:-root}
daemon_pid=
run_dir=

say() {
        printf '\n==> %s\n' "$1"
}

fail() {
        printf 'quickstart.sh: %s\n' "$1" >&2
        exit 1
}

finish() {
        if [[ -n $daemon_pid ]]; then
                kill "$daemon_pid" 2>/dev/null || true
                wait "$daemon_pid" || true
        fi
        [[ -z $run_dir ]] || rm -rf "$run_dir"
        # Who owns the clone can build in it without sudo, too.
        [[ ! -d build ]] || chown -hR --reference=. build
}

# quietly COMMAND...: shows its output only when it fails
quietly() {
        "$@" >"$run_dir/log" 2>&1 </dev/null && return 0
        cat "$run_dir/log" >&2
        fail "'$*' failed, see above"
}

answers() {
        build/bin/energat --socket "$1" status >/dev/null 2>&1 </dev/null
}

# An energatd of our own, in $run_dir.  Should this shell be killed, the kernel ends it.
start_daemon() {
        local tries
        setpriv --pdeathsig TERM build/bin/energatd --socket "$run_dir/energat.sock" \
                --state-dir "$run_dir/state" >"$run_dir/energatd.log" 2>&1 </dev/null &
        daemon_pid=$!
        for ((tries = READY_TRIES; tries > 0; tries--)); do
                answers "$run_dir/energat.sock" && return 0
                kill -0 "$daemon_pid" 2>/dev/null || break
                sleep 0.1
        done
        cat "$run_dir/energatd.log" >&2
        fail "energatd did not start, see above"
}

[[ $# -eq 0 ]] || fail "takes no arguments"
[[ $(id -u) -eq 0 ]] || fail "energatd has to be started by root: run 'sudo $0'"

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
run_dir=$(mktemp -d /tmp/energat-quickstart.XXXXXX)
chmod 0755 "$run_dir" # the user has to reach socket and client

say "packages"
scripts/install-deps.sh
echo "what the build needs is there"

say "build"
quietly cmake --preset release -DENERGAT_TESTS=OFF
quietly cmake --build --preset release --parallel "$(nproc)"
ls build/bin/energat build/bin/energatd

say "energatd"
socket=$SYSTEM_SOCKET
if answers "$socket"; then
        echo "one answers at $socket and is used"
else
        start_daemon
        socket=$run_dir/energat.sock
fi
build/bin/energat --socket "$socket" status

say "as user $user: energat run -- sh -c '$WORKLOAD'"
# The clone may be where that user cannot enter.
install -m 0755 build/bin/energat "$run_dir/"
(cd / && runuser -u "$user" -- "$run_dir/energat" --socket "$socket" run -- sh -c "$WORKLOAD")

say "next"
echo "sudo cmake --install build                # programs, units, configuration, user energat"
if [[ -d /run/systemd/system ]]; then
        echo "sudo systemctl daemon-reload"
        echo "sudo systemctl enable --now energatd"
else
        echo "sudo energatd &                           # no systemd runs here"
fi
cat <<'END'
energat --check                           # can this machine be measured?
energat run -- YOUR COMMAND               # as any user
energat --help
END
