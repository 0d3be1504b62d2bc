#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the client tells about itself: help that fits a screen, suggestions for misspelt words, man
# pages that know every verb, option and key, settings from every place, and completion in real
# shells.  No daemon is needed.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
MAN=$SOURCE/docs/man
COMPLETION=$SOURCE/client/completion
ENERGAT=$ENERGAT_BIN_DIR/energat
TMUX_SERVER=energat-shells-$$
WAIT_S=20

# energat STATUS ARGUMENT...: in $RIG, without settings of whoever runs the tests
energat() {
        local expected=$1
        shift
        (cd "$RIG/here" && timeout -k 5 15 env "HOME=$RIG/home" XDG_CONFIG_HOME= "$ENERGAT" "$@" \
                >"$RIG/out" 2>"$RIG/err" </dev/null)
        equal "$?" "$expected" && return 0
        note "stderr:" "$(cat "$RIG/err")"
        return 1
}

prints() {
        matches "$(cat "$RIG/out")" "$1"
}

says() {
        matches "$(cat "$RIG/err")" "$1"
}

verbs() {
        "$ENERGAT" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

options_of() {
        "$ENERGAT" help "$1" | sed -nE 's/^  (-[a-z], )?(--[a-z-]+).*/\2/p'
}

test_help() {
        local verb lacking=()
        check "energat --help" energat 0 --help
        check "fits a screen of 80 columns" at_most "$(wc -L <"$RIG/out")" 80
        check "and 24 lines, with one for the prompt" at_most "$(wc -l <"$RIG/out")" 23
        for verb in 'run -- CMD' top check; do
                check "it shows 'energat $verb'" prints "^  energat $verb"
        done
        for verb in $(verbs); do
                energat 0 "$verb" --help || lacking+=("$verb --help")
                cp "$RIG/out" "$RIG/first"
                energat 0 help "$verb" || lacking+=("help $verb")
                cmp -s "$RIG/first" "$RIG/out" || lacking+=("the same for help $verb")
                grep -q '^usage: energat' "$RIG/out" || lacking+=("usage of $verb")
                [[ $verb == version ]] || grep -q '^example:' "$RIG/out" ||
                        lacking+=("an example of $verb")
                [[ $(wc -L <"$RIG/out") -le 100 ]] || lacking+=("$verb within 100 columns")
        done
        check "each verb has its own help, with an example" equal "${lacking[*]}" ""
}

test_suggestions() {
        check "a misspelt verb: status 2" energat 2 stauts
        check "and the near one is suggested" says "unknown command 'stauts'; did you mean 'status'\?"
        check "a misspelt option: status 2" energat 2 run --intervall 2 -- true
        check "and the near one is suggested" says "did you mean '--interval'\?"
        check "one of another command is not suggested" energat 2 run --onlin -- true
        check "for it has no meaning there" equal "$(grep -c 'online' "$RIG/err")" 0
        check "nothing is suggested for what is far" energat 2 frobnicate
        check "but where to look" says "'energat --help' says more"
        check "an unknown format" energat 2 status --format yaml
        check "lists the known ones" says "'yaml' is no format of 'status'; there are: text json"
}

test_settings() {
        check "the defaults are valid settings" energat 0 config --default
        cp "$RIG/out" "$RIG/here/.energat.ini"
        check "and can be read again" energat 0 config --default --format json
        check "without a warning" test ! -s "$RIG/err"
        printf '[post-processing]\npue = 1.5\n' >"$RIG/here/.energat.ini"
        mkdir -p "$RIG/home/.config"
        printf '[post-processing]\npue = 1.4\nprice_unit = CHF\n' >"$RIG/home/.config/energat.ini"
        check "energat config" energat 0 --socket "$RIG/none.sock" config --format json
        check "a project's file goes before the user's" equal "$(setting pue .value)" 1.5
        check "and it is said where it came from" equal "$(setting pue .place)" .energat.ini:2
        check "the user's counts where the project's is silent" equal "$(setting price_unit .value)" CHF
        check "the environment goes before both" env_config ENERGAT_PUE=1.6
        check "with its value" equal "$(setting pue .value)" 1.6
        check "and its name" equal "$(setting pue .place)" ENERGAT_PUE
        check "an option before all" env_config ENERGAT_PUE=1.6 --pue 1.7
        check "with its value" equal "$(setting pue .value)" 1.7
        printf '[post-processing]\n\npue = 0.5\n' >"$RIG/here/.energat.ini"
        check "a bad value: status 2" energat 2 status
        check "with file, line and key" says '^energat: \.energat\.ini:3: pue: '
        check "--help works all the same" energat 0 --help
        check "and --version" energat 0 --version
        printf '[top]\ndealy = 3\n' >"$RIG/here/.energat.ini"
        check "an unknown key is no error" energat 0 --socket "$RIG/none.sock" config
        check "but a warning with the near one" says "\.energat\.ini:2: top\.dealy: unknown key, ignored; did you mean 'delay'\?"
        rm "$RIG/here/.energat.ini" "$RIG/home/.config/energat.ini"
}

# stranger ARGUMENT...: root's rights are given away, HOME is still root's
stranger() {
        local status
        (cd "$RIG/secret" && timeout -k 5 15 setpriv --reuid 65534 --regid 65534 --clear-groups \
                env "HOME=$RIG/secret" XDG_CONFIG_HOME= "$RIG/bin/energat" \
                --socket "$RIG/none.sock" "$@" >"$RIG/out" 2>"$RIG/err" </dev/null)
        status=$?
        note "$(cat "$RIG/err")"
        return "$status"
}

# What setpriv, su and containers leave behind.
test_unreachable_settings() {
        if ! rig_is_root; then
                skip "settings in a home that cannot be searched" "only root can become somebody else"
                return
        fi
        mkdir -p "$RIG/secret/.config"
        printf '[post-processing]\npue = 1.4\n' >"$RIG/secret/.config/energat.ini"
        printf '[post-processing]\npue = 1.5\n' >"$RIG/secret/.energat.ini"
        chmod 0700 "$RIG/secret"
        rig_copy_programs
        check "a home and a directory that cannot be searched are no error" \
                stranger config --format json
        check "they hold no settings" equal "$(setting pue .value)" 1
        chmod 0755 "$RIG/secret"
        chmod 0600 "$RIG/secret/.config/energat.ini"
        stranger config --format json
        check "a file of one's own that may not be read is one" equal "$?" 2
        check "and is named" says '^energat: .*/secret/\.config/energat\.ini: cannot be read: Permission'
}

setting() {
        json "$RIG/out" ".settings[] | select(.key == \"$1\") | $2"
}

# env_config NAME=VALUE [OPTION...]
env_config() {
        local variable=$1
        shift
        (
                export "${variable?}"
                energat 0 --socket "$RIG/none.sock" config --format json "$@"
        )
}

# --- man pages ------------------------------------------------------------------------------------

page() {
        MANWIDTH=200 man --local-file "$MAN/$1" | col -bx
}

test_man_pages() {
        local verb option key file lacking=() text
        if ! command -v man >/dev/null || ! command -v mandoc >/dev/null; then
                skip "man pages" "man or mandoc is not installed"
                return
        fi
        for file in energat.1 energatd.8 energatd.conf.5; do
                check "$file: mandoc finds nothing" equal "$(mandoc -T lint -W warning "$MAN/$file" 2>&1)" ""
                check "$file: groff finds nothing" equal \
                        "$(LC_ALL=C.UTF-8 man --warnings=w --local-file "$MAN/$file" 2>&1 >/dev/null)" ""
        done
        text=$(page energat.1)
        for verb in $(verbs); do
                grep -Eq "^ +$verb( |$)" <<<"$text" || lacking+=("$verb")
                for option in $(options_of "$verb"); do
                        grep -Eq "^ +(-[a-z], )?$option( |$)" <<<"$text" || lacking+=("$option")
                done
        done
        for key in $("$ENERGAT" config --default | sed -nE 's/^#?([a-z_]+) =.*/\1/p'); do
                grep -Eq "^ +\[[a-z-]+\] .*\b$key\b" <<<"$text" || lacking+=("key $key")
        done
        check "energat.1 has every verb, option and key" equal "${lacking[*]}" ""
        lacking=()
        text=$(page energatd.8)
        for option in $("$ENERGAT_BIN_DIR/energatd" --help 2>&1 | grep -oE -- '--[a-z-]+' | sort -u); do
                grep -Eq "^ +$option( |$)" <<<"$text" || lacking+=("$option")
        done
        check "energatd.8 has every option" equal "${lacking[*]}" ""
        lacking=()
        text=$(page energatd.conf.5)
        while read -r key; do
                grep -Fq " $key" <<<"$text" || lacking+=("$key")
        done < <(sed -nE 's/^#([a-z_]+ = .*)/\1/p' "$SOURCE/configs/energatd.conf")
        check "energatd.conf.5 has every key, with its default" equal "${lacking[*]}" ""
        text=$(page energat.1)
        for key in 0 1 2 3 126 127; do
                grep -Eq "^ +$key +[a-z]" <<<"$text" || lacking+=("$key")
        done
        check "energat.1 has the exit statuses" equal "${lacking[*]}" ""
}

# --- completion -----------------------------------------------------------------------------------

tmux_do() {
        tmux -L "$TMUX_SERVER" -f /dev/null "$@"
}

screen_matches() {
        tmux_do capture-pane -p | grep -E -- "$1" >/dev/null
}

shows() {
        wait_for "$WAIT_S" screen_matches "$1" && return 0
        note "no line matches '$1' on the screen:" "$(tmux_do capture-pane -p)"
        return 1
}

# completes TEXT REGEX: Tab behind TEXT makes the line match
completes() {
        tmux_do send-keys C-u
        tmux_do send-keys -l "$1"
        sleep 0.3 # what is typed and Tab are two things, as for a person
        tmux_do send-keys Tab
        shows "$2"
}

# in_shell NAME 'COMMAND' 'SETUP'
in_shell() {
        local shell=$1
        tmux_do new-session -d -x 120 -y 40 \
                "cd $RIG/here && env PATH=$ENERGAT_BIN_DIR:$PATH HOME=$RIG/home LC_ALL=C.UTF-8 PS1='> ' $2"
        tmux_do send-keys -l "$3"
        tmux_do send-keys Enter
        tmux_do send-keys -l "echo is-42-ready"
        tmux_do send-keys Enter
        if ! shows '^is-42-ready'; then
                fail "$shell starts"
                tmux_do kill-server
                return
        fi
        tmux_do send-keys C-l
        check "$shell: a verb" completes 'energat stat' 'energat status$'
        check "$shell: an option of that verb" completes 'energat run --no-w' 'energat run --no-wait'
        check "$shell: a choice" completes 'energat top --group un' 'energat top --group unit'
        check "$shell: a format" completes 'energat status --format js' 'energat status --format json'
        check "$shell: EnergAt's flags" completes 'energat --basep' 'energat --basepower'
        check "$shell: a command behind --" completes 'energat run -- basenam' 'energat run -- basename'
        tmux_do kill-server
        sleep 0.2
}

test_completion() {
        local shell
        for shell in bash zsh fish; do
                if ! command -v tmux >/dev/null || ! command -v "$shell" >/dev/null; then
                        skip "completion in $shell" "tmux or $shell is not installed"
                        continue
                fi
                case $shell in
                bash) in_shell bash "bash --norc" "source $COMPLETION/energat.bash" ;;
                zsh)
                        in_shell zsh "zsh -f" \
                                "fpath=($COMPLETION \$fpath); autoload -U compinit; compinit -u -D; bindkey -e"
                        ;;
                fish) in_shell fish "fish --no-config" "source $COMPLETION/energat.fish" ;;
                esac
        done
}

mkdir "$RIG/home" "$RIG/here"
test_help
test_suggestions
test_settings
test_unreachable_settings
test_man_pages
test_completion
