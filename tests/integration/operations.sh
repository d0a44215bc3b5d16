#!/usr/bin/env bash
# docs/operations.md tells of every metric, of every limit that can be set, with its default,
# and of messages that kvfsd has; and of no others. What it shows is run by documents.sh.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

page=$root/docs/operations.md

# section TITLE: of the page.
section()
{
    awk -v title="## $1" '/^## / { on = $0 == title; next } on' "$page"
}

need_daemon
is 'every metric, and no other' \
    "$(section Metrics | sed -n 's/^| \(`kvfs_[^|]*\)|.*/\1/p' | grep -o 'kvfs_[a-z_]*' | sort)" \
    "$(curl -sS "$url/metrics" | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | sort)"
is 'every metric that it names elsewhere is one' \
    "$(comm -23 <(grep -o 'kvfs_[a-z_]*' "$page" | sort -u) \
        <(curl -sS "$url/metrics" | sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' | sort))" ''
stop_daemon

help=$("$kvfsd" --help)
is 'every option that limits something' \
    "$(section Limits | sed -n 's/^|[^|]*|\([^|]*\)|.*/\1/p' | grep -o -e '--[a-z-]*' | grep -v -- '---' | sort -u)" \
    "$(grep -oE '^  --(max-[a-z-]+|log-(size|events)|cache-size)' <<<"$help" | tr -d ' ' | sort)"
for option in --max-value-size --max-store-size --log-size --log-events --cache-size; do
    default=$(awk -v name="$option" '/^  --/ { on = $1 == name } on' <<<"$help" | paste -sd' ' |
        sed -nE 's/.*\(default ([^)]*)\).*/\1/p')
    like "$option: its default" "$(section Limits | grep -F -- "$option")" "[| ,]${default}[ ,|]"
done
is 'every option that it names is one' \
    "$(comm -23 <(grep -o '`--[a-z-]*' "$page" | tr -d '`' | sort -u) \
        <({ echo "$help"; for c in $("$kv" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\).*/\1/p' | grep -vx help); do
            "$kv" help "$c"; done; } | grep -oE -- '--[a-z-]+' | sort -u))" ''

while IFS= read -r message; do
    ok "kvfsd says '$message'" grep -rqF --include='*.c' -e "$message" "$root/daemon" \
        "$root/fuse" "$root/httpd"
done < <(section 'What the log says' | sed -n 's/^| `\([^`]*\)`.*/\1/p')

# What links lead to is there.
for file in "$root"/README.md "$root"/docs/*.md; do
    while IFS= read -r link; do
        target=${link%%#*} anchor=${link#*#}
        [ "$link" = "$target" ] && anchor=''
        target=${target:+$(dirname "$file")/$target}
        target=${target:-$file}
        if [ ! -e "$target" ]; then
            fail "$(basename "$file"): $link" "there is no $target"
        elif [ -n "$anchor" ] && ! sed -n 's/^##* //p' "$target" | tr 'A-Z ' 'a-z-' |
            tr -cd 'a-z0-9_\n-' | grep -qx -- "$anchor"; then
            fail "$(basename "$file"): $link" 'there is no such heading'
        else
            pass "$(basename "$file"): $link"
        fi
    done < <(grep -oE '\]\([^)]*\)' "$file" | sed 's/^](//; s/)$//' | grep -v '^https\?:' | sort -u)
done
finish
