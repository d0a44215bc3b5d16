#!/usr/bin/env bash
# timeout: 240
# Keys and values at every limit, one below and one above, over HTTP, on the mount and with
# kv (over HTTP and through the mount). What is refused is refused with a reason, and
# loses nothing.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --max-value-size 1M

# text LENGTH [LETTER]
text()
{
    printf '%*s' "$1" '' | tr ' ' "${2:-k}"
}

on_http()
{
    [[ $(put "$1" "$2") == 20[01] ]] && [ "$(get "$1")" = "$2" ]
}

on_mount()
{
    { [[ $1 != */* ]] || mkdir -p "$mnt/${1%/*}"; } &&
        printf '%s' "$2" 2>/dev/null >"$mnt/$1" && [ "$(cat "$mnt/$1")" = "$2" ]
}

on_kv()
{
    "$kv" --url "$url" put "$1" "$2" && [ "$("$kv" --url "$url" get "$1")" = "$2" ]
}

on_kv_mount()
{
    "$kv" --mount "$mnt" put "$1" "$2" && [ "$("$kv" --mount "$mnt" get "$1")" = "$2" ]
}

accepts()
{
    local way
    for way in on_http on_mount on_kv on_kv_mount; do
        ok "$1 (${way#on_})" "$way" "$2" "by $way"
    done
    delete "${2%%/*}" recursive=1 >/dev/null
}

# refuses NAME KEY RULE: the rule in the words of HTTP's message and of kv's.
refuses()
{
    local key=$2
    is "$1: refused (http)" "$(put "$key" x)" 400
    is "$1: the code" "$(error_code)" invalid_key
    like "$1: the message names the rule" "$(jq -r .error.message "$work/body")" "$3"
    fails "$1: refused (kv)" "$3" "$kv" --url "$url" put "$key" x
    fails "$1: refused (kv mount)" . "$kv" --mount "$mnt" put "$key" x
}

too_long_on_mount()
{
    fails "$1: refused (mount)" 'File name too long' on_mount_loudly "$2"
}

on_mount_loudly()
{
    { [[ $1 != */* ]] || mkdir -p "$mnt/${1%/*}"; } && cp /dev/null "$mnt/$1"
}

# -- Keys --

