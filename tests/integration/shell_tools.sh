#!/usr/bin/env bash
# timeout: 120
# What people's scripts do with files: jq and python change configurations, noclobber and
# flock keep others out, tail -F follows a name through everything that happens to it,
# coreutils cut, join, sum and patch. Whatever is written here has to be in the store, and
# what comes over HTTP has to be what they read.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/s"
cd "$mnt/s" || exit 1

# -- jq --------------------------------------------------------------------------------

put s/config '{"port": 80, "hosts": ["a"]}' >/dev/null
is 'jq reads' "$(jq -c .hosts config)" '["a"]'
jq -c '.port = 8080 | .hosts += ["b"]' config >config.new && mv config.new config
is '... and changes, by a file that is moved over' "$(get s/config)" \
    '{"port":8080,"hosts":["a","b"]}'
changed=$(jq -c 'del(.hosts)' config) && echo "$changed" >config
is '... in place' "$(get s/config)" '{"port":8080}'
get s/config | jq -c '.port += 1' | http PUT /v1/keys/s/config --data-binary @- >/dev/null
is '... what HTTP changed' "$(jq .port config)" 8081
is '... several and --slurpfile' \
    "$(jq -n -c --slurpfile c config '$c[0].port' && jq -s -c length config config)" \
    "$(lines 8081 2)"
is '... and says where it is broken' "$(put s/config '{"port": ' >/dev/null; jq . config 2>&1 |
    grep -c 'Unfinished JSON')" 1

# -- python ----------------------------------------------------------------------------

# With what a test needs to look from the other side: get(key) and put(key, bytes).
cat >"$work/kvtest.py" <<'END'
import errno, os, pathlib, sys, time, urllib.error, urllib.request

URL = os.environ["KV_URL"] + "/v1/keys/s/"


def get(key):
    try:
        return urllib.request.urlopen(URL + key).read()
    except urllib.error.HTTPError as error:
        return error.code


def get_empty(key):
    """What nothing was written to is published by itself after close has returned."""
    deadline = time.monotonic() + 20
    while get(key) == 404 and time.monotonic() < deadline:
        pass
    same(get(key), b"")


def put(key, value):
    urllib.request.urlopen(urllib.request.Request(URL + key, value, method="PUT"))


def error_of(call, *args, **named):
    try:
        call(*args, **named)
    except OSError as error:
        return errno.errorcode[error.errno]


