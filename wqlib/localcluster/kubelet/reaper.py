"""The process that sees to it that no pod outlives the daemon.

It runs beside the daemon, reads from a pipe which process groups exist (`+123`, `-123`), and
when the pipe ends, however the daemon died, kills those that are left. Standard library only,
and started with `python -I -S`, so it is small.
"""

import fcntl
import os
import signal
import sys
import time


def kill(groups: set[int]) -> None:
    """Kill the process groups and wait until they are gone."""
    for _ in range(100):
        for group in list(groups):
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                groups.discard(group)
            except PermissionError:
                # macOS says so of a group whose processes are all zombies.
                groups.discard(group)
        if not groups:
            return
        time.sleep(0.01)


def main() -> None:
    """Read the pipe until its end, then kill what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(1, b"r")
    os.close(1)
    groups: set[int] = set()
    rest = b""
    while data := os.read(0, 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            group = int(line[1:])
            if line.startswith(b"+"):
                groups.add(group)
            else:
                groups.discard(group)
    kill(groups)


if __name__ == "__main__":
    main()
