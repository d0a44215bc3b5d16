"""After a crash: is every acknowledged write there?

    crash_check.py URL MOUNT STATES LOG

LOG is the output of writers.py for one round, STATES a file with what the rounds before
left (made when missing, brought up to date). A key must hold its last acknowledged state
or, because an answer can be lost, the one that was being tried; over HTTP and on the mount
alike. Prints what is wrong; exit status 1 when something is, or when nothing was written.
"""

import hashlib
import http.client
import json
import os
import sys

url, mount, states_path, log_path = sys.argv[1:5]


def digest(value):
    return hashlib.md5(value).hexdigest()


states = {}
if os.path.exists(states_path):
    with open(states_path) as file:
        states = json.load(file)
allowed = {key: {state} for key, state in states.items()}
acknowledged = 0
wrong = []
with open(log_path) as log:
    for line in log:
        words = line.split()
        if not line.endswith("\n") or line == "writing\n":
            continue
        if words[0] == "!":
            wrong.append(line.strip())
        elif words[0] == "?":
            allowed.setdefault(words[1], {"-"}).add(words[2])
        else:
            allowed[words[0]] = {words[1]}
            acknowledged += 1

connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
for key, possible in sorted(allowed.items()):
    connection.request("GET", "/v1/keys/" + key)
    answer = connection.getresponse()
    value = digest(answer.read())
    if answer.status == 404:
        value = "-"
    elif answer.status != 200:
        value = f"status {answer.status}"
    try:
        with open(os.path.join(mount, key), "rb") as file:
            seen = digest(file.read())
    except FileNotFoundError:
        seen = "-"
    if value not in possible:
        wrong.append(f"{key} is {value}, expected one of {sorted(possible)}")
    if seen != value:
        wrong.append(f"{key} is {seen} on the mount, {value} over HTTP")
    states[key] = value

with open(states_path, "w") as file:
    json.dump(states, file)
if not acknowledged:
    wrong.append("nothing was acknowledged in this round")
print(acknowledged)
for line in wrong:
    print(line, file=sys.stderr)
sys.exit(1 if wrong else 0)