accepts 'a key of 1 byte' k
half=$(text 249 a)
accepts 'a key of 499 bytes' "$half/$(text 249)"
accepts 'a key of 500 bytes' "$half/$(text 250)"
refuses 'a key of 501 bytes' "$half/$(text 251)" '500 bytes'
too_long_on_mount 'a key of 501 bytes' "$half/$(text 251)"
accepts 'a component of 254 bytes' "$(text 254)"
accepts 'a component of 255 bytes' "$(text 255)"
refuses 'a component of 256 bytes' "$(text 256)" '255 bytes'
too_long_on_mount 'a component of 256 bytes' "$(text 256)"
deep=$(text 250 /)
deep=a${deep//\//\/a}
accepts 'a key of 250 components' "${deep:0:499}"
refuses 'a key of 251 components' "${deep:0:501}" '500 bytes'
too_long_on_mount 'a key of 251 components' "${deep:0:501}"

# A directory at the limit is fine, a key in it is too long.
mkdir "$mnt/$half"
ok 'a directory of 500 bytes' mkdir "$mnt/$half/$(text 250)"
fails 'a key below it' 'File name too long' touch "$mnt/$half/$(text 250)/k"
fails 'a rename to a key that is too long' 'File name too long' \
    mv "$mnt/$half" "$mnt/$(text 256)"
mkdir -p "$mnt/dir/$(text 200 b)"
echo deep >"$mnt/dir/$(text 200 b)/$(text 200 c)"
fails 'a rename of a directory that would make a key in it too long' 'File name too long' \
    mv "$mnt/dir" "$mnt/$half/dir-$(text 100)"
is '... leaves everything where it was' "$(cat "$mnt/dir/$(text 200 b)/$(text 200 c)")" deep
is 'the same over HTTP' "$(rename_key dir "$half/dir-$(text 100)")" 400
rm -r "${mnt:?}/$half"

# -- The grammar: what no key may be (the mount's kernel resolves these itself) --

before=$(revision)
refuses 'an empty component' 'a//b' 'empty'
refuses 'a component .' 'a/./b' '\.'
refuses 'a component ..' 'a/../b' '\.\.'
refuses 'the control directory' '.kv' '\.kv|reserved'
refuses 'a key below it' '.kv/x' '\.kv|reserved'
for key in '' '/a' 'a/' 'a%00b'; do
    like "the key '$key' is refused over HTTP" "$(put "$key" x) $(error_code)" \
        '^(400 invalid_key|40[045] )'
done
fails 'writing below the control directory' 'denied|Read-only|not permitted' \
    touch "$mnt/.kv/x"
is 'none of these changed anything' "$(revision)" "$before"

on_http 'caf%C3%A9/%E2%9C%93' utf8
is 'UTF-8 names are the same everywhere' "$(cat "$mnt/café/✓")" utf8
on_http 'a%20b%3Fc%23d%25' odd
is 'so are blanks and characters that URLs reserve' "$(cat "$mnt/a b?c#d%")" odd

# -- Values --

head -c 2M /dev/urandom >"$work/random"

# value_file SIZE
value_file()
{
    head -c "$1" "$work/random" >"$work/value"
}

kv_put_file()
{
    "$kv" "$1" "$2" put value <"$work/value"
}

same_everywhere()
{
    curl -sS --fail "$url/v1/keys/value" | cmp - "$work/value" &&
        cmp "$mnt/value" "$work/value" &&
        "$kv" --url "$url" get value | cmp - "$work/value" &&
        [ "$(stat -c %s "$mnt/value")" = "$(stat -c %s "$work/value")" ]
}

M=$((1024 * 1024))
for size in 0 1 4095 4096 4097 131071 131072 131073 $((M - 1)) "$M"; do
    value_file "$size"
    like "PUT of $size bytes" "$(put_file value "$work/value")" '20[01]'
    ok "... read back everywhere" same_everywhere
    ok "cp of $size bytes" cp "$work/value" "$mnt/value"
    ok "... read back everywhere" same_everywhere
    ok "kv put of $size bytes" kv_put_file --url "$url"
    ok "... read back everywhere" same_everywhere
done
ok "kv put of $M bytes through the mount" kv_put_file --mount "$mnt"
ok "... read back everywhere" same_everywhere

before=$(revision)
head -c $((M + 1)) "$work/random" >"$work/large"
is 'PUT of one byte too many' "$(put_file value "$work/large")" 413
is '... says too_large' "$(error_code)" too_large
is 'the same without a Content-Length' \
    "$(http PUT /v1/keys/value -T "$work/large" -H 'Transfer-Encoding: chunked')" 413
is 'a PUT far beyond the limit' \
    "$(head -c 8M /dev/zero | http PUT /v1/keys/value -T - -H 'Expect:' 2>/dev/null)" 413
fails 'cp of one byte too many' 'File too large' cp "$work/large" "$mnt/value"
fails 'cp to a new key' 'File too large' cp "$work/large" "$mnt/other"
cp "$work/value" "$work/kept"
cp "$work/large" "$work/value"
fails 'kv put of one byte too many' 'large' kv_put_file --url "$url"
fails '... through the mount' 'large' kv_put_file --mount "$mnt"
cp "$work/kept" "$work/value"
is 'POST append beyond the limit' \
    "$(printf x | http POST '/v1/keys/value?op=append' --data-binary @-)" 413
fails '>> beyond the limit' 'File too large' \
    bash -c 'printf x | dd of="$1" oflag=append conv=notrunc status=none' - "$mnt/value"
fails 'truncate beyond the limit' 'File too large' truncate -s $((M + 1)) "$mnt/value"
fails 'a write far behind the end' 'File too large' \
    dd if=/dev/zero of="$mnt/value" bs=1 count=1 seek=$((1 << 40)) conv=notrunc status=none
ok 'after all this the value is as it was' same_everywhere
# cp makes the name before it writes; a key that never got a value is empty or absent.
[ ! -s "$mnt/other" ]
is 'no part of a refused value was stored' $? 0
rm -f "$mnt/other"
is 'the daemon is healthy' "$(http GET /healthz)" 200
value_file $((M - 1))
put_file value "$work/value" >/dev/null
ok 'an append up to the limit' bash -c 'printf x >>"$1"' - "$mnt/value"
is '... gives a value of the limit' "$(stat -c %s "$mnt/value")" "$M"
# One thread closes a duplicate, which publishes; meanwhile another one is refused a write
# and closes a duplicate, which throws away what must not be published.
refused_meanwhile()
{
    python3 - "$1" "$(quick_or 100 300)" <<'END'
import os, sys, threading

def quietly(call, *args):
    try:
        call(*args)
    except OSError:
        pass

def refused(fd, duplicate):
    quietly(os.pwrite, fd, b'y', 1 << 40)
    quietly(os.close, duplicate)

for _ in range(int(sys.argv[2])):
    fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    first, second = os.dup(fd), os.dup(fd)
    os.write(fd, b'x' * 1000)
    threads = [threading.Thread(target=quietly, args=(os.close, first)),
               threading.Thread(target=refused, args=(fd, second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    quietly(os.close, fd)
END
}
ok 'a write that is refused while another thread publishes' refused_meanwhile "$mnt/shared"
is '... leaves the daemon alive' "$(http GET /healthz)" 200

stop_daemon

# -- The default limit: 64 MiB --

need_daemon
M=$((64 * 1024 * 1024))
truncate -s "$M" "$work/value"
is 'PUT of 64 MiB' "$(put_file value "$work/value")" 200
is '... has that size on the mount' "$(stat -c %s "$mnt/value")" "$M"
ok '... and those bytes' cmp "$mnt/value" "$work/value"
ok 'cp of 64 MiB' cp "$work/value" "$mnt/copy"
ok '... gives those bytes over HTTP' cmp <(get copy) "$work/value"
truncate -s $((M + 1)) "$work/value"
is 'PUT of 64 MiB and one byte' "$(put_file value "$work/value")" 413
fails 'cp of it' 'File too large' cp "$work/value" "$mnt/copy2"

stop_daemon
finish
