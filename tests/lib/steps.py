"""A process that makes one call at a time and says how it ended, so that a script can
hold it at any point: steps.py. Each line on stdin is a call, each line on stdout its
result or the name of its errno. What is open has a name: open NAME PATH HOW."""
import errno
import fcntl
import hashlib
import os
import resource
import select
import sys

HOW = {
    "r": os.O_RDONLY,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "rw": os.O_RDWR,
    "d": os.O_RDONLY | os.O_DIRECTORY,
}
files = {}
listings = {}


def open_one(name, path, how):
    files[name] = os.open(path, HOW[how])


def open_many(name, path, how, first, count):
    """Files PATH0, PATH1, ... when the path ends in '#', else one path again and again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count_limit(int(count)),) * 2)
    for i in range(int(first), int(first) + int(count)):
        where = path[:-1] + str(i) if path.endswith("#") else path
        files[name + str(i)] = os.open(where, HOW[how])


def count_limit(count):
    return max(resource.getrlimit(resource.RLIMIT_NOFILE)[1], len(files) + count + 50)


def close_all():
    while files:
        os.close(files.popitem()[1])


def read(name, size):
    """All of what a read of that size gives: its length and, when short, the bytes."""
    data = os.read(files[name], int(size))
    return str(len(data)) + (" " + data.decode().strip() if len(data) < 100 else "")


def rest(name):
    """Everything up to the end: length and digest."""
    size, digest = 0, hashlib.md5()
    while data := os.read(files[name], 1 << 20):
        size += len(data)
        digest.update(data)
    return f"{size} {digest.hexdigest()}"


def write(name, text):
    return str(os.write(files[name], text.encode()))


def fill(name, letter, size):
    """That many bytes in one call."""
    return str(os.write(files[name], letter.encode() * int(size)))


def poll(name):
    """For ever: a file of a disk is always ready."""
    poller = select.poll()
    poller.register(files[name])
    return "ready" if poller.poll() else "nothing"


def some(name, path, count):
    """The next so many entries of a listing that is begun with its first use."""
    if name not in listings:
        listings[name] = os.scandir(path)
    listing = listings[name]
    return " ".join(entry.name for _, entry in zip(range(int(count)), listing))


CALLS = {
    "open": open_one,
    "open_many": open_many,
    "close": lambda name: os.close(files.pop(name)),
    "close_all": close_all,
    "read": read,
    "rest": rest,
    "write": write,
    "fill": fill,
    "fsync": lambda name: os.fsync(files[name]),
    "lock": lambda name: fcntl.flock(files[name], fcntl.LOCK_EX),
    "unlock": lambda name: fcntl.flock(files[name], fcntl.LOCK_UN),
    "poll": poll,
    "stat": lambda path: str(os.stat(path).st_size),
    "fstat": lambda name: str(os.fstat(files[name]).st_size),
    "list": lambda path: " ".join(sorted(os.listdir(path))),
    "names": lambda name: " ".join(sorted(os.listdir(files[name]))),
    "some": some,
    "mkdir": os.mkdir,
    "unlink": os.unlink,
    "rename": os.rename,
    "truncate": lambda path, size: os.truncate(path, int(size)),
    "cd": os.chdir,
}

for line in sys.stdin:
    call, *arguments = line.split()
    try:
        result = CALLS[call](*arguments)
        print("ok" if result is None else result, flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
