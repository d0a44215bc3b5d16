#!/usr/bin/env bash
# timeout: 180
# Services that know nothing of kvfs, configured as their manuals say, on files that are
# keys. nginx with sendfile serves a directory: what its next answer holds is what the last
# PUT or the last close stored, whole, whether it grew or shrank. Prometheus reads its
# targets from files and is told to look by itself once an hour only: what it learns
# sooner, inotify has told it.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/www" "$mnt/targets"

# -- nginx -----------------------------------------------------------------------------

# Several workers, and caches of nothing but what the kernel has.
mkdir "$work/nginx"
cat >"$work/nginx.conf" <<END
daemon off;
user root;
worker_processes 2;
pid $work/nginx.pid;
error_log $work/nginx.log info;
events { worker_connections 64; }
http {
    sendfile on;
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path $work/nginx/body;
    proxy_temp_path $work/nginx/proxy;
    fastcgi_temp_path $work/nginx/fastcgi;
    uwsgi_temp_path $work/nginx/uwsgi;
    scgi_temp_path $work/nginx/scgi;
    server {
        listen unix:$work/nginx.sock;
        root $mnt/www;
    }
}
END
background nginx -c "$work/nginx.conf" -e "$work/nginx.log"
nginx=$!

# fetch PATH [CURL-OPTION...]: prints the status; body in $work/page, headers in
# $work/page.headers. Fails when the answer is cut short.
fetch()
{
    : >"$work/page"
    curl -sS --max-time "$deadline" --unix-socket "$work/nginx.sock" -o "$work/page" \
        -D "$work/page.headers" -w '%{http_code}' "${@:2}" "http://nginx/$1"
}

# of_page NAME: a header of it.
of_page()
{
    sed -n "s/^$1: \(.*\)\r$/\1/p" "$work/page.headers"
}

answers()
{
    fetch none 2>/dev/null
}

if ! wait_for answers; then
    fail 'nginx serves' "$(tail -n 5 "$work/nginx.log")"
    finish
fi

is 'nginx: a key that is not there' "$(fetch page)" 404
put www/page 'over HTTP' >/dev/null
is '... and now is' "$(fetch page) $(<"$work/page")" '200 over HTTP'
is '... with its length' "$(of_page Content-Length)" 9
echo 'by echo' >"$mnt/www/page"
is '... is written by echo' "$(fetch page) $(<"$work/page")" '200 by echo'

# Lengths that go up and down by bytes, pages and more than a socket takes at once.
lengths=(0 1 5000 4096 4095 4097 300000 299999 2 1500000 70000 0 131072 131073 65536 10)
head -c 2000000 /dev/urandom >"$work/random"
rounds=$(quick_or 1 3)
wrong=''
for ((round = 0; round < rounds; round++)); do
    for i in "${!lengths[@]}"; do
        tail -c +$((round * 7 + i + 1)) "$work/random" | head -c "${lengths[i]}" >"$work/value"
        if (((round + i) % 2)); then
            put_file www/page "$work/value" >"$work/status"
        else
            cat "$work/value" >"$mnt/www/page"
        fi
        status=$(fetch page) || status+=" curl: $?"
        [ "$status" = 200 ] && cmp -s "$work/value" "$work/page" ||
            wrong+="$round: ${lengths[i]} bytes: $status, $(stat -c %s "$work/page") bytes; "
    done
done
is 'the next answer has the new value, whatever its length was and is' "$wrong" ''

# What nginx compares are seconds and lengths.
put www/page 'first' >/dev/null
touch -d '2020-01-02 03:04:05 UTC' "$mnt/www/page"
fetch page >/dev/null
etag=$(of_page ETag) modified=$(of_page Last-Modified)
is 'nginx: Last-Modified is the mtime' "$modified" 'Thu, 02 Jan 2020 03:04:05 GMT'
is '... If-None-Match of an unchanged key' "$(fetch page -H "If-None-Match: $etag")" 304
is '... If-Modified-Since' "$(fetch page -H "If-Modified-Since: $modified")" 304
is '... of one that was PUT' "$(put www/page other; fetch page -H "If-None-Match: $etag")" \
    200200
