#!/usr/bin/env python3
"""The WebSocket of /v1/watch, by raw bytes: handshake, frames, and what ends it.

KVFS_URL names the daemon, KVFS_PID is its process. Prints TAP lines; the exit status is 1
when one failed."""

import base64
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import urllib.parse
import urllib.request

url = urllib.parse.urlsplit(os.environ["KVFS_URL"])
host = f"{url.hostname}:{url.port}"
count = failed = 0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def ok(name, good, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        print("# " + str(why).replace("\n", "\n# "), flush=True)


def put(key, value):
    request = urllib.request.Request(f"{url.geturl()}/v1/keys/{key}", value, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["revision"]


def masked(first, payload=b"", length=None):
    """A client's frame; length tells another one than the payload has."""
    mask = os.urandom(4)
    length = len(payload) if length is None else length
    head = bytes([first]) + (bytes([0x80 | length]) if length < 126 else
                             b"\xfe" + struct.pack(">H", length) if length < 65536 else
                             b"\xff" + struct.pack(">Q", length))
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


class WebSocket:
    def __init__(self, target="/v1/watch", *headers, leave_out=(), extra=b"", key=None):
        key = key or base64.b64encode(os.urandom(16)).decode()
        lines = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade",
                 "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
        for header in headers:
            name, _, value = header.partition(": ")
            lines[name] = value
        self.socket = socket.create_connection((url.hostname, url.port), timeout=30)
        text = f"GET {target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
            if name not in leave_out)
        self.socket.sendall(text.encode() + b"\r\n" + extra)
        self.buffer = b""
        head = self.until(b"\r\n\r\n") or b"HTTP/1.1 0"
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, value in
                        (line.split(": ", 1) for line in lines[1:])}
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        self.accepted = self.headers.get("sec-websocket-accept") == \
            base64.b64encode(digest.digest()).decode()
        if self.status != 101 and "content-length" in self.headers:
            self.body = self.take(int(self.headers["content-length"]))

    def fill(self):
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.buffer += piece
        return len(piece) > 0

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                return None
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def take(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                return None
        piece, self.buffer = self.buffer[:size], self.buffer[size:]
        return piece

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))
        return self

    def frame(self):
        """(opcode, payload), or None at the end; the daemon's are whole and not masked."""
        head = self.take(2)
        if head is None:
            return None
        length = head[1]
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        assert head[0] & 0xf0 == 0x80 and length < 1 << 32, head
        return head[0] & 0x0f, self.take(length)

    def message(self):
        got = self.frame()
        return json.loads(got[1]) if got and got[0] == TEXT else got

    def closed(self):
        """The code of the daemon's Close, once it has also closed the connection."""
        code = None
        while True:
            got = self.frame()
            if got is None:
                return code
            if got[0] == CLOSE:
                code = struct.unpack(">H", got[1][:2])[0] if got[1] else "none"
                self.reason = got[1][2:].decode()
                self.socket.shutdown(socket.SHUT_WR)


# Heard of again at the end.
idle = WebSocket("/v1/watch?key=never")

# -- Handshake --

