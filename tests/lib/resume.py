"""A watcher that is cut off and resumes, again and again, while keys change.

    resume.py URL ROUNDS

Watches the directory `resume` with Last-Event-ID and since in turn, leaving after a
random number of bytes (also in the middle of an event), until it has been cut off ROUNDS
times and has seen the change to `resume/end`. Meanwhile two writers count in two keys,
and a transaction moves several keys in one revision. Every value must come exactly once,
in order.
"""

import http.client
import json
import random
import socket
import sys
import threading

url, rounds = sys.argv[1], int(sys.argv[2])
address = url.removeprefix("http://")
enough = threading.Event()
counts = {}
failures = []


def request(connection, method, path, body=None):
    connection.request(method, path, body)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 201, 204):
        raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")
    return text


def write(name):
    """Count in a key; every tenth time make a directory of three keys and move it, which is
    many events in one revision."""
    connection = http.client.HTTPConnection(address, timeout=30)
    number = 0
    try:
        while not enough.is_set():
            number += 1
            request(connection, "PUT", f"/v1/keys/resume/{name}", str(number))
            if number % 10 == 0:
                for child in range(3):
                    request(connection, "PUT", f"/v1/keys/resume/{name}-tree/{child}", "x")
                request(connection, "POST",
                        f"/v1/keys/resume/{name}-tree?op=rename&to=resume/{name}-{number}", "")
                request(connection, "DELETE",
                        f"/v1/keys/resume/{name}-{number}?recursive=1")
    except Exception as error:  # pylint: disable=broad-except
        failures.append(f"writer {name}: {error!r}")
    counts[name] = number


class Watcher:
    def __init__(self):
        self.position = None  # the id of the last whole event
        self.frames = []
        self.cuts = 0

    def connect(self):
        headers = {"Accept": "text/event-stream"}
        path = "/v1/watch?dir=resume&since=0"
        if self.position and self.cuts % 2:
            headers["Last-Event-ID"] = self.position
            path = "/v1/watch?dir=resume"
        elif self.position:
            path = "/v1/watch?dir=resume&since=" + self.position
        connection = http.client.HTTPConnection(address, timeout=30)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"watch {path}: {answer.status} {answer.read()!r}")
        return connection, answer

    def frame(self, text):
        fields = {}
        for line in text.split("\n"):
            name, _, value = line.partition(": ")
            if name and not line.startswith(":"):
                fields[name] = value
        if "data" not in fields:
            return False
        data = json.loads(fields["data"])
        self.position = fields["id"]
        self.frames.append((fields["id"], fields["event"], data))
        return data["key"] == "resume/end"

    def watch_until_cut(self, size):
        connection, answer = self.connect()
        buffer = ""
        taken = 0
        try:
            while taken < size:
                piece = answer.read1(min(500, size - taken))
                if not piece:
                    break
                taken += len(piece)
                buffer += piece.decode()
                while "\n\n" in buffer:
                    text, buffer = buffer.split("\n\n", 1)
                    if self.frame(text):
                        return True
        finally:
            # Not a polite close: the daemon learns of it by a reset.
            if connection.sock:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           b"\1\0\0\0\0\0\0\0")
            answer.close()
            connection.close()
        self.cuts += 1
        return False


def check(watcher):
    last = {"a": 0, "b": 0}
    position = (0, 0)
    for identifier, event, data in watcher.frames:
        if data["type"] != event:
            failures.append(f"event: {event} with type {data['type']}")
        revision, dot, index = identifier.partition(".")
        if int(revision) != int(data["revision"]):
            failures.append(f"id {identifier} with revision {data['revision']}")
        here = (int(revision), int(index) if dot else 1 << 32)
        if here <= position:
            failures.append(f"id {identifier} after {position}")
        position = here
        name = data["key"].removeprefix("resume/")
        if name in last:
            if int(data["value"]) != last[name] + 1:
                failures.append(f"{name}: {data['value']} after {last[name]}")
            last[name] = int(data["value"])
    if last != counts:
        failures.append(f"seen {last}, written {counts}")


watcher = Watcher()
writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
setup = http.client.HTTPConnection(address, timeout=30)
request(setup, "PUT", "/v1/keys/resume/begin", "")
for writer in writers:
    writer.start()
done = False
try:
    while watcher.cuts < rounds and not failures:
        watcher.watch_until_cut(random.randrange(1, 4000))
    enough.set()
    for writer in writers:
        writer.join()
    request(setup, "PUT", "/v1/keys/resume/end", "")
    done = watcher.watch_until_cut(1 << 40)
except Exception as error:  # pylint: disable=broad-except
    failures.append(repr(error))
    enough.set()
    for writer in writers:
        writer.join()
if not done:
    failures.append("the last event did not come")
check(watcher)
renames = sum(1 for _, event, data in watcher.frames if event == "rename")
if not renames:
    failures.append("no rename was seen")
print(f"{len(watcher.frames)} events, {renames} renames, {watcher.cuts} cuts, {counts}")
for failure in failures[:20]:
    print(failure)
sys.exit(1 if failures else 0)
