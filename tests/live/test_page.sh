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

# browse OPTION...: the page $RIG/$PAGE.html, with a profile of its own and without a network
PAGE=page
browse() {
        timeout -k 5 60 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
                --user-data-dir="$RIG/profile" --host-resolver-rules='MAP * ~NOTFOUND' \
                --force-color-profile=srgb --window-size=1100,1500 "$@" "file://$RIG/$PAGE.html" \
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

# What was drawn, into main.html: the data and the script stand in the document, too.
draw() {
        browse --dump-dom >"$RIG/dom.html"
        tr '\n' ' ' <"$RIG/dom.html" | grep -o '<main .*</main>' >"$RIG/main.html"
}

names_are_names() {
        check "no name has become an element" \
                equal "$(grep -Eic '<(img|b|i|u|script)[ >]' "$RIG/main.html")" 0
        check "names are there as text" grep -q '&lt;img src=x onerror' "$RIG/main.html"
        check "and have not run" equal "$(count '<title>taken over' "$RIG/dom.html")" 0
}

draw
check "power is drawn, an area for each program and one for the rest" \
        equal "$(count '<path d="M' "$RIG/main.html")" "$SERIES"
check "sockets are drawn" test "$(count '<rect ' "$RIG/main.html")" -ge 3
check "the table has its rows" equal "$(count '<td class="program">' "$RIG/main.html")" "$SHARES"
names_are_names

# Pictures: those that the browser cannot take it says so, and they are not there.
pictures() {
        browse --screenshot="$RIG/$PAGE-light.png" --blink-settings=preferredColorScheme=1
        browse --screenshot="$RIG/$PAGE-dark.png" --blink-settings=preferredColorScheme=0
        browse --print-to-pdf="$RIG/$PAGE-print.pdf" --no-pdf-header-footer
        check "light and dark are two pictures" \
                test -s "$RIG/$PAGE-light.png" -a -s "$RIG/$PAGE-dark.png" -a \
                "$(cksum <"$RIG/$PAGE-light.png")" != "$(cksum <"$RIG/$PAGE-dark.png")"
        check "and it can be printed" grep -aq '^%PDF' "$RIG/$PAGE-print.pdf"
        [[ -z ${KEEP:-} ]] ||
                cp "$RIG/$PAGE"-{light,dark}.png "$RIG/$PAGE-print.pdf" "$RIG/$PAGE.html" "$KEEP"
}

pictures

PAGE=bench
"$(dirname "$0")/page_recording.py" "$RIG/bench.energat" bench
"$ENERGAT_BIN_DIR/energat" report --format html -o "$RIG/bench.html" "$RIG/bench.energat"
check "the page of repeated runs is made" test -s "$RIG/bench.html"
draw
check "every run that counts is a dot in each of four charts" \
        equal "$(count '<circle ' "$RIG/main.html")" $((4 * 21))
check "the outlier is a hollow one" equal "$(count '<circle [^>]*fill="var(--card)"' "$RIG/main.html")" 4
check "with a confidence interval for both commands" \
        equal "$(count '<rect [^>]*fill-opacity="0.22"' "$RIG/main.html")" 8
check "every run has a row" equal "$(count '<td class="mark">' "$RIG/main.html")" 24
check "and the verdict stands above" grep -Eq 'class="verdict">B takes [0-9.]+ % less energy than A<' "$RIG/main.html"
check "what failed is said" grep -q '1 of 22 runs failed' "$RIG/main.html"
names_are_names
pictures

PAGE=unknown
# What is not known is a dash, and never 0.
for kind in command machine; do
        "$(dirname "$0")/page_recording.py" "$RIG/unknown.energat" "$kind"
        "$ENERGAT_BIN_DIR/energat" report --format html -o "$RIG/$PAGE.html" "$RIG/unknown.energat"
        draw
        check "$kind without energy: the page is drawn" grep -q 'class="tile"' "$RIG/main.html"
        check "$kind without energy: nothing is told as 0" \
                equal "$(grep -oE '>0(<span class="unit">[JW]|.{0,3}[JW]<| %)' "$RIG/main.html")" ""
done
