"""Does something with a new file right after closing it, while the mount is still
publishing it: after_close.py DIR ROUNDS. Prints what failed."""
import os
import sys
import threading

where, rounds = sys.argv[1], int(sys.argv[2])


def rename(path):
    os.rename(path, path + "-moved")
    os.rename(path + "-moved", path)


def unlink(path):
    os.unlink(path)
    open(path, "x").close()


AFTER = {
    "unlink": unlink,
    "rename": rename,
    "chmod": lambda path: os.chmod(path, 0o640),
    "setxattr": lambda path: os.setxattr(path, b"user.colour", b"green"),
}


def run(name):
    path = os.path.join(where, name)
    for _ in range(rounds):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        try:
            AFTER[name](path)
            os.unlink(path)
        except OSError as error:
            print(name, error.strerror)
            return


threads = [threading.Thread(target=run, args=(name,)) for name in AFTER]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