def same(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"
END
export KV_URL=$url PYTHONPATH=$work PYTHONDONTWRITEBYTECODE=1

ok 'python: open() in its modes' python3 - <<'END'
from kvtest import *
with open("p", "w") as f:
    f.write("one\n")
    same(get("p"), 404)
same(get("p"), b"one\n")
with open("p", "a") as f:
    print("two", file=f)
same(get("p"), b"one\ntwo\n")
with open("p", "r+") as f:
    same(f.readline(), "one\n")
    f.seek(0)
    f.write("ONE")
same(get("p"), b"ONE\ntwo\n")
with open("p", "rb+", buffering=0) as f:
    f.truncate(3)
same(get("p"), b"ONE")
with open("p", "w+") as f:
    f.write("both")
    f.flush()
    f.seek(0)
    same(f.read(), "both")
    os.fsync(f.fileno())
    same(get("p"), b"both")
same(error_of(open, "p", "x"), "EEXIST")
with open("x", "x") as f:
    same(get("x"), b"")
same(error_of(open, "p/below", "w"), "ENOTDIR")
same(error_of(open, ".", "w"), "EISDIR")
same(error_of(open, "none"), "ENOENT")
with open("p") as f:
    put("p", b"changed\n" * 3)
    same(list(f), ["changed\n"] * 3)
END

ok 'python: pathlib' python3 - <<'END'
from kvtest import *
path = pathlib.Path("lib")
path.write_text("text ü\n")
same(get("lib"), "text ü\n".encode())
path.write_bytes(bytes(range(256)) * 1000)
same(get("lib"), bytes(range(256)) * 1000)
put("lib", b"over HTTP")
same(path.read_text(), "over HTTP")
same(path.stat().st_size, 9)
deep = pathlib.Path("a/b/c")
deep.mkdir(parents=True)
deep.mkdir(parents=True, exist_ok=True)
(deep / "key").touch()
get_empty("a/b/c/key")
put("a/b/more", b"1")
same(sorted(map(str, pathlib.Path("a").rglob("*"))),
     ["a/b", "a/b/c", "a/b/c/key", "a/b/more"])
same(path.rename("renamed").read_text(), "over HTTP")
same((path.exists(), get("lib"), get("renamed")), (False, 404, b"over HTTP"))
path.symlink_to("renamed")
same((path.read_text(), path.is_symlink(), path.resolve().name),
     ("over HTTP", True, "renamed"))
pathlib.Path("renamed").unlink()
same((path.exists(), path.is_symlink(), get("renamed")), (False, True, 404))
path.unlink()
END

ok 'python: os.replace of a mkstemp' python3 - <<'END'
from kvtest import *
import stat, tempfile
for i in range(50):
    fd, name = tempfile.mkstemp(dir=".", prefix=".save")
    same(stat.S_IMODE(os.stat(name).st_mode), 0o600)
    os.write(fd, b"%d" % i * i)
    os.fchmod(fd, 0o644)
    os.fsync(fd)
    os.close(fd)
    os.replace(name, "saved")
    same(get("saved"), b"%d" % i * i)
    same(stat.S_IMODE(os.stat("saved").st_mode), 0o644)
    put("saved", b"between")
same([n for n in os.listdir() if n.startswith(".save")], [])
END

ok 'python: NamedTemporaryFile, TemporaryDirectory, TemporaryFile' python3 - <<'END'
from kvtest import *
import tempfile
with tempfile.NamedTemporaryFile(dir=".") as f:
    f.write(b"temporary")
    f.flush()
    same(open(f.name, "rb").read(), b"temporary")
    same(get(os.path.basename(f.name)), b"")
same((os.path.exists(f.name), get(os.path.basename(f.name))), (False, 404))
with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as f:
    f.write("kept")
os.replace(f.name, "kept")
same(get("kept"), b"kept")
with tempfile.TemporaryDirectory(dir=".") as d:
    pathlib.Path(d, "in").write_text("1")
    same(get(os.path.basename(d) + "/in"), b"1")
same((os.path.exists(d), get(os.path.basename(d) + "/in")), (False, 404))
with tempfile.TemporaryFile(dir=".") as f:
    f.write(b"nameless")
    f.seek(0)
    same(f.read(), b"nameless")
END

ok 'python: shutil, with what it copies by sendfile' python3 - <<'END'
from kvtest import *
import shutil, tempfile
for size in 0, 1, 4096, 100000, 700000, 3:
    value = os.urandom(size)
    put("from", value)
    shutil.copy2("from", "to")
    same(get("to") == value, True)
    with tempfile.TemporaryDirectory() as d:
        same(open(shutil.copy("from", d), "rb").read() == value, True)
        put("from", value + b"more")
        same(open(shutil.copy("from", d), "rb").read() == value + b"more", True)
shutil.copytree("a", "a2")
same(get("a2/b/more"), b"1")
shutil.move("a2", "a3")
same((get("a2/b/more"), get("a3/b/more")), (404, b"1"))
shutil.rmtree("a3")
same((get("a3/b/more"), os.path.exists("a3")), (404, False))
END

ok 'python: private mappings; shared ones are refused' python3 - <<'END'
from kvtest import *
import mmap
for value in b"first value", b"2nd", b"third " * 10000:
    put("map", value)
    with open("map", "rb") as f, \
         mmap.mmap(f.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as m:
        same((len(m), m[:] == value, m.find(value[-3:]) >= 0), (len(value), True, True))
with open("map", "rb") as f:
    same(error_of(mmap.mmap, f.fileno(), 0, access=mmap.ACCESS_READ), "ENODEV")
    with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY) as m:
        m[0:5] = b"mine!"
        same(m[:11], b"mine! third")
same(get("map")[:11], b"third third")
END

# What is open or mapped stays as it was when its name goes to another file.
cat >"$work/kept.py" <<'END'
from kvtest import *
import mmap, socket

near, far = socket.socketpair()
old = b"0123456789" * 1000
opened = {}
for name in "renamed-over", "moved-over", "deleted", "removed":
    put(name, old)
    file = open(name, "rb", buffering=0)
    opened[name] = file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE,
                                   prot=mmap.PROT_READ)
    put(name + ".new", b"new")
