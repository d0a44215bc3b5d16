#!/usr/bin/env bash
# timeout: 240
# Export and import: what goes out comes in again, in bounded memory, and what cannot come
# in is named.
. "$(dirname "$0")/../lib/functions.sh"

export_to() # FILE [QUERY]
{
    curl -sS --fail --max-time "$deadline" "$url/v1/export${2:+?$2}" >"$1"
}

import() # FILE [QUERY]: prints the status
{
    http POST "/v1/import${2:+?$2}" -T "$1" -H 'Expect:'
}

# told FIELD...: members of the last answer
told()
{
    jq -r "[$1] | map(tostring) | join(\" \")" "$work/body"
}

need_daemon

# -- There and back --

put a 'plain text' >/dev/null
printf 'tab\there\0nul "quoted" \\' | http PUT /v1/keys/odd/text --data-binary @- >/dev/null
printf '\377\376' | http PUT '/v1/keys/odd/na%ffme' --data-binary @- >/dev/null
put empty '' >/dev/null
http PUT /v1/keys/page -d x -H 'Content-Type: text/css' >/dev/null
http PUT '/v1/keys/short?ttl=1h' -d x >/dev/null
ln -s a "$mnt/link"
mkdir "$mnt/directory"
chmod 700 "$mnt/directory"
chmod 601 "$mnt/a"
chown 12:34 "$mnt/a"
setfattr -n user.colour -v red "$mnt/a"
head -c 300000 /dev/urandom | put_file large/bytes - >/dev/null
head -c 65536 /dev/zero | put_file large/zeros - >/dev/null
touch -d '2001-02-03 04:05:06.789 UTC' "$mnt/a"
touch -d '1969-07-20 20:17:40 UTC' "$mnt/empty"
touch -d '2002-02-02 UTC' "$mnt/large"
export_to "$work/first"
is 'an export has a line for each key and directory' "$(wc -l <"$work/first")" \
    "$(curl -sS "$url/v1/status" | jq '.keys + .directories')"
is '... in byte order' "$(jq -r '.key' "$work/first" | head -n 4 | xargs)" 'a directory empty large'
is '... from one revision' "$(http GET /v1/export) $(header x-kv-revision)" "200 $(revision)"
is '... as lines of JSON' "$(header content-type)" application/x-ndjson
is 'of one directory' "$(export_to "$work/part" dir=odd && jq -r .key "$work/part" | head -n 1 &&
    wc -l <"$work/part")" "$(lines odd 3)"
is '... of none' "$(http GET '/v1/export?dir=none') $(error_code)" '404 not_found'
is '... of a key' "$(http GET '/v1/export?dir=a') $(error_code)" '409 not_a_directory'

# What differs between two stores: revisions.
comparable()
{
    jq -c 'del(.version, .create_revision, .mod_revision, .id, .ctime)' "$1"
}
stop_daemon
need_daemon --data "$work/data2"
is 'an import into a new store' "$(import "$work/first")" 200
is '... tells what it did' "$(told '.lines_done, .keys, .directories')" \
    "$(wc -l <"$work/first") $(jq -s -r 'map(.type == "directory") |
        "\(map(select(not)) | length) \(map(select(.)) | length)"' "$work/first")"
export_to "$work/second"
ok '... gives the same again' cmp <(comparable "$work/first") <(comparable "$work/second")
is '... in the mount, too' "$(stat -c '%a %u %g %Y' "$mnt/a") $(readlink "$mnt/link")" \
    '601 12 34 981173106 a'
is 'an import of what is there changes it' "$(printf '{"key":"a","value":"new"}' |
    import -) $(get a) $(version a)" '200 new 2'
is 'nothing at all' "$(: | import -) $(told .lines_done)" '200 0'
is 'blank lines' "$(printf '\n \n{"key":"b","value":"1"}\r\n\n' | import -) $(
    told '.lines_done, .keys') $(get b)" '200 4 1 1'

# -- Wrong lines --

printf '%s\n' '{"key":"w/1","value":"v"}' '{"key":"w/2","value":"v"}' '{"key":"w/3"}' \
    '{"key":"w/4","value":"v"}' >"$work/wrong"
is 'a line without a value: 400' "$(import "$work/wrong") $(error_code)" '400 invalid_line'
is '... named' "$(told '.error.line, .error.message')" "3 line 3: 'value' is missing"
is '... and those before it are in' "$(told '.lines_done, .keys') $(get w/2) $(
    http GET /v1/keys/w/4)" '2 2 v 404'
sed -i '3s/.*/{"key":"w\/3","value":"mended"}/' "$work/wrong"
is 'the rest goes on with skip=' "$(import "$work/wrong" skip=2) $(
    told '.lines_done, .keys') $(get w/3) $(version w/2)" '200 4 2 mended 1'
printf '%s\n' '{"key":"x/1","value":"v"}' '{"key":"x/1/below","value":"v"}' \
    '{"key":"x/3","value":"v"}' >"$work/wrong"
is 'a line that the store refuses: 409' "$(import "$work/wrong") $(error_code)" \
    '409 not_a_directory'
is '... named, and what is before it is in' "$(told '.error.line, .lines_done, .keys') $(
    get x/1) $(http GET /v1/keys/x/3)" '2 1 1 v 404'
printf '%s\n' '{"key":"y/1","value":"v"}' '{"key":"y/1/z","value":"v"}' '{"nonsense' >"$work/wrong"
is 'of two wrong lines the first is named' "$(import "$work/wrong") $(told '.error.line')" '409 2'
while IFS='|' read -r line rule; do
    is "wrong: $line" "$(printf '%s\n' "$line" | import -) $(error_code)" '400 invalid_line'
    like '... and why' "$(told .error.message)" "^line 1: .*$rule"
