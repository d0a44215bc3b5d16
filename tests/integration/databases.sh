#!/usr/bin/env bash
# timeout: 120
# SQLite on the mount with rollback journals: what one process committed the next one reads,
# several processes that write at once lose no row and see whole transactions only, a killed
# one leaves a journal that is rolled back, VACUUM and all journal modes but WAL work. This stands on
# POSIX locks between processes, on fsync publishing at once, and on handles open for both
# reading the newest version. WAL between processes needs shared memory mappings, which the mount has
# not: it is refused, and works for one process with locking_mode=exclusive.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/d"
cd "$mnt/d" || exit 1

is 'create, insert, select' \
    "$(sqlite3 db 'create table t(a, b); insert into t values(1, 2); select * from t;')" '1|2'
is '... by another process' "$(sqlite3 db 'select a + b from t; pragma journal_mode')" \
    "$(lines 3 delete)"
is '... no journal is left' "$(ls -A)" db
get d/db >"$work/db"
is '... what HTTP returns is a sound database' \
    "$(sqlite3 "$work/db" 'pragma integrity_check; select * from t')" "$(lines ok '1|2')"

for mode in truncate persist memory off delete; do
    is "journal_mode=$mode" "$(sqlite3 db "pragma journal_mode=$mode;
        begin; insert into t values('$mode', 1); commit;
        begin; update t set b = 2 where a = '$mode'; commit;
        select b from t where a = '$mode'; pragma integrity_check" |
        tail -n 2)" "$(lines 2 ok)"
done
sqlite3 db 'pragma cache_size=5; create table big(x); begin;
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
        insert into big select hex(randomblob(40)) from n; commit; create index i on big(x)'
is 'a transaction larger than the cache' \
    "$(sqlite3 db 'select count(*) from big; pragma integrity_check')" "$(lines 20000 ok)"
sqlite3 db 'pragma cache_size=5; begin; delete from big; rollback;'
is '... rolled back' "$(sqlite3 db 'select count(*) from big; pragma integrity_check')" \
    "$(lines 20000 ok)"
sqlite3 db 'drop table big; vacuum'
ok 'vacuum makes it smaller' test "$(stat -c %s db)" -lt 100000
ok '.backup' sqlite3 db '.backup copy'
is '... is sound' "$(sqlite3 copy 'pragma integrity_check')" ok

# -- Several processes --

# A connection that stays open sees what others commit, and its own lock keeps them out.
ok 'two connections take turns' python3 - <<'END'
import sqlite3

one, two = (sqlite3.connect("db", isolation_level=None, timeout=0) for _ in range(2))
one.execute("create table turns(i)")
for i in range(50):
    writer, reader = (one, two) if i % 2 else (two, one)
    writer.execute("begin immediate")
    try:
        reader.execute("begin immediate")
        raise SystemExit("both write")
    except sqlite3.OperationalError as error:
        assert "locked" in str(error), error
    writer.execute("insert into turns values(?)", (i,))
    assert reader.execute("select count(*) from turns").fetchone() == (i,), "not committed"
    writer.execute("commit")
    assert reader.execute("select count(*) from turns").fetchone() == (i + 1,), "committed"
END

count=$(quick_or 15 60)
cat >"$work/writer.py" <<'END'
"""Move money between accounts, some transactions rolled back, and count in `done`."""
import random, sqlite3, sys

database = sqlite3.connect("bank", isolation_level=None, timeout=60)
for i in range(int(sys.argv[1])):
    database.execute("begin immediate")
    assert database.execute("select sum(money) from account").fetchone() == (10000,)
    here, there = random.sample(range(100), 2)
    database.execute("update account set money = money - 7 where id = ?", (here,))
    database.execute("update account set money = money + 7 where id = ?", (there,))
    database.execute("insert into done values((select max(i) + 1 from done))")
    database.execute("rollback" if i % 5 == 0 else "commit")
END
cat >"$work/reader.py" <<'END'
"""Until all is done, no transaction is ever seen in part."""
import sqlite3, sys

database = sqlite3.connect("bank", timeout=60)
while True:
    money, done = database.execute(
        "select (select sum(money) from account), (select max(i) from done)").fetchone()
    assert money == 10000, money
    if done >= int(sys.argv[1]):
        break
END
sqlite3 bank 'create table account(id integer primary key, money int); create table done(i);
    with recursive n(i) as (select 0 union all select i + 1 from n where i < 99)
        insert into account select i, 100 from n; insert into done values(0)'
total=$((4 * (count - (count + 4) / 5)))
pids=()
for _ in 1 2 3 4; do
    python3 "$work/writer.py" "$count" &
    pids+=($!)
done
python3 "$work/reader.py" "$total" &
pids+=($!)
failed=''
for pid in "${pids[@]}"; do wait "$pid" || failed+=" $pid"; done
is 'four processes write and one reads at once' "$failed" ''
is '... no transaction is lost' \
    "$(sqlite3 bank 'select max(i), count(distinct i) from done; pragma integrity_check')" \
    "$(lines "$total|$((total + 1))" ok)"

# Killed when pages of an open transaction are in the database already.
cat >"$work/dies.py" <<'END'
import os, signal, sqlite3

database = sqlite3.connect("bank", isolation_level=None)
database.execute("pragma cache_size=1")
database.execute("pragma cache_spill=1")
database.execute("begin exclusive")
database.execute("update account set money = -1")
database.execute("create table filler(x)")
for i in range(200):
    database.execute("insert into filler values(randomblob(3000))")
assert os.path.getsize("bank-journal") > 0
os.kill(os.getpid(), signal.SIGKILL)
END
python3 "$work/dies.py" &
wait $! 2>/dev/null # the shell's "Killed"
is 'a writer dies in the middle' $? 137
is '... its journal is rolled back' "$(sqlite3 bank \
    "select sum(money) from account; select count(*) from sqlite_master where name = 'filler';
    pragma integrity_check")" "$(lines 10000 0 ok)"
is '... and removed' "$(ls -A bank*)" bank

# -- WAL --

sqlite3 wal 'create table t(a); insert into t values(1)'
fails 'WAL between processes fails' 'disk I/O error' sqlite3 wal \
    'pragma journal_mode=wal; insert into t values(2)'
is 'WAL in one process that keeps the lock works' "$(sqlite3 wal 'pragma locking_mode=exclusive;
    pragma journal_mode=wal; insert into t values(3); select sum(a) from t' | tail -1)" 4
is '... and leads back' "$(sqlite3 wal 'pragma locking_mode=exclusive;
    pragma journal_mode=delete; select sum(a) from t' | tail -1)" 4
is '... to where all can use it' "$(sqlite3 wal 'insert into t values(4); select sum(a) from t;
    pragma integrity_check')" "$(lines 8 ok)"

# Everything is still there when the daemon has been killed and started again.
cd "$work" || exit 1
kill_daemon
need_daemon
is 'after a kill -9 of the daemon' "$(sqlite3 "$mnt/d/bank" \
    'select sum(money) from account; pragma integrity_check')" "$(lines 10000 ok)"
stop_daemon
finish
