#!/usr/bin/env bash
# timeout: 240
# The kv command: every command on all three ways in (TCP, Unix socket, mount), exit
# statuses, values of any bytes, and the same lines from kv watch whichever way.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

unset KV_URL KV_SOCKET KV_MOUNT

# status_is NAME STATUS COMMAND...: the exit status; what it said is in $said.
status_is()
{
    local name=$1 want=$2 got
    shift 2
    said=$("$@" 2>&1 >/dev/null </dev/null)
    got=$?
    if [ "$got" = "$want" ]; then
        pass "$name"
    else
        fail "$name" "exit status $got, expected $want: $* ${said:+: $said}"
    fi
}

# prints NAME TEXT COMMAND...: succeeds and prints TEXT, nothing on stderr.
prints()
{
    local name=$1 want=$2
    shift 2
    is "$name" "$("$@" 2>&1 </dev/null; echo "($?)")" "$want${want:+$'\n'}(0)"
}

need_daemon

# The largest thing tried, and bytes that no text tool would leave alone.
head -c 3000000 /dev/urandom >"$work/big"
printf 'a\0b\n\xff\r\n' >"$work/binary"
: >"$work/empty"

ways=(tcp socket mount)
declare -A way=([tcp]="--url $url" [socket]="--socket $sock" [mount]="--mount $mnt")

