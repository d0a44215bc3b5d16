#!/usr/bin/env bash
# timeout: 600
# Readers beside a writer: every value that anybody gets is whole, and nobody who reads after
# a close or after PUT's answer gets an older one. See tests/lib/whole.c.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
rounds=$(quick_or 500 10000)

# Output as diagnostics on success, too: how often the readers looked says what the
# test is worth.
overwrites()
{
    local output
    output=$("$testlib/whole" "$mnt/whole" "$url" whole "$1" "$rounds" "$2" 2>&1)
    local result=$?
    note "$output"
    return "$result"
}

ok "$rounds overwrites by echo, 1 byte to 300 KiB: no reader saw an empty, mixed or older value" \
    overwrites mount 1
first=$((rounds + 1))
ok "$rounds overwrites by PUT: no reader saw an empty, mixed or older value" \
    overwrites http "$first"
is 'each overwrite was one version' "$(version whole)" $((2 * rounds))

# The shell's own echo and cat, in turn with HTTP.
rounds=$(quick_or 50 500) wrong=''
for ((i = 1; i <= rounds; i++)); do
    echo "echo $i" >"$mnt/turn"
    [ "$(get turn)" = "echo $i" ] || wrong+=" GET after echo $i;"
    put turn "put $i" >/dev/null
    [ "$(cat "$mnt/turn")" = "put $i" ] || wrong+=" cat after put $i;"
    [ "$(stat -c %s "$mnt/turn")" = "$((4 + ${#i}))" ] || wrong+=" stat after put $i;"
    "$kv" --url "$url" put turn "kv $i" >/dev/null 2>&1
    [ "$(<"$mnt/turn")" = "kv $i" ] || wrong+=" read after kv put $i;"
done
is 'echo, PUT and kv put in turn: each is seen everywhere at once' "$wrong" ''

# New and deleted names, too.
wrong=''
for ((i = 1; i <= rounds; i++)); do
    put "names/n$i" "$i" >/dev/null
    [ -e "$mnt/names/n$i" ] || wrong+=" n$i is not there after PUT;"
    delete "names/n$i" >/dev/null
    [ -e "$mnt/names/n$i" ] && wrong+=" n$i is there after DELETE;"
    : >"$mnt/names/m$i"
    [ "$(get "names/m$i" 2>&1)" = '' ] || wrong+=" m$i is not there after close;"
    rm "$mnt/names/m$i"
    [ "$(http GET "/v1/keys/names/m$i")" = 404 ] || wrong+=" m$i is there after rm;"
done
is 'names come and go everywhere at once' "$wrong" ''
is '... and the listing is empty' "$(ls -A "$mnt/names")" ''

stop_daemon
finish
