#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What `cmake --install` leaves is a service: systemd takes the unit and finds its sandbox tight, the
# user can be made, and every message of the journal that has an id is explained.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"

LIMIT=2.0 # systemd-timesyncd has 2.3, chrony 3.7 (Debian 12)
ROOT=$RIG/root
SOURCE=$(realpath "$(dirname "$0")/../..")
UNITS=$ROOT/usr/local/lib/systemd/system

install_it() {
        DESTDIR=$ROOT cmake --install "$(dirname "$ENERGAT_BIN_DIR")" --prefix /usr/local >"$RIG/out" 2>&1
}

has() {
        command -v "$1" >/dev/null && return 0
        skip "$2" "there is no $1 (Debian's package systemd)"
        return 1
}

# The unit and its socket, with a program that is there.
unit_is_valid() {
        mkdir -p "$RIG/units"
        cp "$UNITS/energatd.socket" "$RIG/units/"
        sed "s#^ExecStart=.*#ExecStart=$ENERGAT_BIN_DIR/energatd#" "$UNITS/energatd.service" \
                >"$RIG/units/energatd.service"
        systemd-analyze verify --man=no "$RIG/units/energatd.service" "$RIG/units/energatd.socket" \
                >"$RIG/verify" 2>&1 || true
        # of other units on this machine it may complain, too
        ! grep -E 'energatd\.(service|socket)' "$RIG/verify"
}

exposure() {
        systemd-analyze security --offline=true --no-pager "$1" 2>&1 |
                sed -n 's/.*exposure level for energatd.service: \([0-9.]*\).*/\1/p'
}

user_is_made() {
        systemd-sysusers --root="$ROOT" >"$RIG/out" 2>&1 && grep -q '^energat:' "$ROOT/etc/passwd" &&
                grep -q '^energat:' "$ROOT/etc/group"
}

unexplained() {
        local id
        while IFS= read -r id; do
                grep -qx -- "-- $id" "$ROOT/usr/local/lib/systemd/catalog/energat.catalog" || echo "$id"
        done < <(sed -n 's/^#define EVENT_.*"\([0-9a-f]\{32\}\)".*/\1/p' "$SOURCE/daemon/log.h")
}

# capabilities FILE KEY: sorted, of a unit's line
capabilities() {
        sed -n "s/^$2=//p" "$1" | xargs -n 1 | sort | xargs
}

check "it installs" install_it
for file in sbin/energatd bin/energat lib/systemd/system/energatd.{service,socket} \
        lib/sysusers.d/energat.conf lib/tmpfiles.d/energat.conf lib/systemd/catalog/energat.catalog; do
        check "$file is there" test -s "$ROOT/usr/local/$file"
done
check "the unit starts what is installed" \
        matches "$(cat "$UNITS/energatd.service")" '^ExecStart=/usr/local/sbin/energatd$'
check "the configuration is there" test -s "$ROOT/etc/energat/energatd.conf"
echo '# mine' >>"$ROOT/etc/energat/energatd.conf"
check "it installs again" install_it
check "and leaves a configuration that was edited" \
        equal "$(tail -n 1 "$ROOT/etc/energat/energatd.conf")" '# mine'
check "the unit gives what it limits to" equal \
        "$(capabilities "$UNITS/energatd.service" AmbientCapabilities)" \
        "$(capabilities "$UNITS/energatd.service" CapabilityBoundingSet)"
for capability in $(capabilities "$UNITS/energatd.service" AmbientCapabilities); do
        check "docs/security.md says why $capability" \
                matches "$(cat "$SOURCE/docs/security.md")" "^\| \`$capability\`"
done
check "every kind of message is explained" equal "$(unexplained)" ""

if has systemd-analyze "the unit is valid and its sandbox tight"; then
        check "systemd finds nothing wrong with the units" unit_is_valid
        check "its exposure level is low" at_most "$(exposure "$UNITS/energatd.service")" "$LIMIT"
fi
if has systemd-sysusers "the user is made"; then
        check "systemd-sysusers makes user and group" user_is_made
fi
