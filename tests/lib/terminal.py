"""A person at a terminal, for programs that want one.

    terminal.py COMMAND [ARG]... <STEPS

Runs the command on a terminal of its own and does what the steps say, one a line:

    type TEXT       keys, with \\e \\r \\n \\xNN as in python
    see TEXT        wait until the program has shown it
    until COMMAND   wait until this shell command succeeds
    do COMMAND      run it; it must succeed
    kill            SIGKILL
    end [STATUS]    wait until the program ends with this status (0)

Exits 0 when all went so. Otherwise it says which step did not, and what was on the screen.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import time

DEADLINE = 15  # seconds for each step


class Terminal:
    def __init__(self, command):
        self.shown = b""
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.environ["LINES"], os.environ["COLUMNS"] = "24", "80"
            # Who runs in the background of a script ignores them; nobody at a terminal does.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)
            os.execvp(command[0], command)
        self.status = None

    def read(self, seconds):
        """Take in what is shown within that time; False when the program has ended."""
        if not select.select([self.screen], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self.screen, 65536)
        except OSError:  # EIO: nobody has the other side any more
            part = b""
        self.shown += part
        return bool(part)

    def until(self, happened):
        end = time.monotonic() + DEADLINE
        while not happened():
            if time.monotonic() > end:
                return False
            if not self.read(0.05):  # it ended, or is about to
                time.sleep(0.01)
        return True

    def step(self, verb, text):
        if verb == "type":
            keys = text.replace("\\e", "\\x1b").encode().decode("unicode_escape")
            os.write(self.screen, keys.encode())
            return True
        if verb == "see":
            found = self.until(lambda: text.encode() in self.shown)
            self.shown = self.shown.partition(text.encode())[2] if found else self.shown
            return found
        if verb == "until":
            return self.until(lambda: subprocess.run(
                text, shell=True, check=False, stderr=subprocess.DEVNULL).returncode == 0)
        if verb == "do":
            return subprocess.run(text, shell=True, check=False).returncode == 0
        if verb == "kill":
            os.kill(self.pid, signal.SIGKILL)
            return self.ended(-signal.SIGKILL)
        if verb == "end":
            return self.ended(int(text or 0))
        raise ValueError(f"unknown step {verb}")

    def ended(self, status):
        # What it shows is read meanwhile: it would not end before.
        def gone():
            if self.status is None:
                pid, wait_status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(wait_status)
            return self.status is not None
        return self.until(gone) and self.status == status


terminal = Terminal(sys.argv[1:])
for line in sys.stdin.read().splitlines():
    name, _, argument = line.strip().partition(" ")
    if name and not terminal.step(name, argument):
        print(f"not so: {line.strip()} (status {terminal.status})")
        print(terminal.shown[-3000:].decode(errors="replace").encode("unicode_escape")
              .decode())
        if terminal.status is None:
            os.kill(terminal.pid, signal.SIGKILL)
        sys.exit(1)