# -- Every command, every way ----------------------------------------------------------

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206 # two words each
    kvw=("$kv" ${way[$name]})
    d=$name

    prints "$name: put says nothing" '' "${kvw[@]}" put "$d/deep/er/key" value
    is "$name: get gives the bytes and no newline" \
        "$("${kvw[@]}" get "$d/deep/er/key" | xxd -p)" 76616c7565
    is "$name: HTTP sees it" "$(get "$d/deep/er/key")" value

    for file in big binary empty; do
        "${kvw[@]}" put "$d/$file" <"$work/$file"
        ok "$name: a $file file comes back as it was" \
            cmp <("${kvw[@]}" get "$d/$file") "$work/$file"
    done
    dd bs=64k status=none <"$work/big" | "${kvw[@]}" put "$d/piped"
    ok "$name: what comes from a pipe too" cmp <("${kvw[@]}" get "$d/piped") "$work/big"
    is "$name: one put is one version" "$(version "$d/piped")" 1
    "${kvw[@]}" put "$d/piped" short
    is "$name: a shorter value replaces all of a longer one" "$("${kvw[@]}" get "$d/piped")" short
    "${kvw[@]}" put "$d/dash" -- -v
    is "$name: a value may begin with a dash" "$("${kvw[@]}" get "$d/dash")" -v
    "${kvw[@]}" put "$d/nothing" ''
    is "$name: an empty argument is an empty value" "$("${kvw[@]}" get "$d/nothing" | wc -c)" 0
    "${kvw[@]}" put "$d/a b%2f?#+&é" odd
    is "$name: a key may hold any character" "$("${kvw[@]}" get "$d/a b%2f?#+&é")" odd

    "${kvw[@]}" append "$d/log" one
    printf two | "${kvw[@]}" append "$d/log"
    is "$name: append adds, and makes what is not there" "$("${kvw[@]}" get "$d/log")" onetwo

    prints "$name: mv says nothing" '' "${kvw[@]}" mv "$d/log" "$d/new/place/log"
    is "$name: mv makes the directories" "$("${kvw[@]}" get "$d/new/place/log")" onetwo
    "${kvw[@]}" mv "$d/new" "$d/newer"
    is "$name: mv moves directories" "$("${kvw[@]}" get "$d/newer/place/log")" onetwo
    "${kvw[@]}" mv "$d/newer/place/log" "$d/deep/"
    is "$name: mv into a directory keeps the name" "$("${kvw[@]}" get "$d/deep/log")" onetwo

    prints "$name: ls shows keys and directories in byte order" "$(lines \
        "$d/a b%2f?#+&é" "$d/big" "$d/binary" "$d/dash" "$d/deep/" "$d/empty" "$d/newer/" \
        "$d/nothing" "$d/piped")" "${kvw[@]}" ls "$d"
    prints "$name: ls -r shows all keys and no directories" "$(lines \
        "$d/deep/er/key" "$d/deep/log")" "${kvw[@]}" ls -r "$d/deep/"
    prints "$name: ls --prefix is about text" "$(lines "$d/big" "$d/binary")" \
        "${kvw[@]}" ls --prefix "$d/bi"
    like "$name: ls -l shows size, version, revision, time" \
        "$("${kvw[@]}" ls -l "$d" | grep '/piped$')" \
        "^ +5 +2 +[0-9]+ 20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8} $d/piped\$"
    is "$name: ls -o json is one object a line" \
        "$("${kvw[@]}" ls -o json "$d/deep" | jq -c '[.key, .directory, .size, .version]')" \
        "$(lines "[\"$d/deep/er\",true,null,null]" "[\"$d/deep/log\",null,6,2]")"
    is "$name: ls of an empty directory" "$("${kvw[@]}" ls "$d/newer/place"; echo $?)" 0

    is "$name: get -o json tells the versions" \
        "$("${kvw[@]}" get -o json "$d/piped" | jq -c '[.key, .value, .size, .version]')" \
        "[\"$d/piped\",\"short\",5,2]"
    is "$name: get -o json has bytes as base64" \
        "$("${kvw[@]}" get -o json "$d/binary" | jq -r 'select(.encoding == "base64").value' |
            base64 -d | xxd -p)" "$(xxd -p "$work/binary")"
    is "$name: put -o json names the key" "$("${kvw[@]}" put -o json "$d/dash" x | jq -r .key)" \
        "$d/dash"

    # Exit statuses and messages.
    status_is "$name: no such key: 1" 1 "${kvw[@]}" get "$d/none"
    is '... and who says it' "$said" "kv: '$d/none': there is no such key"
    status_is "$name: no such directory: 1" 1 "${kvw[@]}" ls "$d/none"
    status_is "$name: rm of no such key: 1" 1 "${kvw[@]}" rm "$d/none"
    prints "$name: rm -f of no such key is no error" '' "${kvw[@]}" rm -f "$d/none"
    status_is "$name: mv of no such key: 1" 1 "${kvw[@]}" mv "$d/none" "$d/other"
    status_is "$name: a key that breaks a rule: 2" 2 "${kvw[@]}" put "$d//x" 1
    like '... which is named' "$said" "'$d//x': .*empty component"
    status_is "$name: a way out of the tree: 2" 2 "${kvw[@]}" get "$d/../../etc/passwd"
    status_is "$name: a directory read as a key: 4" 4 "${kvw[@]}" get "$d/deep"
    like '... with a hint' "$said" "'$d/deep': the key is a directory.*hint:"
    status_is "$name: a key used as a directory: 4" 4 "${kvw[@]}" put "$d/dash/below" 1
    status_is "$name: a put onto a directory: 4" 4 "${kvw[@]}" put "$d/deep" 1
    status_is "$name: mv onto a directory: 4" 4 "${kvw[@]}" mv "$d/dash" "$d/deep"
    like '... with the way to move into it' "$said" "hint: a '/' behind the target"
    status_is "$name: rm of a directory: 4" 4 "${kvw[@]}" rm "$d/deep"
    like '... with the way to do it' "$said" 'kv rm -r'
    is '... which is still there' "$(get "$d/deep/er/key")" value

    # stdin that cannot be read stores nothing.
    "${kvw[@]}" put "$d/dash" </ 2>"$work/said"
    is "$name: a value that cannot be read: 5" $? 5
    is '... and the old one stays' "$(get "$d/dash")" x

    status_is "$name: rm of several, one missing: 1" 1 "${kvw[@]}" rm "$d/big" "$d/none" "$d/empty"
    is '... and the others are gone' "$("${kvw[@]}" ls "$d" | grep -cE '/(big|empty)$')" 0
    prints "$name: rm -r" '' "${kvw[@]}" rm -r "$d"
    is '... leaves nothing' "$("${kvw[@]}" ls)" ''
