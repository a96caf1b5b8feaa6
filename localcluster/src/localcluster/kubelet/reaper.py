"""The process that sees to it that no pod outlives the daemon.

It runs beside the daemon, reads from a pipe which process groups exist (`+123`, `-123`), and
when the pipe ends, however the daemon died, kills those that are left; and on Linux whatever
else has the daemon's mark in its environment, for it may have left its group. At last it removes
the link by which pods knew the state folder, if there was one. Standard library
only, and started with `python -I -S`, so it is small.
"""

import contextlib
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


def kill_marked(mark: bytes) -> None:
    """Kill all processes with the mark, and what they start meanwhile."""
    for _ in range(100):
        found = [int(name) for name in _processes() if _has_mark(name, mark)]
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        if not found:
            return
        time.sleep(0.01)


def _processes() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _has_mark(name: str, mark: bytes) -> bool:
    try:
        with open(f"/proc/{name}/environ", "rb") as file:
            return any(variable.startswith(mark) for variable in file.read().split(b"\0"))
    except OSError:
        return False


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
    kill_marked(sys.argv[2].encode())
    for link in sys.argv[3:]:
        with contextlib.suppress(OSError):
            os.unlink(link)
            os.rmdir(os.path.dirname(link))


if __name__ == "__main__":
    main()