is '... its value' "$(<"$work/page")" other
is '... If-Modified-Since of that' "$(fetch page -H "If-Modified-Since: $modified")" 200
is '... and an ETag of its own' "$([ "$(of_page ETag)" != "$etag" ] && echo other)" other
is '... ranges' "$(fetch page -r 1-3) $(<"$work/page")" '206 the'
mv "$mnt/www/page" "$mnt/www/moved"
is 'nginx: after a mv the old name is gone' "$(fetch page)" 404
is '... the new one there' "$(fetch moved) $(<"$work/page")" '200 other'
printf 'by rename' >"$mnt/www/.new" && mv "$mnt/www/.new" "$mnt/www/moved"
is '... a rename over it' "$(fetch moved) $(<"$work/page")" '200 by rename'
delete www/moved >/dev/null
is '... after a DELETE' "$(fetch moved)" 404
put www/moved back >/dev/null
is '... after another PUT' "$(fetch moved) $(<"$work/page")" '200 back'
rm "$mnt/www/moved"
is '... after rm' "$(fetch moved)" 404
put www/dir/index.html '<p>index' >/dev/null
is '... the index of a directory' "$(fetch dir/) $(<"$work/page")" '200 <p>index'
delete www/dir recursive=1 >/dev/null
is '... and of one that was deleted' "$(fetch dir/)" 404
is 'nginx had no complaint but of files that are not there' \
    "$(grep -E '\[(crit|alert|emerg|error)\]' "$work/nginx.log" | grep -v 'No such file')" ''
kill -QUIT "$nginx"
wait_pid "$nginx"
is 'nginx ends' "$status" 0

# -- Prometheus ------------------------------------------------------------------------

cat >"$work/prometheus.yml" <<END
scrape_configs:
  - job_name: kv
    scrape_interval: 1h
    file_sd_configs:
      - files: ['$mnt/targets/*.json']
        refresh_interval: 1h
END
put targets/one.json '[{"targets": ["one:1"]}]' >/dev/null
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address=127.0.0.1:0 >"$work/prometheus.log" 2>&1 &
prometheus=$!
started_pids+=("$prometheus")

# Its port, which the system chose.
address()
{
    address=$(sed -n 's/.*msg="Listening on" address=\([0-9.]*:[1-9][0-9]*\).*/\1/p' \
        "$work/prometheus.log" | head -n 1)
    [ -n "$address" ]
}

targets()
{
    curl -sS --max-time "$deadline" "http://$address/api/v1/targets" |
        jq -r '.data.activeTargets[].discoveredLabels.__address__' | sort | paste -sd' '
}

# metric NAME
metric()
{
    curl -sS --max-time "$deadline" "http://$address/metrics" |
        awk -v name="$1" '$1 == name { print $2 }'
}

# Prometheus hands a change on within five seconds.
has_targets()
{
    [ "$(targets)" = "$1" ]
}

# expect_targets NAME TARGETS
expect_targets()
{
    if wait_for has_targets "$2"; then
        pass "$1"
    else
        fail "$1" "got: $(targets)
expected: $2
$(tail -n 5 "$work/prometheus.log")"
    fi
}

if ! wait_for address || ! wait_for targets; then
    fail 'Prometheus serves' "$(tail -n 5 "$work/prometheus.log")"
    finish
fi
expect_targets 'Prometheus finds the targets that are there' one:1

put targets/two.json '[{"targets": ["two:2"]}]' >/dev/null
put targets/one.json '[{"targets": ["one:11", "one:12"]}]' >/dev/null
expect_targets '... and, without being told, a new file and a changed one that were PUT' \
    'one:11 one:12 two:2'

# One version after the other, short and long: it never reads a part of one.
for ((i = 1; i <= $(quick_or 30 100); i++)); do
    jq -cn --argjson n $((i % 7 * 100 + 1)) '[{targets: [range($n) | "t:\(. + 1)"]}]'
done >"$work/versions"
while IFS= read -r line; do
    printf '%s' "$line" | http PUT /v1/keys/targets/one.json --data-binary @- >/dev/null
done <"$work/versions"
echo '[{"targets": ["echo:1"]}]' >"$mnt/targets/two.json"
echo '[{"targets": ["renamed:1"]}]' >"$mnt/targets/.three"
mv "$mnt/targets/.three" "$mnt/targets/three.json"
put targets/one.json '[{"targets": ["last:1"]}]' >/dev/null
expect_targets '... what was written by echo, renamed into place, and the last of many' \
    'echo:1 last:1 renamed:1'
is '... it never read a part of one' "$(metric prometheus_sd_file_read_errors_total)" 0

delete targets/one.json >/dev/null
rename_key targets/two.json targets/two.off >/dev/null
put targets/four.json '[{"targets": ["four:4"]}]' ttl=1h >/dev/null
mv "$mnt/targets/three.json" "$mnt/targets/five.json"
expect_targets '... what was deleted and renamed over HTTP' 'four:4 renamed:1'
kill "$prometheus"
wait_pid "$prometheus"
is 'Prometheus ends' "$status" 0

stop_daemon
finish
