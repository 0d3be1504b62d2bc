#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# install-deps.sh [--test]: the packages that energat is built from, with --test also those that its
# tests need, on Debian 12 or later and Ubuntu 24.04 or later.  When all are there nothing is done,
# and nobody has to be root.

set -euo pipefail

BUILD=(
        gcc libc6-dev make cmake pkg-config # cmake 3.25 or later
        clang                               # compiles the BPF probe
        libbpf-dev libnuma-dev libcap-dev libjansson-dev libsystemd-dev zlib1g-dev
        libinih-dev libgsl-dev libncurses-dev libhdf5-dev
)
TEST=(
        libcmocka-dev jq python3 util-linux systemd
        golang-go golang-github-varlink-go-dev # tests/live: varlink_go; 470 MB installed
        python3-jsonschema hdf5-tools chromium fonts-dejavu-core # tests/live: output, page
        tmux mandoc bash-completion zsh fish locales # tests/live: top, man pages, completion
        clang-format clang-tidy cppcheck shellcheck
        qemu-system-x86 debootstrap e2fsprogs # tests/vm
        patch # tests/mutations
)

updated=false
log=

fail() {
        printf 'install-deps.sh: %s\n' "$1" >&2
        exit 1
}

usage() {
        printf 'usage: %s [--test]\n' "$0" >&2
        exit 2
}

# apt_get COMMAND...: says nothing unless it fails
apt_get() {
        if ! apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null; then
                cat "$log" >&2
                fail "apt-get $1 failed, see above"
        fi
}

installed() {
        [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == "install ok installed" ]]
}

# prepare WHAT: ends here unless this is root, who can install it; brings apt's lists up to date
prepare() {
        [[ $(id -u) -eq 0 ]] || fail "root has to install $1: run 'sudo $command_line'"
        $updated || apt_get update
        updated=true
}

# need PACKAGE...: installs those of them that are missing
need() {
        local package missing=()
        for package in "$@"; do
                installed "$package" || missing+=("$package")
        done
        [[ ${#missing[@]} -gt 0 ]] || return 0
        prepare "${missing[*]}"
        printf 'installing %s\n' "${missing[*]}"
        apt_get install --yes --no-install-recommends "${missing[@]}"
}

available() {
        [[ $(apt-cache policy "$1") =~ Candidate:\ [0-9] ]]
}

# Debian has a package of that name.  In Ubuntu 24.04 the program comes with the tools of a kernel,
# and the one in the path only looks for those of the kernel that runs.
need_bpftool() {
        local kernel_tools
        kernel_tools=linux-tools-$(uname -r)
        bpftool version >/dev/null 2>&1 && return 0
        prepare bpftool
        if available bpftool; then
                need bpftool
        elif available "$kernel_tools"; then
                need linux-tools-common "$kernel_tools"
        else
                fail "there is no package with bpftool for this kernel, neither bpftool nor \
$kernel_tools: install a bpftool that runs here, then come again"
        fi
        bpftool version >/dev/null || fail "bpftool does not run"
}

command_line="$0 $*"
case "$*" in
'' | --test) ;;
*) usage ;;
esac
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        fail "this system has no apt; install what corresponds to: bpftool ${BUILD[*]}${1:+ ${TEST[*]}}"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
PATH=$PATH:/usr/sbin:/sbin # where bpftool is, and not every user looks

if [[ $# -eq 0 ]]; then
        need "${BUILD[@]}"
else
        need "${BUILD[@]}" "${TEST[@]}"
        # libFuzzer and the sanitizers of clang, for tests/fuzz
        version=$(clang -dumpversion)
        need "libclang-rt-${version%%.*}-dev"
fi
need_bpftool
