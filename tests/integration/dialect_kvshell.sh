#!/usr/bin/env bash
# /get, /add and /get_all of KV Store with a shell, byte for byte.
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/dialects.sh"

need_daemon
t='text/plain; charset=utf-8' j=application/json

is 'all of nothing' "$(answer GET /get_all)" "200 $j {}"
is 'add' "$(answer POST '/add?key=colour&value=red')" \
    "200 $t Successfully added Value - red for Key - colour"
is 'get' "$(answer GET '/get?key=colour')" "200 $t red"
is '... it is a file' "$(cat "$mnt/colour")" red
printf 'blue\n' >"$mnt/colour"
is '... and the file is the value' "$(answer GET '/get?key=colour')" "200 $t blue\\n"
is 'add over it' "$(answer POST '/add?key=colour&value=a+b%2Bc')" \
    "200 $t Successfully added Value - a b+c for Key - colour"
is 'an empty value' "$(: >"$mnt/empty" && answer GET '/get?key=empty')" "200 $t "

# -- What is wrong --

is 'get of an absent key' "$(answer GET '/get?key=none')" \
    "200 $t Error: Provided key doesn't exists in the store."
is 'get of an empty key' "$(answer GET '/get?key=')" "200 $t Error: Empty KEY provided."
is 'get without a key' "$(answer GET /get)" "200 $t Error: No KEY provided."
for query in key= 'key=&value=' 'key=k&value=' 'key=&value=v'; do
    want='Incomplete Input'
    [[ $query == *value* ]] || want='Improper input'
    is "add with $query" "$(answer POST "/add?$query")" "200 $t Error: $want."
done
is 'add without either' "$(answer POST /add)" "200 $t Error: Improper input."
is 'add without a key' "$(answer POST '/add?value=v')" "200 $t Error: Improper input."
is 'get of no key: 400' "$(answer GET '/get?key=a//b')" \
    "400 $t Error: a key has no empty component ('//')."
is 'add of no key: 400' "$(answer POST '/add?key=a//b&value=1')" \
    "400 $t Error: a key has no empty component ('//')."
mkdir "$mnt/dir"
is 'get of a directory' "$(answer GET '/get?key=dir')" \
    "200 $t Error: Provided key doesn't exists in the store."
is 'add onto a directory: 400' "$(answer POST '/add?key=dir&value=1')" \
    "400 $t Error: the key is a directory."

# -- Bytes --

printf '\377\000z' | put_file bytes - >/dev/null
http GET '/get?key=bytes' >/dev/null
is 'a value goes out as it is' "$(xxd -p "$work/body")" ff007a
put page '<script>1</script>' >/dev/null
http GET '/get?key=page' >/dev/null
is 'a page is not run: no browser guesses its type' "$(header x-content-type-options)" nosniff
head -c 3000000 /dev/urandom >"$work/large"
put_file large "$work/large" >/dev/null
http GET '/get?key=large' >/dev/null
ok 'a large value' cmp "$work/body" "$work/large"

# -- All --

delete large >/dev/null
delete page >/dev/null
is 'all, sorted, as ASCII' "$(put 'caf%C3%A9' '"' >/dev/null && answer GET /get_all)" \
    "200 $j {\"bytes\":\"\\ufffd\\u0000z\",\"caf\\u00e9\":\"\\\"\",\"colour\":\"a b+c\",\"empty\":\"\"}"

# Characters of two to four bytes lie across every cut.
python3 -c 'print("x" + "é€😀" * 100000, end="")' >"$mnt/long"
http GET /get_all >/dev/null
ok 'a long value is whole' cmp <(jq -j .long "$work/body") "$mnt/long"
for ((i = 0; i < 3000; i++)); do
    printf '{"key":"many/%04d","value":"%d"}\n' "$i" "$i"
done | http POST /v1/import --data-binary @- >/dev/null
http GET /get_all >/dev/null
is 'many keys' "$(jq -c '[length, .["many/2999"]]' "$work/body")" '[3005,"2999"]'
is 'compressed when asked for' "$(curl -sS --compressed "$url/get_all" | jq length)" 3005

stop_daemon
finish
