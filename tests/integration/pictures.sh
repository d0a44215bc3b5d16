#!/usr/bin/env bash
# The pictures are what docs/pictures/draw draws, can be read in light and dark, and all that
# is in them is to be seen. That the tour shows what is printed is for documents.sh.
# shellcheck disable=SC2154 # $work and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

pictures=$root/docs/pictures
ok 'they can be drawn' "$pictures/draw" "$work"
for name in architecture tour; do
    ok "$name.svg is what is drawn" cmp "$work/$name.svg" "$pictures/$name.svg"
    ok "$name.svg is an SVG" rsvg-convert -o "$work/$name.png" "$pictures/$name.svg"
done

# Colours: those of dark are others, for the same classes.
styles()
{
    sed -n '/<style>/,/<\/style>/p' "$pictures/architecture.svg"
}
like 'the architecture has colours for dark pages' "$(styles)" 'prefers-color-scheme: dark'
is '... for all that has colours' \
    "$(styles | sed '/@media/,$d' | grep -E 'fill: #|stroke: #' | cut -d' ' -f1)" \
    "$(styles | sed '1,/@media/d' | grep -E 'fill: #|stroke: #' | cut -d' ' -f1)"
is 'what is shown of the tour is all of it' \
    "$(grep -c 'class="line"' "$pictures/tour.svg")" \
    "$(sed -n '/^```console/,/^```$/{/^```/d;/^\^C$/d;p}' "$pictures/tour.md" | wc -l)"
finish