print("opened", flush=True)
sys.stdin.readline()
for name, (file, mapping) in opened.items():
    same((name, mapping[:] == old), (name, True))
    same((name, os.sendfile(near.fileno(), file.fileno(), 0, 20000)), (name, 10000))
    same((name, far.recv(20000, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == old), (name, True))
    same((name, file.read() == old), (name, True))
END
coproc KEPT { exec python3 "$work/kept.py" 2>&1; }
kept=$KEPT_PID kept_out=${KEPT[0]} kept_in=${KEPT[1]}
IFS= read -r -t "$deadline" -u "$kept_out" line
rename_key s/renamed-over.new s/renamed-over >/dev/null
mv moved-over.new moved-over
delete s/deleted >/dev/null
rm removed
wait_for all_announced
echo go >&"$kept_in"
line=$(cat <&"$kept_out")
wait "$kept"
is 'python: files that are replaced or removed stay mapped, and whole for sendfile' \
    "$?$line" 0

# Eight processes count in one key, each step under the lock of another.
cat >"$work/count.py" <<'END'
from kvtest import *
import fcntl
for _ in range(int(sys.argv[1])):
    with open("lock", "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        path = pathlib.Path("counter")
        path.write_text(str(int(path.read_text()) + 1))
END
count=$(quick_or 10 40)
echo 0 >counter
pids=() failed=''
for _ in {1..8}; do
    python3 "$work/count.py" "$count" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed+=" $pid"; done
is 'python: eight processes count under fcntl.lockf' "$failed $(get s/counter)" " $((8 * count))"
ok '... LOCK_NB says who is too late, closing lets go' python3 - <<'END'
from kvtest import *
import fcntl, subprocess
TRY = """import fcntl, sys
try: fcntl.lockf(open("lock", "w"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: sys.exit(3)"""
lock = open("lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
same(subprocess.run(["python3", "-c", TRY]).returncode, 3)
lock.close()
same(subprocess.run(["python3", "-c", TRY]).returncode, 0)
END

# flock(1), the lock of shell scripts.
echo 0 >counter
step()
{
    flock lock bash -c 'n=$(<counter) && echo $((n + 1)) >counter'
}
pids=() failed=''
for _ in {1..20}; do
    { step && step; } &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed+=" $pid"; done
is 'twenty processes count under flock(1)' "$failed $(get s/counter)" ' 40'

# -- noclobber -------------------------------------------------------------------------

# Twenty who run for the same fifty locks: sixteen as shells do it, four over HTTP. They
# start together, and whoever loses one runs for the next.
rounds=50
mkdir locks won
race_by_bash()
{
    set -C
    echo ready
    read -r _ <"$work/gate"
    for ((round = 1; round <= rounds; round++)); do
        ! { echo "$1" >"locks/$round"; } 2>/dev/null || echo "$1" >"won/$round.$1" || return
    done
}
cat >"$work/race.py" <<'END'
import http.client, sys

who, gate, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = http.client.HTTPConnection("127.0.0.1", int(sys.argv[4]))
print("ready", flush=True)
open(gate, "rb", buffering=0).read(3)
for i in range(1, rounds + 1):
    server.request("PUT", f"/v1/keys/s/locks/{i}", who + "\n", {"If-None-Match": "*"})
    answer = server.getresponse()
    answer.read()
    assert answer.status in (201, 412), answer.status
    if answer.status == 201:
        open(f"won/{i}.{who}", "w").write(who)
END
mkfifo "$work/gate" "$work/ready"
pids=()
for i in {1..16}; do
    race_by_bash "bash-$i" >"$work/ready" &
    pids+=($!)
done
for i in {1..4}; do
    python3 "$work/race.py" "http-$i" "$work/gate" "$rounds" "$port" >"$work/ready" &
    pids+=($!)
done
exec 7<"$work/ready" 8<>"$work/gate"
for i in {1..20}; do read -r -t "$deadline" -u 7 _; done
for i in {1..20}; do echo go; done >&8
failed=''
for pid in "${pids[@]}"; do wait "$pid" || failed+=" $pid"; done
exec 7<&- 8>&-
is "twenty racers for $rounds lock files" "$failed" ''
is '... of whom exactly one wins each' \
    "$(find won -type f | sed 's,.*/\([0-9]*\)\..*,\1,' | sort -n | uniq -c | awk '{ print $1 }' |
        sort | uniq -c | xargs)" "$rounds 1"
wrong=''
for ((round = 1; round <= rounds; round++)); do
    [ "$(cat "locks/$round")" = "$(cat "won/$round".*)" ] || wrong+=" $round"
done
is '... and is named in it' "$wrong" ''
is '... more than one of them wins' \
    "$(($(find won -type f | sed 's/.*\.//' | sort -u | wc -l) > 1))" 1

# -- tail -F ---------------------------------------------------------------------------

# tail takes a FUSE filesystem for a remote one and polls.
exec 9< <(exec stdbuf -oL tail -n +1 -s 0.05 -F log 2>"$work/tail.err")
started_pids+=($!)

# shows NAME LINE: the next line of tail.
shows()
{
    local line='nothing'
    IFS= read -r -t "$deadline" -u 9 line
    is "$1" "$line" "$2"
}

# lost COUNT: so often tail has found nothing of that name.
lost()
{
    [ "$(grep -c 'become inaccessible' "$work/tail.err")" = "$1" ]
}

echo 'first, quite a long line' >log
shows 'tail -F: a file that appears' 'first, quite a long line'
echo 'appended' >>log
shows '... appended to' appended
echo 'overwritten' >log
shows '... overwritten' overwritten
put s/log 'PUT
' >/dev/null
shows '... by a PUT' PUT
echo 'moved over' >log.new && mv log.new log
shows '... replaced by mv' 'moved over'
rm log
wait_for lost 1
echo 'again' >log
shows '... removed and made again' again
delete s/log >/dev/null
wait_for lost 2
put s/log 'by HTTP
' >/dev/null
shows '... over HTTP' 'by HTTP'
exec 9<&-

# -- Many who append -------------------------------------------------------------------

pids=() failed=''
for i in {1..6}; do
    for j in {1..30}; do echo "a$i $j" >>all || exit; done &
    pids+=($!)
    for j in {1..10}; do seq -f "t$i $j %g" 3 | tee -a all >/dev/null || exit; done &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed+=" $pid"; done
is 'twelve append by >> and tee -a' "$failed" ''
is '... and lose nothing' "$(sort all | md5sum)" \
    "$({
        for i in {1..6}; do seq -f "a$i %g" 30; done
        for i in {1..6}; do for j in {1..10}; do seq -f "t$i $j %g" 3; done; done
    } | sort | md5sum)"
