#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# lint.sh [--build-dir DIR] [--list] [TOOL...]: reads the sources with clang-format, clang-tidy,
# cppcheck and shellcheck, or with the tools named.  DIR (build) has to be built: clang-tidy needs
# its compile_commands.json and the headers that are generated there.
#
# Format, checks and false alarms of the first three change with their versions: the sources are kept
# with those of Debian 12, and others are not asked.
#
# Exit status: 0 all is well, 1 something was found, 77 the only tool asked for cannot be used here,
# and it was said why.

set -uo pipefail

cd "$(dirname "$0")/.." || exit 1

TOOLS=(clang-format clang-tidy cppcheck shellcheck)
LLVM=14
CPPCHECK=2.10
SKIPPED=77
build=build

fail() {
        printf 'lint.sh: %s\n' "$1" >&2
        exit 1
}

sources() {
        find "$@" -name '*.[ch]' | sort
}

# program_of NAME VERSION: where it is; NAME-VERSION goes before NAME
program_of() {
        local version
        if command -v "$1-$2"; then
                return 0
        fi
        version=$("$1" --version) || fail "$1 is missing: run 'sudo scripts/install-deps.sh --test'"
        if [[ $version =~ \ ${2//./\\.}(\.|$'\n'|$) ]]; then
                command -v "$1"
                return 0
        fi
        printf '%s %s is needed, this is: %s\n' "$1" "$2" "$(head -n 1 <<<"$version")" >&2
        return "$SKIPPED"
}

lint_clang_format() {
        local program
        program=$(program_of clang-format "$LLVM") || return
        sources bpf client daemon tests | xargs "$program" --dry-run --Werror
}

# The programs that ship.  The probe is no C program for the host: clang's own warnings watch it.
lint_clang_tidy() {
        local program
        program=$(program_of clang-tidy "$LLVM") || return
        [[ -e $build/compile_commands.json ]] || fail "$build is not built: cmake --preset release"
        find client daemon -name '*.c' | sort |
                xargs -P "$(nproc)" -n 1 "$program" --quiet -p "$build" 2> >(
                        # all that it hides in the system's headers
                        grep -Ev '^[0-9]+ warnings? generated\.$' >&2
                )
}

# Macros that look like statements are taken from the libraries' headers.  Not BPF, whose macros make
# functions; nor tests/fuzz: that FUZZ_CHECK() does not return is not understood.
lint_cppcheck() {
        local program
        program=$(program_of cppcheck "$CPPCHECK") || return
        find client daemon tests -name '*.c' -not -name '*.bpf.c' -not -path 'tests/fuzz/*' | sort |
                "$program" --quiet --enable=warning,performance,portability --inline-suppr \
                        --error-exitcode=1 --std=c11 -j "$(nproc)" \
                        -D_GNU_SOURCE -DENERGAT_VERSION='""' -Ibpf -Iclient -Idaemon \
                        --include=/usr/include/jansson.h --include=/usr/include/bpf/libbpf.h \
                        --file-list=-
}

scripts() {
        local file line
        while IFS= read -r file; do
                IFS= read -r line <"$file" || continue
                if [[ $file == *.sh || $line == '#!'*sh ]]; then
                        printf '%s\n' "$file"
                fi
        done < <(find .ci scripts tests -type f | sort)
}

# SC2119: a function may have arguments that can be left out.
lint_shellcheck() {
        scripts | xargs shellcheck --external-sources --source-path=SCRIPTDIR --exclude=SC2119
}

lint() {
        case $1 in
        clang-format) lint_clang_format ;;
        clang-tidy) lint_clang_tidy ;;
        cppcheck) lint_cppcheck ;;
        shellcheck) lint_shellcheck ;;
        esac
}

chosen=()
while [[ $# -gt 0 ]]; do
        case $1 in
        --build-dir)
                build=${2:-}
                shift
                ;;
        --list)
                printf '%s\n' "${TOOLS[@]}"
                exit 0
                ;;
        clang-format | clang-tidy | cppcheck | shellcheck) chosen+=("$1") ;;
        *)
                printf 'usage: %s [--build-dir DIR] [--list] [TOOL...]\n' "$0" >&2
                exit 2
                ;;
        esac
        shift
done
[[ ${#chosen[@]} -gt 0 ]] || chosen=("${TOOLS[@]}")

worst=0
for tool in "${chosen[@]}"; do
        (lint "$tool")
        status=$?
        if [[ $status -eq $SKIPPED && ${#chosen[@]} -eq 1 ]]; then
                exit "$SKIPPED"
        elif [[ $status -eq $SKIPPED ]]; then
                printf 'skipped: %s\n' "$tool"
        elif [[ $status -eq 0 ]]; then
                printf 'passed: %s\n' "$tool"
        else
                printf 'failed: %s\n' "$tool"
                worst=1
        fi
done
exit "$worst"