done

# A listing longer than a page of the API.
python3 - "$url" <<'END'
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1].split('//')[1])
for i in range(2500):
    c.request('PUT', '/v1/keys/many/%s%04d' % ('sub/' if i % 2 else '', i), b'')
    c.getresponse().read()
END
for name in "${ways[@]}"; do
    # shellcheck disable=SC2086 # two words
    is "$name: a long listing is whole and sorted" \
        "$("$kv" ${way[$name]} ls -r many | tee "$work/many" | LC_ALL=C sort -c && wc -l <"$work/many")" 2500
done
"$kv" --url "$url" rm -r many

# -- Conditions, which only HTTP has ---------------------------------------------------

ok 'put --if-absent makes a new key' "$kv" --url "$url" put --if-absent c 1
status_is 'put --if-absent refuses an old one: 1' 1 "$kv" --url "$url" put --if-absent c 2
like '... and says what it found' "$said" 'hint: it exists already'
revision=$("$kv" --url "$url" get -o json c | jq .mod_revision)
ok 'put --if-revision with the right one' "$kv" --url "$url" put --if-revision "$revision" c 3
status_is '... and with an old one: 1' 1 "$kv" --url "$url" put --if-revision "$revision" c 4
is '... which changes nothing' "$(get c)" 3
ok 'put --ttl' "$kv" --url "$url" put --ttl 100ms t 1
gone()
{
    "$kv" --url "$url" get t
    [ $? = 1 ]
}
ok '... ends the key' wait_for gone
status_is 'put --if-absent on a mount is refused before anything happens: 2' 2 \
    "$kv" --mount "$mnt" put --if-absent c2 1
status_is '... and makes no key' 1 "$kv" --mount "$mnt" get c2

# -- Where to connect ------------------------------------------------------------------

is 'KV_URL is used' "$(KV_URL=$url "$kv" get c)" 3
is 'KV_SOCKET is used' "$(KV_SOCKET=$sock "$kv" get c)" 3
is 'KV_MOUNT is used' "$(KV_MOUNT=$mnt "$kv" get c)" 3
is 'an option wins over the environment' "$(KV_URL=127.0.0.1:1 "$kv" --mount "$mnt" get c)" 3
is 'an address needs no http://' "$("$kv" --url "${url#http://}/" get c)" 3
is 'options may stand before the command' "$("$kv" -v --url "$url" get c 2>/dev/null)" 3
status_is 'nobody at an address: 3' 3 "$kv" --url 127.0.0.1:1 get c
like '... and where' "$said" 'cannot reach kvfsd at http://127.0.0.1:1: Connection refused'
status_is 'no such socket: 3' 3 "$kv" --socket "$work/none" get c
status_is 'a directory that is no mount: 3' 3 "$kv" --mount "$work" put c wrong
is '... is not written to' "$(ls "$work/c" 2>/dev/null)" ''
status_is 'no such directory: 3' 3 "$kv" --mount "$work/none" get c
status_is 'two ways at once: 2' 2 "$kv" --url "$url" --mount "$mnt" get c
mkdir "$work/www"
python3 -u -m http.server --bind 127.0.0.1 --directory "$work/www" 0 >"$work/www.log" 2>&1 &
started_pids+=($!)
ok 'another HTTP server starts' wait_for grep -q 'port' "$work/www.log"
other=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$work/www.log")
status_is 'somebody else at an address: 3' 3 "$kv" --url "127.0.0.1:$other" get c
like '... and that it is not kvfsd' "$said" 'not kvfsd'

# The names of all commands, as the help page lists them.
commands()
{
    "$kv" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\).*/\1/p' | grep -vx help
}