is '... what one tee wrote is in one piece' "$(grep -A2 '^t. [0-9]* 1$' all | grep -c '^t')" 180

# -- Whole values in and out -----------------------------------------------------------

seq 1000 >numbers
truncate -s 10 numbers
is 'truncate -s' "$(get s/numbers | md5sum)" "$(seq 1000 | head -c 10 | md5sum)"
truncate -s +5 numbers && truncate -s -3 numbers
is '... grows by zeros, and shrinks' "$(get s/numbers | md5sum)" \
    "$({ seq 1000 | head -c 10; printf '\0\0'; } | md5sum)"
truncate -s 0 none-yet && truncate -c -s 0 never
is '... makes a file, or not with -c' "$(get s/none-yet) $(ls never 2>/dev/null)" ' '
printf '..........' >block
printf AB | dd of=block bs=1 seek=2 conv=fsync,notrunc status=none
is 'dd conv=fsync,notrunc' "$(get s/block)" '..AB......'
is '... reads with skip' "$(dd if=block bs=2 skip=1 count=1 status=none)" AB

mkdir parts
seq 100000 >parts/in
split -n 7 parts/in parts/x && csplit -s -f parts/c parts/in 100 1000 99999
is 'split -n, csplit' "$(cat parts/x* | md5sum) $(cat parts/c* | md5sum)" \
    "$(seq 100000 | md5sum) $(seq 100000 | md5sum)"
