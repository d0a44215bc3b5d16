#!/usr/bin/env python3
"""Run what a document shows, as it is written, and compare what is printed.

    documented.py --build DIR FILE...        TAP on stdout, one case for a block

A block ```console holds commands behind "$ " or "# ", lines that go on behind "> ", and
what is printed. "..." stands for any lines, "^C" for the key. What differs each time -
times, process ids, random numbers - is made the same on both sides. A block
```console terminal=2 is typed into another terminal, where a command may go on while the
first is used: a later block of that terminal that begins without a prompt shows what it
has printed meanwhile. A block ```sh file=PATH (any language) is put into that file.

Each "## " section has a kvfsd of its own, started as packaging/quickstart starts it, and
new terminals, in a mount and a network namespace: so /mnt/kv, /run/kvfs/kvfs.sock and
localhost:5000 are what the document says, whatever else the machine has there. Run it
under `unshare --mount --net`. Needs root.
"""

import argparse
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

DEADLINE = float(os.environ.get("KV_DEADLINE", 30))
EMPTY = ["/mnt", "/srv", "/run", "/var/backups"]
COPIED = ["/var/lib", "/etc"]

# -- Documents -------------------------------------------------------------------------


class Step:
    """A command and what it prints; the command is None when it is an earlier one."""

    def __init__(self, command):
        self.command = command
        self.expected = []


class Block:
    def __init__(self, line, section, words, text):
        self.line, self.section, self.text = line, section, text
        self.language = words[0]
        self.options = dict(word.partition("=")[::2] for word in words[1:])
        self.terminal = int(self.options.get("terminal", 1))

    def steps(self):
        steps = []
        for line in self.text:
            if line[:2] in ("$ ", "# "):
                steps.append(Step(line[2:]))
            elif line[:1] == ">" and steps and not steps[-1].expected and steps[-1].command:
                steps[-1].command += "\n" + line[2:]
            else:
                if not steps:
                    steps.append(Step(None))
                steps[-1].expected.append(line)
        return steps


def read_blocks(path):
    """The blocks of a document that are to be run."""
    blocks, section, fence = [], "", None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        mark = re.match(r"(```+)\s*(.*)", line)
        if fence and mark and mark[1] == fence and not mark[2]:
            if words and (words[0] == "console" or any(w.startswith("file=") for w in words)):
                blocks.append(Block(begin, section, words, text))
            fence = None
        elif fence:
            text.append(line)
        elif mark:
            fence, words, text, begin = mark[1], mark[2].split(), [], number
        elif line.startswith("## "):
            section = line[3:]
    return blocks


# What differs from run to run, and what stands for it.
SAME = [
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "<time>"),
    (r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT", "<time>"),
    (r"\b[A-Z][a-z]{2} +\d+ \d\d:\d\d\b", "<time>"),
    (r"\b[0-9a-f]{32}\b", "<random>"),
    (r"\bkv_[0-9a-f]{8}_[0-9a-f]{48}\b", "<token>"),
    (r"^[0-9a-f]{8} (?=<time>)", "<id> "),
    (r"\bis held by \S+ pid \d+", "is held by <host> pid <pid>"),
    (r'"sid":"[\w-]{20}"', '"sid":<id>'),
    (r'"pid":\d+', '"pid":<pid>'),
    (r"\S*/kv-edit-\w+", "/tmp/kv-edit-<random>"),
    (r"\x1b\[[0-9;]*m", ""),  # colours
]


def made_same(line):
    for pattern, text in SAME:
        line = re.sub(pattern, text, line)
    return line.rstrip()


def matches(printed, expected):
    """Whether the lines are those; "..." stands for any number of them."""
    if not expected:
        return not printed
    if expected[0] == "...":
        return any(matches(printed[i:], expected[1:]) for i in range(len(printed) + 1))
    return bool(printed) and printed[0] == expected[0] and matches(printed[1:], expected[1:])


# -- The machine -----------------------------------------------------------------------


