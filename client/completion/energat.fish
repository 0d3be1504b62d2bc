# SPDX-License-Identifier: MIT
# Completion of energat for fish.  Verbs and options are those that its own help tells, so that this
# file is never behind it.

function __energat_verbs
    energat --help 2>/dev/null | sed -n '/^commands:/,/^$/p' |
        string replace -rf '^  ([a-z]+) +([a-z].*)$' '$1\t$2'
end

# The verb on the line, or nothing and status 1.
function __energat_verb
    set -l verbs (__energat_verbs | string replace -r '\t.*' '')
    for word in (commandline -opc)[2..-1]
        switch $word
            case --
                return 1
            case --check --basepower --pid
                string replace -- -- '' $word
                return 0
            case '*'
                if contains -- $word $verbs
                    echo $word
                    return 0
                end
        end
    end
    return 1
end

function __energat_options
    energat help (__energat_verb) 2>/dev/null |
        string replace -rf '^  (?:-[a-z], )?(--[a-z-]+)(?: [^ ]+)? +(.*)$' '$1\t$2'
end

function __energat_formats
    energat help (__energat_verb) 2>/dev/null |
        string replace -rf '^  --format ([a-z0-9|]+) .*$' '$1' | string split '|'
end

function __energat_before
    contains -- (commandline -opc)[-1] $argv
end

function __energat_is_command
    contains -- -- (commandline -opc)
end

complete -c energat -f
complete -c energat -n 'not __energat_is_command; and not __energat_verb >/dev/null' \
    -a '(__energat_verbs)'
complete -c energat -n 'not __energat_is_command; and not __energat_verb >/dev/null' \
    -a '--check --basepower --pid --help --version'
complete -c energat -n '__energat_verb >/dev/null; and not __energat_is_command' \
    -a '(__energat_options)'
complete -c energat -n '__energat_before --format' -a '(__energat_formats)'
complete -c energat -n '__energat_before --model' -a 'energat additive'
complete -c energat -n '__energat_before --sort' -a 'power energy cpu pid user name'
complete -c energat -n '__energat_before --group' -a 'process user unit target'
complete -c energat -n '__energat_before --user -u' -a '(__fish_complete_users)'
complete -c energat -n '__energat_before --pid pid' -a '(__fish_complete_pids)'
complete -c energat -n '__energat_before --output -o --socket --raw report export' -F
complete -c energat -n __energat_is_command -a '(__fish_complete_subcommand --fcs-skip=2)'