md5sum parts/* >sums
is 'md5sum -c' "$(md5sum -c --quiet sums && wc -l <sums)" 12
put s/parts/c00 changed >/dev/null
is '... finds what was changed over HTTP' "$(md5sum -c --quiet sums 2>/dev/null)" \
    'parts/c00: FAILED'
sort -rn parts/in -o parts/in
is 'sort -o onto its input' "$(head -n 1 parts/in; tail -n 1 parts/in)" "$(lines 100000 1)"
gzip parts/in
is 'gzip, zcat' "$(zcat parts/in.gz | wc -l; ls parts/in 2>/dev/null)" 100000
gunzip parts/in.gz
is 'gunzip' "$(get s/parts/in | wc -l)" 100000

printf '%s\n' one two three >old.txt
sed s/two/2/ old.txt >new.txt
diff -u old.txt new.txt >change
is 'diff -u, patch' "$(patch -b old.txt change >/dev/null; get s/old.txt)" "$(lines one 2 three)"
is '... which keeps what was there' "$(cat old.txt.orig)" "$(lines one two three)"
fails '... and refuses what does not fit' 'FAILED|previously applied' patch -N old.txt change
rm -f old.txt.rej
patch -sR old.txt change
is '... -R' "$(get s/old.txt)" "$(lines one two three)"
mkdir left right && cp old.txt left/f && cp new.txt right/f && touch right/only
is 'diff -r' "$(diff -rq left right)" \
    "$(lines 'Files left/f and right/f differ' 'Only in right: only')"

mkdir many
seq 200 | xargs -P 8 -I{} sh -c 'echo value {} >many/{}'
is 'xargs -P' "$(find many -type f -print0 | xargs -0 cat | sort -k2n | md5sum)" \
    "$(seq -f 'value %g' 200 | md5sum)"
touch -r many/7 stamp
put s/many/newer x >/dev/null
is 'find -newer, -exec' \
    "$(find many -newer stamp -name n\* -exec sh -c 'cat "$1"; echo " $1"' - {} \;)" \
    'x many/newer'
is 'find -newermt' "$(find many -newermt '1 day ago' | wc -l)" 202

# -- Other ways of the shell -----------------------------------------------------------

cat >doc <<END
here: $((40 + 2))
END
is 'a here document' "$(get s/doc)" 'here: 42'
put s/env 'NAME="over HTTP"; greet() { echo "hello, $NAME"; }' >/dev/null
# shellcheck disable=SC1091 # made a line above
. ./env
is 'source' "$(greet)" 'hello, over HTTP'
put s/script '#!/bin/sh
echo "runs with $1"' >/dev/null
chmod +x script
wait_for all_announced # which opens it for writing
is 'a script that was PUT runs' "$(./script this)" 'runs with this'
mapfile -t array < <(put s/list "$(lines a b c)" >/dev/null; cat list)
is 'mapfile' "${#array[@]} ${array[2]}" '3 c'
exec 5<>pipe && echo 'read and written' >&5 && exec 5>&-
is '<>' "$(get s/pipe)" 'read and written'
mkdir -p releases/{1,2} && echo 1 >releases/1/version && echo 2 >releases/2/version
ln -s releases/1 current && ln -sfn releases/2 next && mv -T next current
is 'a link that is switched by mv -T' "$(cat current/version)" 2
is 'mktemp' "$(t=$(mktemp tmp.XXXXXX) && stat -c '%a %s' "$t" && http GET "/v1/keys/s/$t")" \
    "$(lines '600 0' 200)"
is 'cp -n, mv -n keep what is there' "$(cp -n doc list; mv -n doc list; get s/list)" "$(lines a b c)"
(umask 077 && echo secret >private)
is 'umask' "$(stat -c %a private)" 600

cd "$work" || exit 1
stop_daemon
finish