def hide_the_machine(scratch):
    """Put copies over the places that documents name, which keep what is written to them,
    and start loopback."""
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", scratch], check=True)
    for place in COPIED:
        upper, work = (scratch / f"{kind}{place.replace('/', '-')}" for kind in ("new", "work"))
        upper.mkdir()
        work.mkdir()
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={place},upperdir={upper},workdir={work}", place],
                       check=True)
    for place in EMPTY:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
    up, name = 0x1, b"lo"
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", name, up)
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def mounted():
    with open("/proc/self/mounts") as mounts:
        return [line.split()[1] for line in mounts]


def clear_the_machine(standing):
    """Empty the places; what is mounted beyond `standing` is of a section that broke off."""
    for target in reversed(mounted()):
        if target not in standing:
            subprocess.run(["umount", "-l", target], check=True)
    for place in [*EMPTY, *(f"{place}/kvfs" for place in COPIED)]:
        for entry in pathlib.Path(place).glob("*"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


class Terminal:
    """A shell on a pseudo-terminal that takes its commands from a pipe, so that what is
    printed is there without prompts and echo."""

    def __init__(self, directory, environment, columns=80):
        self.master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        settings[1] &= ~termios.OPOST
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        script, self.commands = os.pipe()
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", f"/dev/fd/{script}"], cwd=directory,
            env=environment, stdin=slave, stdout=slave, stderr=slave, pass_fds=[script],
            preexec_fn=self._take_terminal)
        os.close(slave)
        os.close(script)
        self.printed = ""
        self.status = 0
        self.busy = False
        self.type("trap : INT")  # Ctrl-C is for what runs in it
        self.wait(lambda: not self.busy)
        self.take()

    @staticmethod
    def _take_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def type(self, command):
        self.busy = True
        # What follows shall find the command's status in $?.
        end = """eval 'printf "\\036%d\\036" $?; (exit '$?')'"""
        os.write(self.commands, f"{command}\n{end}\n".encode())

    def interrupt(self):
        os.write(self.master, b"\x03")

    def wait(self, condition):
        """Read until it is so; False when the deadline passes."""
        until = time.monotonic() + DEADLINE
        while not condition():
            left = until - time.monotonic()
            if left <= 0:
                return False
            if not select.select([self.master], [], [], left)[0]:
                continue
            self.printed += os.read(self.master, 65536).decode("utf-8", "replace")
            end = re.search(r"\036(\d+)\036", self.printed)
            if end:
                self.status, self.busy = int(end[1]), False
                self.printed = self.printed[: end.start()] + self.printed[end.end():]
        return True

    def lines(self):
        """What stands there: a line that was begun again, such as a progress bar, is what
        it was last."""
        lines = (line.rstrip("\r") for line in self.printed.split("\n"))
        lines = [made_same(re.sub(r".*\r(\x1b\[K)?", "", line)) for line in lines]
        return lines[:-1] if not lines[-1] else lines

    def take(self):
        """What was printed, which is forgotten."""
        lines, self.printed = self.lines(), ""
        return lines

    def close(self):
        """End the shell and what runs in it, as closing its window does."""
        self.shell.send_signal(signal.SIGKILL)
        self.shell.wait()
        os.close(self.commands)
        os.close(self.master)


