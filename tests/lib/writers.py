"""Writers for the crash test: over HTTP and on the mount at once, until the daemon dies.

    writers.py URL MOUNT ROUND

Each of six threads owns two keys and writes them in turn: PUT, a file written and
closed, an append, a file replaced by rename, a delete. Every acknowledged state is
printed as a line `KEY STATE` after its acknowledgement, every attempt as `? KEY STATE`
before it; STATE is the MD5 of the value, or `-` for deleted. The first line is `writing`.
"""

import hashlib
import http.client
import os
import sys
import threading

url, mount, turn = sys.argv[1], sys.argv[2], sys.argv[3]
address = url.removeprefix("http://")
lock = threading.Lock()


def say(text):
    with lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def digest(value):
    return "-" if value is None else hashlib.md5(value.encode()).hexdigest()


class Gone(Exception):
    """The daemon is not there any more."""


class OverHTTP:
    def __init__(self):
        self.connection = http.client.HTTPConnection(address, timeout=30)

    def request(self, method, path, body=None, good=(200, 201, 204)):
        try:
            self.connection.request(method, "/v1/keys/" + path, body)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error
        if answer.status not in good:
            say(f"! {method} {path}: {answer.status} {text!r}")
            os._exit(1)

    def put(self, key, value):
        self.request("PUT", key, value)

    def append(self, key, value):
        self.request("POST", key + "?op=append", value)

    def delete(self, key):
        self.request("DELETE", key)


class OnMount:
    def write(self, name, flags, value):
        fd = os.open(os.path.join(mount, name), os.O_WRONLY | os.O_CREAT | flags, 0o644)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)

    def put(self, key, value):
        self.write(key, os.O_TRUNC, value)

    def append(self, key, value):
        self.write(key, os.O_APPEND, value)

    def replace(self, key, value):
        self.write(key + ".new", os.O_TRUNC, value)
        os.rename(os.path.join(mount, key + ".new"), os.path.join(mount, key))

    def delete(self, key):
        os.unlink(os.path.join(mount, key))


def run(number):
    side = OnMount() if number % 2 else OverHTTP()
    filler = "x" * (7 + 900 * number)
    states = {}
    step = 0
    try:
        while True:
            step += 1
            key = f"crash/{number}-{step % 2}"
            value = f"{turn}.{number}.{step}.{filler}"
            act = step // 2 % 5
            before = states.get(key)
            if act == 4 and before is not None:
                after, call = None, lambda: side.delete(key)
            elif act == 2 and before is not None:
                after, call = before + value, lambda: side.append(key, value)
            elif act == 3 and isinstance(side, OnMount):
                after, call = value, lambda: side.replace(key, value)
            else:
                after, call = value, lambda: side.put(key, value)
            say(f"? {key} {digest(after)}")
            call()
            say(f"{key} {digest(after)}")
            states[key] = after
    except (Gone, OSError):
        return


say("writing")
threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