# -- Help and usage --------------------------------------------------------------------

for command in '' $(commands); do
    # shellcheck disable=SC2086 # nothing or one word
    help=$("$kv" $command --help)
    is "kv $command --help: exit status 0" $? 0
    like '... has a usage line' "$help" '^Usage: kv '
    is '... within 80 columns' "$(awk 'length > 80' <<<"$help")" ''
done
is 'kv help get is kv get --help' "$("$kv" help get)" "$("$kv" get --help)"
like 'kv --version' "$("$kv" --version)" '^kv [0-9]+\.'
is 'kv get --version' "$("$kv" get --version)" "$("$kv" --version)"
help=$("$kvfsd" --help)
is 'kvfsd --help is within 80 columns' "$(awk 'length > 80' <<<"$help")" ''
like '... and says what a power cut can cost' "$help" 'power cut'
like 'kvfsd --version' "$("$kvfsd" --version)" '^kvfsd [0-9]+\.'
status_is 'no command: 2' 2 "$kv"
status_is 'a misspelt command: 2' 2 "$kv" stauts
like '... and what was meant' "$said" "did you mean 'kv status'"
status_is 'a command of another tool: 2' 2 "$kv" set c 1
like '... and what it is called here' "$said" "did you mean 'kv put'"
status_is 'a word that is near to none: 2' 2 "$kv" frobnicate
like '... and where they are listed' "$said" "'kv --help' lists them"
status_is 'a misspelt option: 2' 2 "$kv" ls --lnog
like '... and what was meant' "$said" "did you mean '--long'"
status_is 'an option of another command: 2' 2 "$kv" get --ttl 5s c
status_is 'too few operands: 2' 2 "$kv" put
status_is 'too many operands: 2' 2 "$kv" mv a b c
is '... and how it is used' "$said" "kv: 'kv mv' takes fewer operands
kv: hint: kv mv [OPTION]... FROM TO"
status_is 'a format that is none: 2' 2 "$kv" get -oxml a
like '... and which there are' "$said" "must be text, json, table or value, not 'xml'"
status_is 'a format that the command has not: 2' 2 "$kv" put -otable a b
like '... is told' "$said" "'kv put' has no --output=table"
status_is 'operands where there are none: 2' 2 "$kv" status all
is '... and how it is used' "$said" "kv: 'kv status' takes fewer operands
kv: hint: kv status [OPTION]..."
status_is 'a bad number: 2' 2 "$kv" watch --since yesterday
status_is 'a bad time: 2' 2 "$kv" put --ttl soon k 1
"$kv" --url "$url" get c >/dev/full 2>"$work/said"
is 'a full disk behind stdout: 5' $? 5
like '... is told' "$(<"$work/said")" 'cannot write to stdout: No space left'

# -- status ----------------------------------------------------------------------------

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206
    kvw=("$kv" ${way[$name]})
    is "$name: status tells the revision" \
        "$("${kvw[@]}" status | sed -n 's/^revision  *//p')" "$(revision)"
    is "$name: status -o json too" "$("${kvw[@]}" status -o json | jq .revision)" "$(revision)"
done

# -- watch -----------------------------------------------------------------------------

# watch NAME OPTION...: kv watch into $work/NAME.out; returns when it misses nothing.
watch()
{
    local name=$1
    shift
    "$kv" -v "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    watchers[$name]=$!
    started_pids+=($!)
    wait_for grep -q watching "$work/$name.err" || note "$name: $(cat "$work/$name.err")"
}

# watched NAME MARK: its lines, when "put MARK" has come, without that and other marks.
watched()
{
    wait_for grep -qE "^put $2( |\$)" "$work/$1.out" || note "$1: no $2"
    grep -vE '(put|delete) mark' "$work/$1.out"
}

