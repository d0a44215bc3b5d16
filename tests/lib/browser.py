"""A headless Chromium that does what it is told: browser.py CHROMIUM PROFILE-DIRECTORY.

Each line on stdin is a call; each line on stdout is its result: "ok", a text without line
ends, or "error: ...". The browser is spoken to by the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/).

Whatever the page should not do is kept: what it logs as an error, what its
Content-Security-Policy refused, and requests to anybody but the daemon.
"""
import base64
import json
import os
import subprocess
import sys
import time

import websocket

DEADLINE = float(os.environ.get("BROWSER_DEADLINE", "20"))

# Keys that are no character: their name in the protocol and their code.
KEYS = {"Enter": 13, "Escape": 27, "Delete": 46, "Tab": 9, "Home": 36, "End": 35,
        "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "F2": 113,
        "Backspace": 8}
MODIFIERS = {"Alt": 1, "Ctrl": 2, "Meta": 4, "Shift": 8}

# Calls that take the rest of their line as it is.
WHOLE = ("eval", "until", "type", "click")


class Problem(Exception):
    """What a call says instead of a result."""


class Browser:
    """One browser with one page."""

    def __init__(self, program, profile):
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update",
             "--disable-default-apps", "--disable-sync", "--no-default-browser-check",
             "--hide-scrollbars", "--force-prefers-reduced-motion",
             "--remote-debugging-port=0", "--remote-allow-origins=*",
             f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.number = 0
        self.events = []
        self.complaints = []
        self.origin = None
        address = self._address()
        self.socket = websocket.create_connection(address, timeout=2 * DEADLINE)
        # One of our own: the first may be a part of the browser's window.
        page = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=page,
                                flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def _address(self):
        """It says so itself."""
        for line in self.process.stderr:
            if line.startswith("DevTools listening on "):
                return line.split()[-1]
        raise Problem("the browser did not start")

    session = None

    def ask(self, method, **parameters):
        """One command and its answer; events in between are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Problem(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        """Keep what the page should not have done."""
        method, what = event.get("method"), event.get("params", {})
        self.events.append(method)
        if method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.complaints.append("exception: " + text)
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            entry = what["entry"]
            # A status of 400 and more is logged, too; the page deals with it.
            if entry["source"] != "network" or "Content Security" in entry["text"]:
                self.complaints.append(f"{entry['source']}: {entry['text']}")
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "assert"):
            self.complaints.append("console: " + str(what["args"]))
        elif method == "Network.requestWillBeSent":
            address = what["request"]["url"]
            own = (f"{self.origin}/", "blob:", "data:")
            if self.origin and not address.startswith(own):
                self.complaints.append("request: " + address)

    def wait_event(self, method):
        """Until it has come since the last call of forget_events."""
        until = time.monotonic() + DEADLINE
        while method not in self.events:
            if time.monotonic() > until:
                raise Problem(f"no {method} within {DEADLINE} s")
            self.note(json.loads(self.socket.recv()))

    # -- Calls --

    def open(self, address):
        """Go to an address; all further requests must go there, too."""
        self.origin = "/".join(address.split("/")[:3])
        self.events.clear()
        if "loaderId" in self.ask("Page.navigate", url=address):  # not just its #part
            self.wait_event("Page.loadEventFired")

    def eval(self, expression):
        """The value of an expression in the page."""
        result = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True,
                          returnByValue=True)
        if "exceptionDetails" in result:
            raise Problem(result["exceptionDetails"]["exception"]["description"])
        value = result["result"].get("value")
        return value if isinstance(value, str) else json.dumps(value)

    def until(self, expression):
        """Until an expression is true; it is looked at after each frame."""
        found = self.eval(f"""new Promise((resolve) => {{
            const until = performance.now() + {DEADLINE * 1000};
            const look = () => {{
                let value = null;
                try {{ value = ({expression}); }} catch (error) {{ value = null; }}
                if (value) resolve('yes');
                else if (performance.now() > until) resolve('no');
                else setTimeout(look, 10);
            }};
            look();
        }})""")
        if found != "yes":
            raise Problem(f"not within {DEADLINE} s: {expression}")

    def press(self, *keys):
        """Keys one after the other: Enter, e, Ctrl+s."""
        for key in keys:
            *modifiers, name = key.split("+") if len(key) > 1 else [key]
            bits = sum(MODIFIERS[modifier] for modifier in modifiers)
            event = {"key": name, "modifiers": bits}
            if name in KEYS:
                event["windowsVirtualKeyCode"] = KEYS[name]
                event["code"] = name
            else:
                event["windowsVirtualKeyCode"] = ord(name.upper())
            if name == "Enter":
                event["text"] = "\r"
            elif name not in KEYS and not modifiers:
                event["text"] = name
            self.ask("Input.dispatchKeyEvent", type="keyDown", **event)
            event.pop("text", None)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        """Into what has the focus."""
        self.ask("Input.insertText", text=text)

    def click(self, selector):
        """On the middle of an element, as soon as it is there."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.until(f"{element}?.checkVisibility()")
        box = json.loads(self.eval(
            f"(() => {{ const e = {element}; e.scrollIntoView({{block: 'nearest'}});"
            "const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"))
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1],
                     button="left", clickCount=1)

    def size(self, width, height, mobile="no"):
        """Of the window, or of a phone."""
        self.ask("Emulation.setDeviceMetricsOverride", width=int(width),
                 height=int(height), deviceScaleFactor=2 if mobile == "mobile" else 1,
                 mobile=mobile == "mobile")

    def scheme(self, name):
        """light or dark, as the system would say."""
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": name}])

    def shot(self, path):
        """A picture of the window."""
        data = self.ask("Page.captureScreenshot")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def complaints_so_far(self):
        """All of them in one line."""
        self.ask("Runtime.evaluate", expression="0")  # what came before it is heard
        return " | ".join(self.complaints).replace("\n", " ") or "none"

    def close(self):
        """The browser ends."""
        self.session = None
        self.ask("Browser.close")
        self.process.wait(DEADLINE)


def main():
    browser = Browser(*sys.argv[1:])
    calls = {"open": browser.open, "eval": browser.eval, "until": browser.until,
             "press": browser.press, "type": browser.type, "click": browser.click,
             "size": browser.size, "scheme": browser.scheme, "shot": browser.shot,
             "complaints": browser.complaints_so_far, "close": browser.close}
    print("ok", flush=True)
    for line in sys.stdin:
        call, _, rest = line.rstrip("\n").partition(" ")
        arguments = [rest] if call in WHOLE else rest.split()
        try:
            if call not in calls:
                raise Problem(f"there is no call '{call}'")
            result = calls[call](*arguments)
            print("ok" if result is None else result.replace("\n", "\\n"), flush=True)
        except (Problem, TypeError, websocket.WebSocketException, OSError) as error:
            print("error: " + str(error).replace("\n", " "), flush=True)


main()
