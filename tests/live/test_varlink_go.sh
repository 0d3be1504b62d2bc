#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# A client that is not ours: varlink_client.go, on the Varlink project's library for Go.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"
rig_require_root

GOPATH_OF_DEBIAN=/usr/share/gocode # where golang-github-varlink-go-dev puts the library
SOURCE=$(cd "$(dirname "$0")" && pwd)/varlink_client.go

if ! command -v go >/dev/null || [[ ! -d $GOPATH_OF_DEBIAN/src/github.com/varlink/go ]]; then
        skip "a client of another Varlink library" \
                "needs the packages golang-go and golang-github-varlink-go-dev"
        exit
fi

# Without a network: the library is what the package has.
build() {
        (cd "$RIG" && HOME=$RIG GOCACHE=$RIG/go-cache GO111MODULE=off GOPATH=$GOPATH_OF_DEBIAN GOFLAGS='' \
                timeout -k 5 120 go build -o "$RIG/varlink_client" "$SOURCE") >"$RIG/out" 2>&1 && return 0
        note "$(tail -n 10 "$RIG/out")"
        return 1
}

holds() {
        timeout -k 5 "$RIG_LIMIT_S" "$RIG/varlink_client" "$RIG/energat.sock" "$1" \
                >"$RIG/out" 2>&1 </dev/null && return 0
        note "$(tail -n 5 "$RIG/out")"
        return 1
}

check "it builds" build
rig_start_sim
rig_baseline 20
rig_start_daemon
for scenario in introspection description call stream errors; do
        check "$scenario" holds "$scenario"
done