declare -A watchers=()
for name in "${ways[@]}"; do
    # shellcheck disable=SC2086 # two words
    watch "$name" ${way[$name]} watch
done

# Both kinds of writer, one after the other, so that nothing merges: each waits until every
# watcher has shown it.
step=0
change()
{
    "$@" || fail "change: $*"
    step=$((step + 1))
    "$kv" --url "$url" put "mark$step" ''
    local name
    for name in "${ways[@]}"; do
        wait_for grep -qx "put mark$step" "$work/$name.out" || note "$name: mark$step did not come"
    done
}

change "$kv" --url "$url" put w/one 1
change "$kv" --url "$url" put w/one 2
change "$kv" --mount "$mnt" put w/one 3
change "$kv" --mount "$mnt" put w/two 1
change "$kv" --mount "$mnt" append w/two 2
change "$kv" --url "$url" append w/two 3
change "$kv" --url "$url" put w/x/y/z deep
change "$kv" --mount "$mnt" put w/p/q/r deep
change "$kv" --url "$url" mv w/one w/uno
change "$kv" --mount "$mnt" mv w/two w/due
change "$kv" --url "$url" mv w/x w/ics
change "$kv" --mount "$mnt" mv w/p w/pi
change "$kv" --url "$url" put w/ics/y/z again
change "$kv" --mount "$mnt" put w/pi/q/r again
change "$kv" --url "$url" mv w/uno w/due
change "$kv" --url "$url" rm w/due
change "$kv" --mount "$mnt" rm w/pi/q/r
change mkdir "$mnt/w/dir"
change rmdir "$mnt/w/dir"
change chmod 600 "$mnt/w/ics/y/z"
change "$kv" --url "$url" rm w/ics/y/z
change "$kv" --mount "$mnt" rm -r w/ics
expected=$(lines 'mkdir w' 'put w/one' 'put w/one' 'put w/one' 'put w/two' 'put w/two' \
    'put w/two' 'mkdir w/x' 'mkdir w/x/y' 'put w/x/y/z' 'mkdir w/p' 'mkdir w/p/q' \
    'put w/p/q/r' 'rename w/one -> w/uno' 'rename w/two -> w/due' 'rename w/x -> w/ics' \
    'rename w/p -> w/pi' 'put w/ics/y/z' 'put w/pi/q/r' 'rename w/uno -> w/due' \
    'delete w/due' 'delete w/pi/q/r' 'mkdir w/dir' 'rmdir w/dir' 'meta w/ics/y/z' \
    'delete w/ics/y/z' 'rmdir w/ics/y' 'rmdir w/ics')
for name in "${ways[@]}"; do
    is "$name: watch prints each change once" "$(watched "$name" "mark$step")" "$expected"
    kill "${watchers[$name]}"
done

# Scopes: what is outside is not shown.
for name in tcp mount; do
    # shellcheck disable=SC2206
    kvw=(${way[$name]})
    watch "$name-key" "${kvw[@]}" watch s/deep/key
    watch "$name-dir" "${kvw[@]}" watch --dir s/deep/
    watch "$name-prefix" "${kvw[@]}" watch --prefix s/de
    watch "$name-values" "${kvw[@]}" watch --values --prefix s/deep/
done
for key in s/other s/dent s/deep/key s/deep/keys s/deep/more/key deep/key; do
    "$kv" --url "$url" put "$key" "of $key"
