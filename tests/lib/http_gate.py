#!/usr/bin/env python3
"""What the HTTP front-end answers to raw bytes: what it must refuse, and what it must not.

KVFS_URL names the daemon, KVFS_SOCKET (optional) its Unix socket. Prints TAP lines; the exit
status is 1 when one failed."""

import os
import re
import select
import socket
import sys
import time
import urllib.parse

url = urllib.parse.urlsplit(os.environ["KVFS_URL"])
address = (url.hostname, url.port)
host = f"{url.hostname}:{url.port}".encode()
count = failed = 0


def ok(name, good, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {name}", flush=True)
    if not good:
        print("# " + str(why).replace("\n", "\n# "), flush=True)


class Client:
    """One connection; reads answers one by one."""

    def __init__(self, path=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(30)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection(address, timeout=30)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer says why
        return self

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

    def answer(self, head_only=False):
        """(status, headers, body) or None at the end."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        status = int(lines[0].split()[1])
        length = int(headers.get("content-length", 0))
        if head_only or status in (100, 204, 304):
            length = 0
        while len(self.buffer) < length and self.fill():
            pass
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, headers, body

    def at_end(self):
        """Nothing more comes, and the daemon has closed."""
        while self.fill():
            pass
        return self.buffer == b""


def refused(name, data, status=400, code="bad_request"):
    """The answer is status, and what follows in the same segment is not another request."""
    client = Client().send(data + b"GET /v1/keys/second HTTP/1.1\r\nHost: " + host +
                           b"\r\n\r\n")
    answer = client.answer()
    if answer is None:
        return ok(name, False, "no answer")
    good = answer[0] == status and (code is None or f'"{code}"'.encode() in answer[2])
    # The library's own error pages (code None) may repeat their head in the body.
    ended = client.at_end() if code else not (client.fill() and b"second" in client.buffer)
    ok(name, good and ended, f"{answer} then {client.buffer[:200]}")


def request(line, *headers, body=b"", host_line=True):
    lines = [line] + ([b"Host: " + host] if host_line else []) + list(headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def answers(name, data, *statuses, path=None):
    """The answers are these, on one connection that stays open."""
    client = Client(path).send(data)
    got = [client.answer() for _ in statuses]
    seen = tuple(answer and answer[0] for answer in got)
    ok(name, seen == statuses, f"{seen}: {got}")
    return got


PUT = b"PUT /v1/keys/gate/put HTTP/1.1"
GET = b"GET /v1/keys/gate/put HTTP/1.1"

# The slow ones first; their clocks run while the others are tried.
dripping = Client().send(b"GET / HTTP/1.1\r\nX-Slow: ")
drip_start = time.monotonic()
stream = Client().send(request(b"GET /v1/watch?key=gate/none HTTP/1.1"))
stream_answer = stream.answer(head_only=True)
stream_start = time.monotonic()
ok("a watch is established at once",
   stream_answer and stream_answer[0] == 200 and
   stream_answer[1].get("content-type") == "text/event-stream" and
   stream.until(b"\n\n") is not None, stream_answer)

# -- Where a request ends must be said in one way --

refused("two different Content-Length",
        request(PUT, b"Content-Length: 3", b"Content-Length: 4", body=b"abc"))
refused("two equal Content-Length",
        request(PUT, b"Content-Length: 3", b"Content-Length: 3", body=b"abc"))
refused("a list in Content-Length",
        request(PUT, b"Content-Length: 3, 3", body=b"abc"), code=None)
for value in (b"+3", b"-3", b"0x3", b"3 4", b"three", b"", b"18446744073709551616"):
    refused(f"Content-Length: {value.decode()}",
            request(PUT, b"Content-Length: " + value, body=b"abc"),
            413 if len(value) > 10 else 400, None)
refused("Content-Length with Transfer-Encoding",
        request(PUT, b"Content-Length: 3", b"Transfer-Encoding: chunked",
                body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("Transfer-Encoding with Content-Length, the other way round",
        request(PUT, b"Transfer-Encoding: chunked", b"Content-Length: 3",
                body=b"3\r\nabc\r\n0\r\n\r\n"))
for value in (b"gzip", b"identity", b"gzip, chunked", b"chunked, chunked", b"xchunked", b""):
    refused(f"Transfer-Encoding: {value.decode()}",
            request(PUT, b"Transfer-Encoding: " + value, body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("two Transfer-Encoding",
        request(PUT, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
                body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("Transfer-Encoding in HTTP/1.0",
        request(b"PUT /v1/keys/gate HTTP/1.0", b"Transfer-Encoding: chunked",
                body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("a chunk size that is no number",
        request(PUT, b"Transfer-Encoding: chunked", body=b"xyz\r\nabc\r\n0\r\n\r\n"),
        code=None)

# -- Header lines --

refused("a blank before the colon", request(PUT, b"Content-Length : 3", body=b"abc"))
refused("a tab before the colon", request(PUT, b"Content-Length\t: 3", body=b"abc"))
refused("a blank in a name", request(GET, b"X Header: 1"))
refused("a blank before the first name",
        request(GET, b" X-Header: 1", b"Host: " + host, host_line=False))
refused("a folded header", request(GET, b"X-Header: 1", b" 2"))
refused("a folded Transfer-Encoding",
        request(PUT, b"Transfer-Encoding:", b" chunked", body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("an empty name", request(GET, b": 1"))
refused("a header without a colon", request(GET, b"X-Header"), code=None)
refused("NUL in a value", request(GET, b"X-Header: a\0b"))
refused("NUL at the end of a value", request(GET, b"X-Header: a\0"))
refused("NUL in the value of the last header", request(GET, b"X-Header: a\0bc"))
refused("NUL in a name", request(GET, b"X-He\0ader: a"), code=None)
refused("NUL in Content-Length", request(PUT, b"Content-Length: 3\0", body=b"abc"))
refused("a control character in a value", request(GET, b"X-Header: a\x01b"))
refused("a bare CR in a value", request(GET, b"X-Header: a\rb"))
refused("If-Match twice", request(GET, b'If-Match: "1"', b'If-Match: "2"'))
answers("bytes above 127 in a value are allowed",
        request(b"GET / HTTP/1.1", b"X-Header: gr\xc3\xbc\xc3\x9fe"), 200)
answers("blanks around a value are allowed",
        request(b"GET / HTTP/1.1", b"X-Header:\t a b \t ", b"X-Empty:",
                b"X-Blank:  "), 200)
answers("... and do not belong to it",
        request(GET, b"Host: " + host + b" \t", b"If-Match: * ", b"Range: bytes=0-1\t",
                host_line=False) +
        request(b"GET /v1/watch HTTP/1.1", b"Last-Event-ID: x", b"Origin: http://" + host + b" "),
        404, 400)
refused("... but behind Transfer-Encoding", request(
    PUT, b"Transfer-Encoding: chunked ", body=b"3\r\nabc\r\n0\r\n\r\n"))
refused("a header line that ends in a bare LF", b"GET / HTTP/1.1\r\nHost: " + host +
        b"\nX-Header: 1\r\n\r\n")
refused("a request line that ends in a bare LF", b"GET / HTTP/1.1\nHost: " + host +
        b"\r\n\r\n")
refused("more headers than fit", request(GET, *[b"X-%d: %s" % (i, b"v" * 1000)
                                                for i in range(64)]), 431, None)
refused("a request line longer than fits", request(b"GET /" + b"a" * 65536 + b" HTTP/1.1"),
        414, None)

# -- Host --

refused("no Host", request(GET, host_line=False))
refused("two Host", request(GET, b"Host: localhost"))
refused("two equal Host", request(GET, b"Host: " + host))
answers("HTTP/1.0 needs no Host", request(b"GET / HTTP/1.0", host_line=False), 200)
for name in (b"evil.example", b"evil.example:5000", b"localhost.evil.example",
             b"127.0.0.1.evil.example", b"localhost:5000.evil.example", b"", b"[::1",
             b"localhost@evil.example"):
    refused(f"Host: {name.decode()}",
            request(b"GET / HTTP/1.1", b"Host: " + name, host_line=False), 403,
            "host_not_allowed")
for name in (b"localhost", b"LOCALHOST:1234", b"127.0.0.1", b"[::1]:5000", b"10.1.2.3:80"):
    answers(f"Host: {name.decode()}",
            request(b"GET / HTTP/1.1", b"Host: " + name, host_line=False), 200)
answers("absolute-form", request(b"GET http://localhost:5000/healthz HTTP/1.1"), 200)
refused("absolute-form of another host",
        request(b"GET http://evil.example/healthz HTTP/1.1"), 403, "host_not_allowed")

# -- Origin --

for origin in (b"http://evil.example", b"null", b"http://localhost:1",
               b"http://" + host + b".evil.example", b"file://", b""):
    refused(f"Origin: {origin.decode()}", request(PUT, b"Origin: " + origin), 403,
            "origin_not_allowed")
for scheme in (b"http://", b"https://"):
    answers(f"the daemon's own Origin, {scheme.decode()}",
            request(b"GET / HTTP/1.1", b"Origin: " + scheme + host), 200)
if "KVFS_SOCKET" in os.environ:
    answers("on the Unix socket any Host and Origin will do",
            request(b"GET / HTTP/1.1", b"Host: evil.example", b"Origin: null",
                    host_line=False), 200, path=os.environ["KVFS_SOCKET"])

# -- The request target --

refused("a blank in the target", request(b"GET /v1/keys/a b HTTP/1.1"))
refused("NUL in the target", request(b"GET /v1/keys/a\0b HTTP/1.1"))
refused("a control character in the target", request(b"GET /v1/keys/a\x01b HTTP/1.1"))
for escape in (b"%zz", b"%", b"%4", b"%%30"):
    refused(f"{escape.decode()} in the path", request(b"GET /v1/keys/a" + escape +
                                                     b" HTTP/1.1"))
    refused(f"{escape.decode()} in the query", request(b"GET /v1/keys?dir=a" + escape +
                                                      b" HTTP/1.1"))
refused("a target without a slash", request(b"GET v1/keys HTTP/1.1"))
refused("the target *", request(b"OPTIONS * HTTP/1.1"))
refused("a parameter twice", request(b"GET /v1/keys?dir=a&dir=b HTTP/1.1"))


def put(target, body=b"", *headers):
    return request(b"PUT " + target + b" HTTP/1.1", b"Content-Length: %d" % len(body),
                   *headers, body=body)


def get(target, *headers):
    return request(b"GET " + target + b" HTTP/1.1", *headers)


got = answers("%00 in a key is a broken rule", get(b"/v1/keys/a%00b"), 400)[0]
ok("... which the answer names", got and b'"invalid_key"' in got[2] and b"NUL" in got[2], got)
got = answers("a misspelt parameter", put(b"/v1/keys/gate/tll?tll=60s", b"v"), 400)[0]
ok("... is named", got and b'"invalid_parameter"' in got[2] and b"tll" in got[2], got)
answers("... and stores nothing", get(b"/v1/keys/gate/tll"), 404)
answers("%2F is a slash, and decoded once",
        put(b"/v1/keys/gate%2Fone", b"1") + get(b"/v1/keys/gate/one") +
        put(b"/v1/keys/gate/%252F", b"2") + get(b"/v1/keys/gate/%252F") +
        get(b"/v1/keys/gate/%2f"), 201, 200, 201, 200, 400)
answers("a plus in the path is a plus",
        put(b"/v1/keys/gate/a+b", b"1") + get(b"/v1/keys/gate/a%2Bb") +
        get(b"/v1/keys/gate/a%20b"), 201, 200, 404)
got = answers("... and a blank in the query", get(b"/v1/keys?prefix=gate/a%2B&limit=1") +
              get(b"/v1/keys?prefix=gate/a+"), 200, 200)
ok("... as forms write it", b'"gate/a+b"' in got[0][2] and b'"keys":[]' in got[1][2], got)
got = answers("16 parameters are looked at", get(b"/v1/keys?" + b"&".join(
    b"p%d=1" % i for i in range(16))), 400)[0]
ok("... and the first unknown one named", got and b"p0" in got[2], got)
refused("17 parameters", get(b"/v1/keys?" + b"&".join(b"p%d=1" % i for i in range(17))))
answers("/../ is a broken rule, not a path", get(b"/v1/keys/a/../b"), 400)

# -- Framing that must work --

answers("pipelined requests are all answered",
        put(b"/v1/keys/gate/p", b"abc") + get(b"/v1/keys/gate/p") * 3 +
        get(b"/v1/keys/gate/none") + get(b"/healthz"), 201, 200, 200, 200, 404, 200)
got = answers("chunked, with extensions and trailers",
              request(b"PUT /v1/keys/gate/chunked HTTP/1.1", b"Transfer-Encoding: Chunked",
                      body=b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n") +
              get(b"/v1/keys/gate/chunked"), 201, 200)
ok("... is put together", got[1] and got[1][2] == b"abcde", got)
client = Client()
for byte in put(b"/v1/keys/gate/bytes", b"one by one"):
    client.send(bytes([byte]))
client.send(get(b"/v1/keys/gate/bytes"))
got = [client.answer(), client.answer()]
ok("a request byte by byte", got[0] and got[0][0] == 201 and got[1][2] == b"one by one", got)
answers("a body that is not wanted does not spoil the next request",
        put(b"/nowhere", b"x" * 5000) + request(b"GET /healthz HTTP/1.1",
                                                b"Content-Length: 3", body=b"abc") +
        get(b"/healthz"), 404, 200, 200)
client = Client().send(request(PUT, b"Content-Length: 2", b"Expect: 100-continue"))
got = client.answer()
ok("Expect: 100-continue is answered", got and got[0] == 100, got)
got = client.send(b"ok").answer()
ok("... and then the request", got and got[0] == 201, got)
client = Client().send(request(PUT, b"Content-Length: 999999999999",
                               b"Expect: 100-continue"))
got = client.answer()
ok("a body that is too large is refused before it is sent",
   got and got[0] == 413 and b'"too_large"' in got[2] and client.at_end(), got)


def unsent(name, line, length, status, text, *headers):
    """A body of that length is refused before it is sent."""
    announced = b"Content-Length: %d" % length
    client = Client().send(request(line + b" HTTP/1.1", announced, b"Expect: 100-continue",
                                   *headers))
    got = client.answer()
    ok(name, got and got[0] == status and text in got[2] and client.at_end(), got)


long = 8 * 1024 * 1024 + 1
io = b"/socket.io/?EIO=4&transport=polling"
token = re.search(rb'"token":"([^"]+)', Client().send(get(b"/api/auth")).answer()[2])[1]
token = b"X-Access-Tokens: " + token
sid = re.search(rb'"sid":"([^"]+)', Client().send(get(io)).answer()[2])[1]
unsent("... too large for a transaction", b"POST /v1/txn", long, 413, b'"too_large"')
unsent("... for key-value-store: PUT", b"PUT /kv", long, 413, b'"status_code": 413')
unsent("... for key-value-store: GET", b"GET /kv", long, 413, b'"status_code": 413')
unsent("... for KV-Store", b"PUT /key/insert", long, 413, b'{"message":"the request body')
unsent("... for KVApp: insert", b"POST /api/insert", long, 413, b'{"msg":"the request', token)
unsent("... for KVApp: search", b"GET /api/search", long, 413, b'{"msg":"the request', token)
unsent("... for Socket.IO", b"POST " + io + b"&sid=" + sid, 1000001, 400, b'"Bad request"')
unsent("a body for a session that is none is not asked for", b"POST " + io + b"&sid=none", 2,
       400, b'"Session ID unknown"')
unsent("... nor one without a token: insert", b"POST /api/insert", 2, 400,
       b'"token is missing"')
unsent("... with a wrong one: search", b"GET /api/search", 2, 400, b'"token is invalid"',
       b"X-Access-Tokens: wrong")
for target in b"POST /v1/txn", b"PUT /kv", b"PUT /key/insert":
    answers(f"{target.decode()}: what is too large and had no length",
            request(target + b" HTTP/1.1", b"Transfer-Encoding: chunked",
                    body=b"%x\r\n" % long + b" " * long + b"\r\n0\r\n\r\n"), 413)
client = Client().send(request(b"HEAD /v1/keys/gate/p HTTP/1.1") + get(b"/healthz"))
got = [client.answer(head_only=True), client.answer()]
ok("HEAD has the length and no body",
   got[0] and got[0][1].get("content-length") == "3" and got[1] and got[1][0] == 200, got)
answers("a method that nobody knows", request(b"BREW /v1/keys/gate HTTP/1.1"), 405)
got = answers("a method that does not go here", request(b"DELETE /v1/status HTTP/1.1"), 405)[0]
ok("... is told which do", got and got[1].get("allow") == "GET, HEAD", got)
refused("a version that is none", request(b"GET / HTTP/1,1"), code=None)

# -- Conditions --

tag = answers("PUT gives a tag", put(b"/v1/keys/gate/c", b"1"), 201)[0][1]["etag"].encode()
answers("If-None-Match: * on a key that exists",
        put(b"/v1/keys/gate/c", b"2", b"If-None-Match: *"), 412)
answers("If-Match with another tag", put(b"/v1/keys/gate/c", b"2", b'If-Match: "1"'), 412)
answers("If-Match with a weak tag never matches",
        put(b"/v1/keys/gate/c", b"2", b"If-Match: W/" + tag), 412)
answers("If-Match without quotes is a mistake",
        put(b"/v1/keys/gate/c", b"2", b"If-Match: " + tag.strip(b'"')), 400)
tags = b", ".join(b'"%d"' % (9000000 + i) for i in range(32))
answers("a list of 32 tags", put(b"/v1/keys/gate/c", b"2", b"If-Match: " + tags), 412)
answers("one of 33", put(b"/v1/keys/gate/c", b"2", b"If-Match: " + tags + b', "9"'), 400)
answers("If-None-Match with the tag", get(b"/v1/keys/gate/c", b"If-None-Match: " + tag), 304)
answers("... in a list, weak",
        get(b"/v1/keys/gate/c", b'If-None-Match: "x", W/' + tag), 304)
answers("... on a PUT", put(b"/v1/keys/gate/c", b"2", b"If-None-Match: " + tag), 412)
got = answers("If-Match with a list that holds the tag",
              put(b"/v1/keys/gate/c", b"3", b'If-Match: "1", "x", ' + tag) +
              get(b"/v1/keys/gate/c"), 200, 200)
ok("... stores", got[1][2] == b"3", got)
answers("... and the old tag is gone",
        put(b"/v1/keys/gate/c", b"4", b'If-Match: "1", ' + tag), 412)
answers("If-Match: * on a key that does not exist",
        put(b"/v1/keys/gate/none", b"1", b"If-Match: *"), 412)
answers('If-Match: "0" on a key that does not exist',
        put(b"/v1/keys/gate/none", b"1", b'If-Match: "0"'), 412)
answers("DELETE with another tag",
        request(b"DELETE /v1/keys/gate/c HTTP/1.1", b"If-Match: " + tag), 412)
answers("DELETE with If-Match: *",
        request(b"DELETE /v1/keys/gate/c HTTP/1.1", b"If-Match: *"), 204)
answers("If-Unmodified-Since is not ignored",
        put(b"/v1/keys/gate/c", b"1", b"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
        400)

# -- Ranges --

answers("a value to take ranges of", put(b"/v1/keys/gate/r", b"0123456789"), 201)
for header, status, body in ((b"bytes=2-4", 206, b"234"), (b"bytes=7-", 206, b"789"),
                             (b"bytes=-3", 206, b"789"), (b"bytes=0-99", 206, b"0123456789"),
                             (b"bytes=10-", 416, None), (b"bytes=-0", 416, None),
                             (b"bytes=4-2", 200, b"0123456789"),
                             (b"bytes=0-1,3-4", 200, b"0123456789"),
                             (b"lines=1-2", 200, b"0123456789")):
    got = answers(f"Range: {header.decode()}",
                  get(b"/v1/keys/gate/r", b"Range: " + header), status)[0]
    ok("... the bytes", body is None or got[2] == body, got)
answers("a range of another version is the whole value",
        get(b"/v1/keys/gate/r", b"Range: bytes=2-4", b'If-Range: "1"'), 200)

# -- The slow ones --


def closed_within(client, seconds):
    """Send a byte now and then; when it was closed, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.send(b"x")
        if select.select([client.socket], [], [], 1)[0] and not client.fill():
            return time.monotonic()
    return None


closed = closed_within(dripping, 30)
took = closed and closed - drip_start
ok("headers that never end are cut off, however busy the client", took and 5 < took < 25, took)
got = stream.until(b": keep-alive")
took = time.monotonic() - stream_start
got = got is not None and stream.until(b"\n\n")
ok("a watch that has nothing to say gives a sign of life", 10 < took < 28, took)
progress = re.search(rb"event: progress\nid: (\d+)", got or b"")
ok("... and tells how far it has got", progress is not None, got)

print(f"1..{count}")
sys.exit(failed > 0)
