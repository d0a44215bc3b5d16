"""What holds a directory by a descriptor goes on in it while it is exchanged with another
one again and again: moved.py DIRECTORY ROUNDS. Prints which errors and wrong answers
there were, and what was done in the other directory by mistake."""
import ctypes
import os
import sys
import threading

where, rounds = sys.argv[1], int(sys.argv[2])
RENAME_EXCHANGE = 2
NAMES = 300
libc = ctypes.CDLL(None, use_errno=True)
ours, other = (os.fsencode(os.path.join(where, name)) for name in "ab")
swaps, stop = 0, False


def put(path, name):
    with open(os.path.join(path, name.encode()), "w", encoding="ascii") as new:
        new.write(name[0])


def fill(path, letter):
    os.mkdir(path)
    for i in range(NAMES):
        put(path, f"{letter}{i}")
    for i in range(rounds):
        put(path, f"x{i}")
        put(path, f"y{i}")


def swap():
    global swaps
    while not stop:
        if libc.renameat2(-100, ours, -100, other, RENAME_EXCHANGE):
            print("renameat2:", os.strerror(ctypes.get_errno()))
            return
        swaps += 1


fill(ours, "a")
fill(other, "b")
held = os.open(ours, os.O_RDONLY | os.O_DIRECTORY)
theirs = os.open(other, os.O_RDONLY | os.O_DIRECTORY)
for known in os.listdir(held):
    os.stat(known, dir_fd=held)
file = os.open(b"a1", os.O_RDWR, dir_fd=held)


def names():
    found = os.listdir(held)
    return sum(name[0] == "a" for name in found) == NAMES and not any(
        name[0] == "b" for name in found
    )


def write():
    fd = os.open("a2", os.O_WRONLY | os.O_TRUNC, dir_fd=held)
    os.write(fd, b"a")
    os.close(fd)
    return True


def make(name, flags):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY | flags, dir_fd=held)
    os.write(fd, b"made")
    os.close(fd)
    return os.stat(name, dir_fd=held).st_size == 4


def version():
    return int(os.getxattr(file, b"user.kv.version"))


def sync():
    before = version()
    os.pwrite(file, b"a", 0)
    os.fsync(file)
    return version() == before + 1


def done(_):
    return True


CALLS = {
    "list": names,
    "fstat": lambda: os.fstat(file).st_size == 1,
    "fstat-dir": lambda: done(os.fstat(held)),
    "pread": lambda: os.pread(file, 10, 0) == b"a",
    "stat": lambda: os.stat("a3", dir_fd=held).st_size == 1,
    "open": lambda: done(os.close(os.open("a5", os.O_RDONLY, dir_fd=held))),
    "write": write,
    "fsync": sync,
    "fchmod": lambda: done(os.fchmod(file, 0o600 + calls % 8))
    and os.fstat(file).st_mode & 0o777 == 0o600 + calls % 8,
    "utime": lambda: done(os.utime(file)),
    "getxattr": lambda: done(os.getxattr(file, b"user.kv.revision")),
    "setxattr": lambda: done(os.setxattr(file, b"user.a", b"b")),
    "create": lambda: make(f"c{calls}", 0),
    "create exclusively": lambda: make(f"e{calls}", os.O_EXCL),
    "unlink": lambda: done(os.unlink(f"x{calls}", dir_fd=held)),
    "rename": lambda: done(
        os.rename(f"y{calls}", f"z{calls}", src_dir_fd=held, dst_dir_fd=held)
    ),
    "mkdir": lambda: done(os.mkdir(f"d{calls}", dir_fd=held)),
    "symlink": lambda: done(os.symlink("target", f"l{calls}", dir_fd=held)),
}
thread = threading.Thread(target=swap)
thread.start()
bad = {}
calls = 0
while calls < rounds and thread.is_alive():
    for call, run in CALLS.items():
        try:
            answer = "" if run() else "a wrong answer"
        except OSError as error:
            answer = error.strerror
        if answer:
            bad[call, answer] = bad.get((call, answer), 0) + 1
    calls += 1
stop = True
thread.join()
for (call, answer), count in sorted(bad.items()):
    print(f"{call}: {answer} ({count} times)")

# What was done in the one is not in the other.
count = {letter: [0, 0] for letter in "xyzdlce"}
for at, path in enumerate((held, theirs)):
    for name in os.listdir(path):
        if name[0] in count:
            count[name[0]][at] += 1
expected = {"x": [0, rounds], "y": [0, rounds], "z": [rounds, 0], "d": [rounds, 0]}
for letter in "lce":
    expected[letter] = [rounds, 0]
if count != expected:
    print("names are", count, "and not", expected)
print(f"# {rounds} rounds of calls, {swaps} exchanges", file=sys.stderr)
sys.exit(swaps < 10)