done
"$kv" --url "$url" rm -r s
"$kv" --url "$url" put s/deep/key last
for name in tcp mount; do
    # The last put comes twice in each: wait for the second.
    for scope in key dir prefix; do
        wait_for awk '/^put s\/deep\/key$/ { n++ } END { exit n < 2 }' "$work/$name-$scope.out"
    done
    wait_for grep -q 'key = last' "$work/$name-values.out"
    is "$name: watch KEY" "$(cat "$work/$name-key.out")" \
        "$(lines 'put s/deep/key' 'delete s/deep/key' 'put s/deep/key')"
    is "$name: watch --dir" "$(sort "$work/$name-dir.out" | uniq -c | awk '{ print $1, $2, $3 }')" \
        "$(lines '1 delete s/deep/key' '1 delete s/deep/keys' '1 delete s/deep/more/key' \
            '2 mkdir s/deep' '1 mkdir s/deep/more' '2 put s/deep/key' '1 put s/deep/keys' \
            '1 put s/deep/more/key' '1 rmdir s/deep' '1 rmdir s/deep/more')"
    is "$name: watch --prefix" "$(sed -n 1,5p "$work/$name-prefix.out")" \
        "$(lines 'put s/dent' 'mkdir s/deep' 'put s/deep/key' 'put s/deep/keys' 'mkdir s/deep/more')"
    is "$name: watch --values" "$(grep '^put' "$work/$name-values.out" | tail -n 1)" \
        'put s/deep/key = last'
    kill "${watchers[$name-key]}" "${watchers[$name-dir]}" "${watchers[$name-prefix]}" \
        "${watchers[$name-values]}"
done

# Many new directories at once: on a mount none of what is in them may be missed.
watch tree --mount "$mnt" watch --dir tree
for i in {1..40}; do
    (cd "$mnt" && mkdir -p "tree/$i/a/b/c" && for k in 1 2 3; do echo "$k" >"tree/$i/a/b/c/$k"; done) &
    makers[i]=$!
done
wait "${makers[@]}"
"$kv" --mount "$mnt" put tree/mark ''
watched tree tree/mark >/dev/null
is 'a mount watch finds everything in new directories, once' \
    "$(grep -E '^put tree/[0-9]+/' "$work/tree.out" | sort | uniq -c | awk '$1 == 1' | wc -l)" 120
is '... and the directories, once' \
    "$(grep -E '^mkdir tree/' "$work/tree.out" | sort | uniq -c | awk '$1 == 1' | wc -l)" 160
kill "${watchers[tree]}"

# JSON.
for name in tcp mount; do
    # shellcheck disable=SC2086
    watch "$name-json" ${way[$name]} watch -o json --values j
done
"$kv" --url "$url" put j <"$work/binary"
for name in tcp mount; do
    ok "$name: the change comes as JSON" wait_for grep -q '"put"' "$work/$name-json.out"
    is '... with its value' \
        "$(jq -r 'select(.type == "put" and .key == "j" and .encoding == "base64").value' \
            "$work/$name-json.out" | base64 -d | xxd -p)" "$(xxd -p "$work/binary")"
    kill "${watchers[$name-json]}"
done

# The stream goes on where it stopped when the daemon is started anew; what happened
# meanwhile is not missed.
since=$(revision)
watch resumed --url "$url" watch --prefix r
watch lost --mount "$mnt" watch
"$kv" --url "$url" put r1 ''
stop_daemon
status_is 'the daemon is away: 3' 3 "$kv" --url "$url" get c
status_is '... and so is its mount: 3' 3 "$kv" --mount "$mnt" get c
wait_pid "${watchers[lost]}"
is 'a mount watch ends with the mount: 3' "$status" 3
like '... and says so' "$(cat "$work/lost.err")" 'was unmounted'
need_daemon --listen "127.0.0.1:$port"
"$kv" --url "$url" put r2 ''
is 'a watch over HTTP goes on after a restart' "$(watched resumed r2)" "$(lines 'put r1' 'put r2')"
like '... and says so' "$(cat "$work/resumed.err")" 'connection was lost'
kill "${watchers[resumed]}"
watch since --url "$url" watch --prefix r --since "$since"
is 'watch --since begins in the past' "$(watched since r2)" "$(lines 'put r1' 'put r2')"
kill "${watchers[since]}"
status_is 'watch --since on a mount: 2' 2 "$kv" --mount "$mnt" watch --since 1

stop_daemon
finish