class Stage:
    """A kvfsd and terminals."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.terminals = {}
        self.kvfsd = None

    def start(self):
        for place in ("/mnt/kv", "/run/kvfs"):
            os.makedirs(place)
        self.kvfsd = subprocess.Popen(
            [self.build / "daemon/kvfsd", "--data", "/var/lib/kvfs", "--mount", "/mnt/kv",
             "--allow-other", "--socket", "/run/kvfs/kvfs.sock"],
            stderr=subprocess.PIPE, text=True)
        for line in self.kvfsd.stderr:
            if line == "kvfsd: ready\n":
                break
        else:
            raise RuntimeError("kvfsd does not start")
        # Its log is small, and the pipe holds it.

    def terminal(self, number):
        if number not in self.terminals:
            home = self.directory / "home"
            home.mkdir(exist_ok=True)
            environment = {
                "PATH": f"{self.build}/cli:{self.build}/daemon:{os.environ['PATH']}:/usr/sbin",
                "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8", "TZ": "UTC",
                "TMPDIR": os.environ.get("TMPDIR", "/tmp"), "USER": "root",
                "KV_HISTORY": "",
            }
            self.terminals[number] = Terminal(home, environment)
        return self.terminals[number]

    def stop(self):
        """Its exit status."""
        for terminal in self.terminals.values():
            terminal.close()
        self.terminals = {}
        if not self.kvfsd:
            return 0
        self.kvfsd.terminate()
        _, log = self.kvfsd.communicate(timeout=DEADLINE)
        shutil.rmtree(self.directory / "home", ignore_errors=True)
        status, self.kvfsd = self.kvfsd.returncode, None
        if status:
            sys.stderr.write(log)
        return status


# -- Running a block -------------------------------------------------------------------


class Mismatch(Exception):
    pass


def compare(command, printed, expected):
    if not matches(printed, expected):
        raise Mismatch("\n".join([f"$ {command}", *printed, "expected:", *expected]))


def run_step(terminal, step, last, asks_status):
    """One command. Only the last of a block in another terminal may go on."""
    expected = [made_same(line) for line in step.expected]
    if step.command is not None:
        terminal.type(step.command)
    if "^C" in expected:
        at = expected.index("^C")
        if not terminal.wait(lambda: matches(terminal.lines(), expected[:at])):
            compare(step.command, terminal.lines(), expected[:at])
        terminal.interrupt()
        del expected[at]
        last = False
    if last:
        terminal.wait(lambda: matches(terminal.lines(), expected))
    elif not terminal.wait(lambda: not terminal.busy):
        raise Mismatch("\n".join([f"$ {step.command}", *terminal.lines(), "(does not end)"]))
    compare(step.command, terminal.take(), expected)
    if terminal.status and not expected and not asks_status and not terminal.busy:
        raise Mismatch(f"$ {step.command}\nfails silently with status {terminal.status}")


def run_block(stage, block):
    if "file" in block.options:
        path = stage.directory / "home" / block.options["file"]
        stage.terminal(1)  # makes the directory
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in block.text))
        if block.text and block.text[0].startswith("#!"):
            path.chmod(0o755)
        return
    terminal = stage.terminal(block.terminal)
    steps = block.steps()
    for i, step in enumerate(steps):
        following = steps[i + 1].command if i + 1 < len(steps) else ""
        last = i + 1 == len(steps) and block.terminal > 1
        run_step(terminal, step, last, (following or "").startswith("echo $?"))


class Tap:
    def __init__(self):
        self.cases, self.failed = 0, 0

    def case(self, name, reason=None):
        self.cases += 1
        self.failed += reason is not None
        print(f"{'ok' if reason is None else 'not ok'} {self.cases} - {name}")
        for line in (reason or "").splitlines():
            print(f"#   {line}")
        sys.stdout.flush()


def run_document(path, name, build, directory, standing, tap):
    """A section goes on as long as it is as shown, for what follows stands on it."""
    blocks = read_blocks(path)
    for section in dict.fromkeys(block.section for block in blocks):
        stage = Stage(build, directory)
        stage.start()
        for block in (block for block in blocks if block.section == section):
            try:
                run_block(stage, block)
                tap.case(f"{name}:{block.line} ({section})")
            except Mismatch as mismatch:
                tap.case(f"{name}:{block.line} ({section})", str(mismatch))
                break
        for number, terminal in stage.terminals.items():
            left = terminal.lines()
            if left:
                tap.case(f"{name} ({section}): nothing more in terminal {number}",
                         "\n".join(left))
        status = stage.stop()
        if status:
            tap.case(f"{name} ({section}): kvfsd stops", f"exit status {status}")
        clear_the_machine(standing)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("documents", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="kvfs-documented.") as scratch:
        hide_the_machine(pathlib.Path(scratch))
        try:
            standing = mounted()
            clear_the_machine(standing)  # of what it has there itself
            for document in arguments.documents:
                run_document(document, document.name, arguments.build.resolve(),
                             pathlib.Path(scratch), standing, tap)
        finally:
            subprocess.run(["umount", "-l", scratch], check=True)
    print(f"1..{tap.cases}")
    sys.exit(tap.failed != 0)


if __name__ == "__main__":
    main()
