#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The page of `energat report --format html` in a real browser: it draws, needs no network, is not
# taken over by names of processes, and looks different in light, dark and print.  KEEP=DIR keeps the
# screenshots for people to look at.

# shellcheck source=rig.sh
. "$(dirname "$0")/rig.sh"

SHARES=6   # programs of the recording, each with a series
SERIES=7   # and what no process tells

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [[ -z $browser ]]; then
        skip "the page in a browser" "there is no chromium"
        exit
fi

# browse OPTION...: the page in $RIG/page.html, with a profile of its own and without a network
browse() {
        timeout -k 5 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
                --user-data-dir="$RIG/profile" --host-resolver-rules='MAP * ~NOTFOUND' \
                --force-color-profile=srgb --window-size=1100,1500 "$@" "file://$RIG/page.html" \
                2>>"$RIG/browser.log" </dev/null
}

count() {
        grep -o -- "$1" "$2" | wc -l
}

"$(dirname "$0")/page_recording.py" "$RIG/hostile.energat"
"$ENERGAT_BIN_DIR/energat" report --format html -o "$RIG/page.html" "$RIG/hostile.energat"
check "the page is made" test -s "$RIG/page.html"
check "its data ends at the end of its element, and no earlier" \
        equal "$(count '</script>' "$RIG/page.html")" 2
check "it names no other place" \
        equal "$(grep -Eo '(https?:)?//[a-z][a-z0-9.-]+\.[a-z]+' "$RIG/page.html" | sort -u)" \
        "http://www.w3.org"
check "and may load nothing" grep -q "default-src 'none'" "$RIG/page.html"

browse --dump-dom >"$RIG/dom.html"
# the data and the script stand in it, too: look at what was drawn
tr '\n' ' ' <"$RIG/dom.html" | grep -o '<main .*</main>' >"$RIG/main.html"
check "power is drawn, an area for each program and one for the rest" \
        equal "$(count '<path d="M' "$RIG/main.html")" "$SERIES"
check "sockets are drawn" test "$(count '<rect ' "$RIG/main.html")" -ge 3
check "the table has its rows" equal "$(count '<td class="program">' "$RIG/main.html")" "$SHARES"
check "no name has become an element" \
        equal "$(grep -Eic '<(img|b|i|u|script)[ >]' "$RIG/main.html")" 0
check "names are there as text" grep -q '&lt;img src=x onerror' "$RIG/main.html"
check "and have not run" equal "$(count '<title>taken over' "$RIG/dom.html")" 0

# Pictures: those that the browser cannot take it says so, and they are not there.
browse --screenshot="$RIG/light.png" --blink-settings=preferredColorScheme=1
browse --screenshot="$RIG/dark.png" --blink-settings=preferredColorScheme=0
browse --print-to-pdf="$RIG/print.pdf" --no-pdf-header-footer
check "light and dark are two pictures" \
        test -s "$RIG/light.png" -a -s "$RIG/dark.png" -a \
        "$(cksum <"$RIG/light.png")" != "$(cksum <"$RIG/dark.png")"
check "and it can be printed" grep -aq '^%PDF' "$RIG/print.pdf"
[[ -z ${KEEP:-} ]] || cp "$RIG"/light.png "$RIG"/dark.png "$RIG"/print.pdf "$RIG"/page.html "$KEEP"

# What is not known is a dash, and never 0.
for kind in command machine; do
        "$(dirname "$0")/page_recording.py" "$RIG/unknown.energat" "$kind"
        "$ENERGAT_BIN_DIR/energat" report --format html -o "$RIG/page.html" "$RIG/unknown.energat"
        browse --dump-dom | tr '\n' ' ' | grep -o '<main .*</main>' >"$RIG/main.html"
        check "$kind without energy: the page is drawn" grep -q 'class="tile"' "$RIG/main.html"
        check "$kind without energy: nothing is told as 0" \
                equal "$(grep -oE '>0(<span class="unit">[JW]|.{0,3}[JW]<| %)' "$RIG/main.html")" ""
done
