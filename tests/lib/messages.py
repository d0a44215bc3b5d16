#!/usr/bin/env python3
"""messages.py PORT TOKEN TARGET: the messages of a WebSocket of the daemon, a line for each,
and at its end "closed CODE". Exits 1 when there is none."""

import base64
import os
import socket
import struct
import sys

port, token, target = sys.argv[1:4]
connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
key = base64.b64encode(os.urandom(16)).decode()
connection.sendall(
    f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
stream = connection.makefile("rb")
status = stream.readline().decode().strip()
while stream.readline().strip():
    pass
if " 101 " not in status:
    sys.exit(status)
while True:
    opcode, length = stream.read(2)
    if length == 126:
        length = struct.unpack(">H", stream.read(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", stream.read(8))[0]
    payload = stream.read(length)
    if opcode & 15 == 8:
        print("closed", struct.unpack(">H", payload[:2])[0], flush=True)
        break
    if opcode & 15 == 1:
        print(payload.decode(), flush=True)
