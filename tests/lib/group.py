"""Open a key that somebody else makes, gives to a group and removes, again and again.

    group.py DIR SECONDS

The opener is in the group by his supplementary groups only, and may open whatever he
finds or make it himself: no errno but 0 is right. Prints how often each came, and fails
on others. Root only."""
import collections
import os
import sys
import time

directory, seconds = sys.argv[1], float(sys.argv[2])
GROUP, OPENER = 777, 12345
os.chdir(directory)
os.umask(0)
os.chmod(".", 0o777)
end = time.monotonic() + seconds

maker = os.fork()
if maker == 0:
    while time.monotonic() < end:
        fd = os.open("new", os.O_CREAT | os.O_WRONLY, 0o660)
        os.fchown(fd, 0, GROUP)
        os.close(fd)
        os.rename("new", "key")
        os.unlink("key")
    os._exit(0)

os.setgroups([GROUP])
os.setegid(OPENER)
os.seteuid(OPENER)
counts = collections.Counter()
while time.monotonic() < end:
    try:
        os.close(os.open("key", os.O_CREAT | os.O_RDWR, 0o660))
        counts["0"] += 1
    except OSError as error:
        counts[error.strerror] += 1
print(dict(counts))
_, status = os.waitpid(maker, 0)
sys.exit(status != 0 or set(counts) != {"0"})