done <<'END'
[]|must be a JSON object
{"key":"a/../b","value":""}|component
{"key":"a","value":"","size":1,"colour":1}|'colour'
{"key":"a","value":"","mode":"0888"}|'mode'
{"key":"a","value":"","mtime":"yesterday"}|'mtime'
{"key":"a","value":"","expires":"2026-13-01T00:00:00Z"}|'expires'
{"key":"a","value":"","uid":-1}|'uid'
{"key":"a","value":"","type":"socket"}|'type'
{"key":"a","type":"directory","value":""}|directory
{"key":"a","value":"","attributes":[{"name":"security.x","value":""}]}|attribute
{"key":"a","value":"!","encoding":"base64"}|base64
{"key":"a","size":9,"omitted":true}|left out
END
is 'skip= that is none: 400' "$(printf '\n' | import - skip=x) $(error_code)" \
    '400 invalid_parameter'
stop_daemon

# -- Much --

need_daemon --no-mount --data "$work/data3" --max-http-memory 32M --max-value-size 2M --cache-size 4M
rss()
{
    awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$daemon/status"
}
lines=$(quick_or 20000 100000)
awk -v n="$lines" 'BEGIN {
    filler = sprintf("%0300d", 0)
    for (i = 0; i < n; i++) printf "{\"key\":\"many/%d/%d\",\"value\":\"%s\"}\n", i / 1000, i, filler
}' >"$work/many"
before=$(rss)
is 'many lines' "$(import "$work/many") $(told '.lines_done, .keys')" "200 $lines $lines"
ok '... in few transactions' test "$(revision)" -lt $((lines / 500))
export_to "$work/many.out"
is '... and out again' "$(grep -c many/ "$work/many.out")" $((lines + lines / 1000))
head -c 2000000 /dev/urandom | base64 -w0 >"$work/random"
for ((i = 0; i < 20; i++)); do
    printf '{"key":"big/%d","encoding":"base64","value":"%s"}\n' "$i" "$(cat "$work/random")"
done >"$work/big"
is 'large lines' "$(import "$work/big") $(told '.lines_done, .keys')" '200 20 20'
ok '... arrive' cmp <(get big/19) <(base64 -d "$work/random")
export_to "$work/big.out" dir=big
is '... and leave' "$(jq -r 'select(.key == "big/7").value' "$work/big.out" | md5sum)" \
    "$({ cat "$work/random"; echo; } | md5sum)"
note "resident: $before MiB before, $(rss) MiB at most"
[ "$sanitize" != none ] ||
    ok 'all that in bounded memory' test $(($(rss) - before)) -lt 128
is 'a line too long: 413' "$(head -c 6000000 /dev/zero | tr '\0' x | import -) $(error_code)" \
    '413 too_large'
is 'the memory is given back' \
    "$(curl -sS "$url/metrics" | grep -E '^kvfs_http_(body|answer)_bytes' | xargs)" \
    'kvfs_http_answer_bytes 0 kvfs_http_body_bytes 0'

# A client that goes away in the middle leaves nothing behind but what was committed.
exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf 'POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n' >&"$fd"
head -n 5000 "$work/many" >&"$fd"
exec {fd}>&-
ok 'an import whose client went away is over' wait_for eval \
    '[ "$(curl -sS "$url/metrics" | sed -n "s/^kvfs_http_body_bytes //p")" = 0 ]'

# -- The snapshot --

# Five exports whose clients do not read: the fifth is refused until one goes.
readers=()
for i in 1 2 3 4; do
    exec {fd}<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /v1/export?dir=many HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&"$fd"
    read -r -u "$fd" _
    readers+=("$fd")
done
is 'a fifth export is refused' "$(http GET /v1/export) $(error_code)" '503 busy'
put many/late v >/dev/null
cat <&"${readers[0]}" >"$work/snapshot"
is 'one that is open is of its snapshot: all of it, and nothing that came later' \
    "$(grep -c '"key":"many/[0-9]' "$work/snapshot") $(grep -c many/late "$work/snapshot")" \
    "$((lines + lines / 1000)) 0"
for fd in "${readers[@]}"; do exec {fd}>&-; done
ok '... and makes room when it ends' wait_for eval '[ "$(http GET "/v1/export?dir=big")" = 200 ]'

# -- In chunks --

# A line in each chunk, all of them there at once: the import sleeps while it commits, and the
# next chunk must not wake it.
chunked() # LINES: the answer
{
    python3 - "$port" "$1" <<'END'
import socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
lines = [b'{"key":"chunk/%d","value":"1"}\n' % i for i in range(count)]
chunks = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines)
peer = socket.create_connection(("127.0.0.1", port))
peer.sendall(b"POST /v1/import HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
answer = b"".join(iter(lambda: peer.recv(65536), b""))
print(answer.decode().rpartition("\r\n\r\n")[2])
END
}
answer=$(chunked 2500)
is 'an import of chunks ends with the last' \
    "$(jq -r '[.lines_done, .revision] | join(" ")' <<<"$answer")" "2500 $(revision)"
is '... and has stored them' \
    "$(http GET '/v1/keys?dir=chunk&limit=10000' >/dev/null; told '.keys | length')" 2500

# -- Stopping --

exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf 'POST /v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n' >&"$fd"
head -n 3000 "$work/many" >&"$fd"
exec {other}<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/export HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$other"
read -r -u "$other" _
stop_daemon 'it stops cleanly with an import and an export under way'
finish
