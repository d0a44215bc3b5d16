#!/usr/bin/python3 -I
"""A client of key-value-store's Socket.IO, as that service's own: python-socketio,
long-polling. Prints a line for each thing it is told; ends when it is told to on stdin.

usage: socketio_watch.py URL"""

import sys
import threading

import socketio

client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
whole_line = threading.Lock()  # each event has a thread of its own


def say(*words):
    with whole_line:
        print(*words, flush=True)


@client.event
def connect():
    say('connected')


@client.event
def disconnect():
    say('disconnected')


@client.on('key_update')
def key_update(message):
    say('key_update', message['data'])


client.connect(sys.argv[1], wait_timeout=20)
say('transport', client.transport())
sys.stdin.read()
client.disconnect()