ws = WebSocket(key="dGhlIHNhbXBsZSBub25jZQ==")
ok("the example of RFC 6455 is answered as there",
   ws.status == 101 and
   ws.headers.get("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" and
   ws.headers.get("upgrade") == "websocket" and ws.headers.get("connection") == "Upgrade",
   (ws.status, ws.headers, getattr(ws, "body", None)))
ok("the first message tells the revision", ws.message() == {"type": "open", "revision": 0})
for header in ("Upgrade: WebSocket", "Upgrade: h2c, websocket",
               "Connection: keep-alive, upgrade", f"Origin: http://{host}"):
    ok(f"{header} will do", WebSocket("/v1/watch", header).accepted)


def refused(name, status, code, *headers, target="/v1/watch", leave_out=()):
    got = WebSocket(target, *headers, leave_out=leave_out)
    ok(name, got.status == status and json.loads(got.body)["error"]["code"] == code,
       (got.status, got.headers))
    return got


for version in ("8", "14", "13, 8", "x", ""):
    got = refused(f"version {version}", 426, "upgrade_required",
                  f"Sec-WebSocket-Version: {version}")
ok("... tells which there is", got.headers.get("sec-websocket-version") == "13" and
   got.headers.get("upgrade") == "websocket", got.headers)
refused("no version", 426, "upgrade_required", leave_out=("Sec-WebSocket-Version",))
refused("no key", 400, "bad_request", leave_out=("Sec-WebSocket-Key",))
for key in ("", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ",
            base64.b64encode(b"x" * 15).decode(), base64.b64encode(b"x" * 17).decode()):
    refused(f"the key '{key}'", 400, "bad_request", f"Sec-WebSocket-Key: {key}")
refused("no Connection: Upgrade", 400, "bad_request", leave_out=("Connection",))
refused("a page of another origin", 403, "origin_not_allowed",
        "Origin: http://evil.example")
refused("another Host", 403, "host_not_allowed", "Host: evil.example")
refused("two filters", 400, "invalid_parameter", target="/v1/watch?key=a&dir=b")
got = WebSocket("/v1/watch", "Upgrade: h2c")
ok("another Upgrade is ignored: the stream is one of Server-Sent Events",
   got.status == 200 and got.headers.get("content-type") == "text/event-stream",
   got.headers)
got = WebSocket("/healthz")
ok("elsewhere Upgrade is ignored", got.status == 200, got.status)

# -- Events --

ws = WebSocket("/v1/watch?dir=ws&prev=1")
everything = WebSocket()
for each in (ws, everything):
    each.message()
before = put("ws/a", b"one") - 1
ws.message()
got = ws.message()
ok("a change comes as a message",
   got["type"] == "put" and got["key"] == "ws/a" and got["value"] == "one" and
   got["id"] == str(before + 1), got)
put("elsewhere", b"x")
put("ws/a", b"two")
got = ws.message()
ok("one elsewhere does not, and prev=1 tells what was before",
   got["value"] == "two" and got["previous"]["value"] == "one", got)
put("ws/bytes", b"\xff\x00")
got = ws.message()
ok("bytes that are no text come as base64",
   got["value"] == "/wA=" and got["encoding"] == "base64", got)
put("ws/large", b"x" * 16000)
got = ws.message()
ok("a large value comes whole", got.get("value") == "x" * 16000, got)
again = WebSocket(f"/v1/watch?dir=ws&since={before + 1}")
again.message()
got = [again.message()["key"] for _ in range(3)]
ok("since= resumes behind an id", got == ["ws/a", "ws/bytes", "ws/large"], got)
again = WebSocket("/v1/watch?dir=ws", f"Last-Event-ID: {before + 1}.0")
again.message()
got = again.message()
ok("so does Last-Event-ID", got["id"] == str(before + 1), got)

# -- Frames --

ws = WebSocket("/v1/watch?key=never", extra=masked(0x89, b"early"))
ws.message()
ok("a ping right behind the request is answered", ws.frame() == (PONG, b"early"))
ws.send(masked(0x89, b"x" * 125))
ok("a ping is answered with its payload", ws.frame() == (PONG, b"x" * 125))
ws.send(masked(0x01, b"mess"), masked(0x89, b"between"), masked(0x80, b"age"),
        masked(0x82, b"\xff" * 4000), masked(0x8a, b"unasked"), masked(0x89, b"last"))
got = [ws.frame()]
if got[0][1] != b"last":
    got.append(ws.frame())
ok("messages in parts, bytes and pongs are taken, and the newest ping answered",
   got[-1] == (PONG, b"last"), got)
for byte in masked(0x89, b"slowly"):
    ws.send(bytes([byte]))
ok("a ping byte by byte", ws.frame() == (PONG, b"slowly"))
ws.send(masked(0x88, struct.pack(">H", 4000) + b"bye"))
ok("a Close is answered with its code", ws.closed() == 4000)
ws = WebSocket("/v1/watch?key=never").send(masked(0x88))
ok("one without a code with none", ws.closed() == "none")


def broken(name, code, *frames):
    got = WebSocket("/v1/watch?key=never").send(*frames)
    closed = got.closed()
    ok(f"{name}: {code}", closed == code and got.reason, closed)


broken("a frame that is not masked", 1002, b"\x81\x02hi")
broken("a reserved bit", 1002, masked(0xc1, b"x"))
broken("an unknown kind", 1002, masked(0x83, b"x"))
broken("a continuation of nothing", 1002, masked(0x80, b"x"))
broken("a message within a message", 1002, masked(0x01, b"x"), masked(0x81, b"x"))
broken("a ping in parts", 1002, masked(0x09, b"x"))
broken("a ping of 126 bytes", 1002, masked(0x89, b"x" * 126))
broken("a length with leading zeros", 1002, b"\x81\xfe\x00\x05mask")
broken("half a code in a Close", 1002, masked(0x88, b"x"))
broken("a code that may not be sent", 1002, masked(0x88, struct.pack(">H", 1006)))
broken("text that is not UTF-8", 1007, masked(0x81, b"\xff"))
broken("a message of 4097 bytes", 1009, masked(0x82, b"x" * 4097))
broken("... in parts", 1009, masked(0x02, b"x" * 4096), masked(0x80, b"x"))
broken("... that was only announced", 1009, masked(0x82, b"", 1 << 40))
ws = WebSocket("/v1/watch?key=never")
ws.send(masked(0x83), b"x" * 100000)
ok("what follows a broken frame is not looked at", ws.closed() == 1002)

# -- Too late --

for _ in range(100):
    last = put("fill", os.urandom(16000))
ws = WebSocket("/v1/watch?since=1")
got = [ws.message(), ws.message()]
ok("who comes from before the log is told what to do",
   got[1]["type"] == "compacted" and "list the keys" in got[1]["message"] and
   1 < got[1]["oldest_revision"] <= last, got)
ok("... and the code is 4410", ws.closed() == 4410 and ws.reason == "compacted")

# -- Signs of life --

idle.message()
got = [idle.message(), idle.frame()]
ok("a stream to which nothing happens is told how far it has got",
   got[0]["type"] == "progress" and int(got[0]["id"]) > 0, got)
ok("... with a ping", got[1] == (PING, b""), got)

# -- The end --

for _ in range(100):
    WebSocket("/v1/watch?key=never").socket.close()
got = [WebSocket("/v1/watch?key=never") for _ in range(3)]
for each in got:
    each.message()
os.kill(int(os.environ["KVFS_PID"]), signal.SIGTERM)
codes = [each.closed() for each in got]
ok("a daemon that stops says so: 1001", codes == [1001] * 3, codes)

print(f"1..{count}")
sys.exit(failed > 0)
