# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of energat for bash.  Verbs and options are those that its own help tells, so that this
# file is never behind it.

_energat_verbs() {
        "$1" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_energat_options() {
        "$1" help "$2" 2>/dev/null | sed -nE 's/^  (-[a-z], )?(--[a-z-]+).*/\2/p'
}

# The choices of an option that its help tells as "text|json".
_energat_choices() {
        "$1" help "$2" 2>/dev/null | sed -nE "s/^  (-[a-z], )?$3 ([a-z0-9]+(\|[a-z0-9]+)+) .*/\2/p" |
                tr '|' '\n'
}

_energat_reply() {
        mapfile -t COMPREPLY < <(compgen "$@")
}

_energat() {
        local program=${COMP_WORDS[0]/#\~/$HOME} current=${COMP_WORDS[COMP_CWORD]}
        local before=${COMP_WORDS[COMP_CWORD - 1]} verb='' verbs i
        verbs=$(_energat_verbs "$program")
        COMPREPLY=()
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --)
                        if declare -F _command_offset >/dev/null; then
                                _command_offset $((i + 1))
                        elif [[ $((i + 1)) -eq $COMP_CWORD ]]; then
                                _energat_reply -c -- "$current"
                        else
                                _energat_reply -f -- "$current"
                        fi
                        return
                        ;;
                --check | --basepower | --pid) verb=${verb:-${COMP_WORDS[i]#--}} ;;
                *)
                        if [[ -z $verb && $'\n'$verbs$'\n' == *$'\n'"${COMP_WORDS[i]}"$'\n'* ]]; then
                                verb=${COMP_WORDS[i]}
                        fi
                        ;;
                esac
        done
        case $before in
        --format) _energat_reply -W "$(_energat_choices "$program" "$verb" --format)" -- "$current" ;;
        --model) _energat_reply -W 'energat additive' -- "$current" ;;
        --sort) _energat_reply -W 'power energy cpu pid user name' -- "$current" ;;
        --group) _energat_reply -W 'process user unit target' -- "$current" ;;
        --user | -u) _energat_reply -u -- "$current" ;;
        --pid | pid) _energat_reply -W "$(cd /proc && echo [0-9]*)" -- "$current" ;;
        --output | -o | --socket | --raw) _energat_reply -f -- "$current" ;;
        --compare) _energat_reply -c -- "$current" ;;
        help) _energat_reply -W "$verbs" -- "$current" ;;
        *)
                if [[ -z $verb ]]; then
                        _energat_reply -W "$verbs help --check --basepower --pid --help --version" \
                                -- "$current"
                elif [[ $current == -* ]]; then
                        _energat_reply -W "$(_energat_options "$program" "$verb") --help" -- "$current"
                else
                        _energat_reply -f -- "$current"
                fi
                ;;
        esac
}

complete -o filenames -F _energat energat
